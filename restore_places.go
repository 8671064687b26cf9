package larder

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// A cache says what its directories are called, and whoever may write a cache
// would choose where files go. So a name of the cache leads nowhere but below the
// directory that is restored to; what the caller names goes where it says.

// places returns where the directories of a key are restored to, before anything
// is written that could lead elsewhere.
func (r *Restored) places(opts RestoreOptions) ([]string, error) {
	all := make([]string, len(r.dirs))
	for i, d := range r.dirs {
		if len(opts.Directories) == 0 {
			if err := inside(opts.Into, d.name); err != nil {
				return nil, fmt.Errorf("key %s: %w", blob.Quote(r.Key), err)
			}
		}
		all[i] = placeOf(opts.Into, d.name)
	}
	return all, apart(all)
}

// placeOf returns where a directory of a cache is restored to.
func placeOf(into, name string) string {
	local := filepath.FromSlash(name)
	if filepath.IsAbs(local) {
		return local
	}
	return filepath.Join(into, local)
}

// inside returns an error matching [backend.ErrInvalid] if a name leads out of a
// directory, by itself or by symbolic links that are there.
func inside(into, name string) error {
	local, into := filepath.FromSlash(name), cmp.Or(into, ".")
	if !filepath.IsLocal(local) {
		return fmt.Errorf("%w: directory %s is outside of %s; it is restored there if it is asked for by this name", backend.ErrInvalid, blob.Quote(name), blob.Quote(into))
	}
	root, err := os.OpenRoot(into)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	if _, err := root.Stat(local); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: directory %s cannot be reached inside of %s; it is restored to where it leads if it is asked for by this name: %w", backend.ErrInvalid, blob.Quote(name), blob.Quote(into), err)
	}
	return nil
}

// apart returns an error matching [backend.ErrInvalid] if one of the directories
// is in another, whose layers would say where it is.
func apart(dirs []string) error {
	absolute := make([]string, len(dirs))
	for i, dir := range dirs {
		var err error
		if absolute[i], err = filepath.Abs(dir); err != nil {
			return err
		}
	}
	for i, outer := range absolute {
		for j, inner := range absolute {
			below, err := filepath.Rel(outer, inner)
			switch {
			case i == j || err != nil || !filepath.IsLocal(below):
			case below == ".":
				return fmt.Errorf("%w: %s and %s are the same directory", backend.ErrInvalid, blob.Quote(dirs[min(i, j)]), blob.Quote(dirs[max(i, j)]))
			default:
				return fmt.Errorf("%w: directory %s is in %s, which is saved with all that is in it", backend.ErrInvalid, blob.Quote(dirs[j]), blob.Quote(dirs[i]))
			}
		}
	}
	return nil
}
