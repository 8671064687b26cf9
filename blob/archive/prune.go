package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/larder-build/larder/blob"
)

// Prune removes what is in a directory beside the given entries, which are
// sorted, and returns the paths that it removed, directories without what was in
// them. The spared paths stay, with what they are in. Directories that were read-only are not any more until [Settle].
func Prune(ctx context.Context, dir string, keep []Entry, spared ...string) ([]string, error) {
	found, err := Walk(ctx, dir, WalkOptions{})
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	p := planner{now: keep, before: &Snapshot{Entries: found, Of: make([]int, len(found))}}
	p.compare()
	p.removed = slices.DeleteFunc(p.removed, func(at string) bool {
		return slices.ContainsFunc(spared, func(s string) bool { return isBelow(s, at) || isBelow(at, s) })
	})
	for i, at := range p.removed {
		if err := ctx.Err(); err != nil {
			return p.removed[:i], err
		}
		if err := removeAll(root, at); err != nil {
			return p.removed[:i], err
		}
	}
	return slices.Clip(p.removed), nil
}

// isBelow reports whether a path is another one or below it.
func isBelow(at, dir string) bool { return at == dir || strings.HasPrefix(at, dir+"/") }

// Settle gives the directories among the entries of a tree the modes and times
// that they are to have, after files were moved into them and removed, and notes
// what identifies their state in the entries.
func Settle(dir string, entries []Entry) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	dirs := handles{top: &place{Root: root}}
	defer dirs.close()
	for i := len(entries) - 1; i >= 0; i-- {
		if !entries[i].Mode.IsDir() {
			continue
		}
		if err := settle(&dirs, &entries[i]); err != nil {
			return fmt.Errorf("%s: %w", blob.Quote(entries[i].Path), err)
		}
	}
	return nil
}

func settle(dirs *handles, e *Entry) error {
	parent, name := split(e.Path)
	at, err := dirs.open(parent, false)
	if err != nil {
		return err
	}
	info, err := at.Lstat(name)
	if err != nil {
		return err
	}
	chmod, chtimes := info.Mode() != e.Mode, !info.ModTime().Equal(e.ModTime)
	if chmod {
		err = at.Chmod(name, e.Mode)
	}
	if chtimes {
		err = errors.Join(err, at.Chtimes(name, time.Time{}, e.ModTime))
	}
	if chmod || chtimes {
		if err != nil {
			return err
		}
		if info, err = at.Lstat(name); err != nil {
			return err
		}
	}
	e.stat(info)
	return nil
}
