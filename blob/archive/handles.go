package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/larder-build/larder/blob"
)

// handles keeps the directories open that lead to the one that was used last:
// looking a path up from the top would cost a system call for each of its parts,
// and the names of a layer come in the order of a walk.
type handles struct {
	top   *os.Root
	names []string
	roots []*os.Root
}

// open returns a directory, given its path below the top; "" is the top. What
// is missing is made if create says so.
func (h *handles) open(dir string, create bool) (*os.Root, error) {
	var parts []string
	if dir != "" {
		parts = strings.Split(dir, "/")
	}
	common := 0
	for common < min(len(parts), len(h.names)) && parts[common] == h.names[common] {
		common++
	}
	h.shrink(common)
	for _, name := range parts[common:] {
		root, err := openBelow(h.last(), name, create)
		if err != nil {
			return nil, err
		}
		h.names, h.roots = append(h.names, name), append(h.roots, root)
	}
	return h.last(), nil
}

func (h *handles) last() *os.Root {
	if n := len(h.roots); n > 0 {
		return h.roots[n-1]
	}
	return h.top
}

// implied is the mode of directories that no layer has an entry for.
const implied = 0o755

func openBelow(at *os.Root, name string, create bool) (*os.Root, error) {
	root, err := at.OpenRoot(name)
	if err == nil || !create {
		return root, err
	}
	if info, err := at.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("%w: the way to it has the symbolic link %s, which leads nowhere inside", blob.ErrInvalid, blob.Quote(name))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := at.Mkdir(name, implied); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return at.OpenRoot(name)
}

func (h *handles) shrink(depth int) {
	for i := depth; i < len(h.roots); i++ {
		_ = h.roots[i].Close()
	}
	h.names, h.roots = h.names[:depth], h.roots[:depth]
}

func (h *handles) close() { h.shrink(0) }
