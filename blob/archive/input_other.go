//go:build !linux

package archive

import (
	"io"
	"os"
)

// oldFile is a regular file that is read.
type oldFile struct{ *os.File }

// seek goes to a position in the file.
func (f *oldFile) seek(offset int64) error {
	_, err := f.Seek(offset, io.SeekStart)
	return err
}

// is reports whether the file is in the state that an entry says.
func (f *oldFile) is(e *Entry) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	now := Entry{Path: e.Path, Mode: info.Mode(), Size: info.Size(), ModTime: info.ModTime()}
	now.stat(info)
	return now.Same(e), nil
}

// segments takes a file for one piece.
func (f *oldFile) segments(size int64) ([]segment, error) { return []segment{{0, size}}, nil }
