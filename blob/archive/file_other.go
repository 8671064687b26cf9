//go:build !linux

package archive

import (
	"io"
	"io/fs"
	"os"
	"time"
)

// newFile is a regular file that is being made.
type newFile struct {
	*os.File

	at   *place
	name string
}

// createFile makes a file in a directory, where there must be none of that name.
func createFile(at *place, name string, perm fs.FileMode) (*newFile, error) {
	f, err := at.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm.Perm())
	if err != nil {
		return nil, err
	}
	return &newFile{f, at, name}, nil
}

// skip leaves a hole.
func (f *newFile) skip(n int64) error {
	_, err := f.Seek(n, io.SeekCurrent)
	return err
}

func (f *newFile) truncate(size int64) error    { return f.Truncate(size) }
func (f *newFile) chmod(mode fs.FileMode) error { return f.Chmod(mode) }
func (f *newFile) chown(uid, gid int) error     { return f.Chown(uid, gid) }

// setXattrs sets nothing: only Linux is asked for extended attributes.
func (f *newFile) setXattrs(map[string]string) error { return nil }

// setTime sets when the file was changed; the time of access stays.
func (f *newFile) setTime(t time.Time) error { return f.at.Chtimes(f.name, time.Time{}, t) }

// note completes an entry by what the system says of the file.
func (f *newFile) note(e *Entry) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	e.Mode, e.ModTime = info.Mode(), info.ModTime()
	e.stat(info)
	return nil
}
