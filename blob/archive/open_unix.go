//go:build unix && !linux

package archive

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// openFile opens a regular file. It follows no symbolic link that has taken its
// place meanwhile, and does not wait for a writer if that is a pipe.
func openFile(name string) (*oldFile, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%w: it is a symbolic link now", ErrChanged)
	}
	return &oldFile{f}, err
}
