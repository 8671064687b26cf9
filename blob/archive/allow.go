package archive

import (
	"errors"
	"io/fs"
	"os"
	"path"
)

// A directory may be read-only, as those of Go's modules are. Its owner may
// write to it all the same, after a change of its mode, which is set to what
// it is to be at the end.

// allow lets the owner of a directory write to it. It returns the mode that it had
// if that has changed, else 0.
func allow(root *os.Root, dir string) (before fs.FileMode, err error) {
	info, err := root.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o700 == 0o700 {
		return 0, err
	}
	return info.Mode(), root.Chmod(dir, info.Mode()|0o700)
}

// removeAll removes a path with all that is below, also from directories that are
// read-only.
func removeAll(root *os.Root, at string) error {
	err := root.RemoveAll(at)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if _, err := allow(root, path.Dir(at)); err != nil {
		return err
	}
	if err := allowBelow(root, at); err != nil {
		return err
	}
	return root.RemoveAll(at)
}

// allowBelow lets the owner of a directory and those below write to them.
func allowBelow(root *os.Root, at string) error {
	info, err := root.Lstat(at)
	if err != nil || !info.IsDir() {
		return err
	}
	if _, err := allow(root, at); err != nil {
		return err
	}
	dir, err := root.OpenRoot(at)
	if err != nil {
		return err
	}
	defer dir.Close()
	infos, err := listRoot(dir)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if info.IsDir() {
			if err := allowBelow(dir, info.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}
