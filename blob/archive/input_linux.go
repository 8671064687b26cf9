package archive

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// oldFile is a regular file that is read. It does without package os for the
// reason that newFile does.
type oldFile struct {
	fd   int
	name string
}

// openFile opens a regular file. It follows no symbolic link that has taken its
// place meanwhile, and does not wait for a writer if that is a pipe.
func openFile(name string) (*oldFile, error) {
	f := &oldFile{name: name}
	err := uninterrupted(func() (err error) {
		f.fd, err = unix.Open(name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%w: it is a symbolic link now", ErrChanged)
	}
	if err != nil {
		return nil, failed("open", name, err)
	}
	return f, nil
}

// Read implements [io.Reader].
func (f *oldFile) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	err := uninterrupted(func() (err error) {
		n, err = unix.Read(f.fd, p)
		return err
	})
	switch {
	case err != nil:
		return 0, failed("read", f.name, err)
	case n == 0:
		return 0, io.EOF
	default:
		return n, nil
	}
}

// seek goes to a position in the file.
func (f *oldFile) seek(offset int64) error {
	_, err := unix.Seek(f.fd, offset, unix.SEEK_SET)
	return failed("seek", f.name, err)
}

// is reports whether the file is in the state that an entry says.
func (f *oldFile) is(e *Entry) (bool, error) {
	var stat syscall.Stat_t
	if err := syscall.Fstat(f.fd, &stat); err != nil {
		return false, failed("stat", f.name, err)
	}
	now := Entry{Path: e.Path, Size: stat.Size}
	now.regular(&stat)
	return stat.Mode&unix.S_IFMT == unix.S_IFREG && now.Same(e), nil
}

// segments returns where a file has data.
func (f *oldFile) segments(size int64) ([]segment, error) {
	var data []segment
	for at := int64(0); at < size; {
		start, err := unix.Seek(f.fd, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // nothing but a hole follows
		}
		if err != nil {
			return nil, failed("seek", f.name, err)
		}
		end, err := unix.Seek(f.fd, start, unix.SEEK_HOLE)
		if err != nil {
			return nil, failed("seek", f.name, err)
		}
		data = append(data, segment{start, min(end, size) - start})
		at = end
	}
	return data, f.seek(0)
}

// Close closes the file.
func (f *oldFile) Close() error { return failed("close", f.name, unix.Close(f.fd)) }
