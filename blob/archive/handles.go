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
	top    *place
	names  []string
	places []*place
}

// place is an open directory.
type place struct {
	*os.Root
	self *os.File
	fd   int // of self: to ask for it costs a system call each time
}

// descriptor returns that of the directory. It is valid until the place is
// closed.
func (p *place) descriptor() (int, error) {
	if p.self == nil {
		f, err := p.Open(".")
		if err != nil {
			return -1, err
		}
		p.self, p.fd = f, int(f.Fd()) //nolint:gosec // descriptors are small
	}
	return p.fd, nil
}

// release closes the descriptor, but not the root.
func (p *place) release() {
	if p.self != nil {
		_ = p.self.Close() // it was not written to
		p.self = nil
	}
}

// open returns a directory, given its path below the top; "" is the top. What
// is missing is made if create says so.
func (h *handles) open(dir string, create bool) (*place, error) {
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
		root, err := openBelow(h.last().Root, name, create)
		if err != nil {
			return nil, err
		}
		h.names, h.places = append(h.names, name), append(h.places, &place{Root: root})
	}
	return h.last(), nil
}

func (h *handles) last() *place {
	if n := len(h.places); n > 0 {
		return h.places[n-1]
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
	for _, p := range h.places[depth:] {
		p.release()
		_ = p.Close()
	}
	h.names, h.places = h.names[:depth], h.places[:depth]
}

// close closes all but the top, which is the caller's.
func (h *handles) close() {
	h.shrink(0)
	h.top.release()
}
