package larder

import (
	"errors"
	"path/filepath"
)

// errStore is why a part of a directory is neither saved nor removed.
var errStore = errors.New("it is the cache itself")

// storeIn returns the path, in slashes, by which a store on this machine is in a
// directory: a cache that were saved to itself would grow with every save, and one
// that was not saved would be removed by an exact restore. It is "" for any other.
func storeIn(dir string, t Target) string {
	store := t.Backend.Info().Directory
	if store == "" {
		return ""
	}
	below, err := filepath.Rel(resolved(dir), resolved(store))
	if err != nil || below == "." || !filepath.IsLocal(below) {
		return ""
	}
	return filepath.ToSlash(below)
}

// resolved returns where a path leads, as far as it is there.
func resolved(path string) string {
	if leads, err := filepath.EvalSymlinks(path); err == nil {
		path = leads
	} else if parent := filepath.Dir(path); parent != path {
		path = filepath.Join(resolved(parent), filepath.Base(path))
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}
