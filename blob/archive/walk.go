package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// WalkOptions are the options of [Walk].
type WalkOptions struct {
	// Skip, if not nil, is asked for each name below the top, with its path in
	// slashes; what it returns true for is left out, a directory with all in it.
	// It is called from several goroutines.
	Skip func(path string, dir bool) bool
	// OnError, if not nil, is told of names that cannot be read, and decides: if
	// it returns nil, the name is left out. It is called from several goroutines.
	OnError func(path string, err error) error
}

// Walk lists a directory, sorted so that a directory stands before what is in
// it, itself included. Sockets are left out, as every archiver
// does; a name that vanishes while the walk meets it was never there.
func Walk(ctx context.Context, dir string, opts WalkOptions) ([]Entry, error) {
	w := &walker{dir: dir, opts: opts}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * runtime.GOMAXPROCS(0))
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	all := &node{}
	if err := w.list(ctx, group, "", all); err != nil {
		_ = group.Wait()
		return nil, err
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	self := Entry{Path: top, Mode: info.Mode(), ModTime: info.ModTime()}
	self.stat(info)
	entries := all.flatten(append(make([]Entry, 0, 1+all.count()), self))
	linkNames(entries)
	return entries, nil
}

type walker struct {
	dir  string
	opts WalkOptions
}

// node is a listed directory.
type node struct {
	entries []Entry
	// below has the listings of those entries that are directories.
	below map[int]*node
}

func (n *node) count() int {
	total := len(n.entries)
	for _, child := range n.below {
		total += child.count()
	}
	return total
}

func (n *node) flatten(to []Entry) []Entry {
	for i := range n.entries {
		to = append(to, n.entries[i])
		if child := n.below[i]; child != nil {
			to = child.flatten(to)
		}
	}
	return to
}

// list lists one directory into n, and those below it, each in a goroutine of
// its own if one is free.
func (w *walker) list(ctx context.Context, group *errgroup.Group, at string, n *node) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	infos, err := readDir(filepath.Join(w.dir, filepath.FromSlash(at)))
	if err != nil {
		if at == "" {
			return fmt.Errorf("list directory: %w", err)
		}
		return w.failed(at, err)
	}
	n.entries = make([]Entry, 0, len(infos))
	for _, info := range infos {
		entry, err := w.entry(path.Join(at, info.Name()), info)
		if err != nil {
			return err
		}
		if entry == nil {
			continue
		}
		n.entries = append(n.entries, *entry)
		if !info.IsDir() {
			continue
		}
		child := &node{}
		if n.below == nil {
			n.below = make(map[int]*node)
		}
		n.below[len(n.entries)-1] = child
		list := func() error { return w.list(ctx, group, entry.Path, child) }
		if !group.TryGo(list) {
			if err := list(); err != nil {
				return err
			}
		}
	}
	return nil
}

// readDir returns what is in a directory, in the order of names.
func readDir(dir string) ([]fs.FileInfo, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	infos, err := f.Readdir(-1) // leaves out what vanishes meanwhile
	if err != nil {
		return nil, err
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return infos, nil
}

// entry returns the entry of a name, or nil if it is to be left out.
func (w *walker) entry(at string, info fs.FileInfo) (*Entry, error) {
	if info.Mode()&fs.ModeSocket != 0 || w.opts.Skip != nil && w.opts.Skip(at, info.IsDir()) {
		return nil, nil
	}
	e := &Entry{Path: at, Mode: info.Mode(), ModTime: info.ModTime()}
	e.stat(info)
	switch {
	case info.Mode().IsRegular():
		e.Size = info.Size()
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(filepath.Join(w.dir, filepath.FromSlash(at)))
		if err != nil {
			return nil, w.failed(at, err)
		}
		e.Link = target
	}
	return e, nil
}

// failed asks the caller what to do about a name that cannot be read.
func (w *walker) failed(at string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if w.opts.OnError != nil {
		return w.opts.OnError(at, err)
	}
	return err
}

// linkNames makes the second and further names of a file links to its first.
func linkNames(entries []Entry) {
	type file struct{ device, inode uint64 }
	first := make(map[file]string)
	for i := range entries {
		e := &entries[i]
		if !e.Mode.IsRegular() || e.Stat.Links < 2 {
			continue
		}
		id := file{e.Stat.Device, e.Stat.Inode}
		if name, ok := first[id]; ok {
			e.Link, e.Size = name, 0
		} else {
			first[id] = e.Path
		}
	}
}
