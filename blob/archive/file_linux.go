package archive

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newFile is a regular file that is being made. It does without package os, which
// asks the kernel about each file whether it can be polled: creating small files
// is nothing but such calls.
type newFile struct {
	dir, fd int
	name    string
}

// createFile makes a file in a directory, where there must be none of that name.
// A name has no slash, so that it leads nowhere else.
func createFile(at *place, name string, perm fs.FileMode) (*newFile, error) {
	dir, err := at.descriptor()
	if err != nil {
		return nil, err
	}
	f := &newFile{dir: dir, name: name}
	err = uninterrupted(func() (err error) {
		f.fd, err = unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(perm.Perm()))
		return err
	})
	if err != nil {
		return nil, f.failed("open", err)
	}
	return f, nil
}

// uninterrupted repeats a call for as long as a signal comes in between, as
// package os does.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (f *newFile) failed(op string, err error) error { return failed(op, f.name, err) }

func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Write implements [io.Writer].
func (f *newFile) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n, err := unix.Write(f.fd, p[written:])
		if err != nil && !errors.Is(err, unix.EINTR) {
			return written, f.failed("write", err)
		}
		written += max(n, 0)
	}
	return written, nil
}

// skip leaves a hole.
func (f *newFile) skip(n int64) error {
	_, err := unix.Seek(f.fd, n, unix.SEEK_CUR)
	return f.failed("seek", err)
}

func (f *newFile) truncate(size int64) error {
	return f.failed("truncate", uninterrupted(func() error { return unix.Ftruncate(f.fd, size) }))
}

func (f *newFile) chmod(mode fs.FileMode) error {
	return f.failed("chmod", unix.Fchmod(f.fd, uint32(permissions(mode)))) //nolint:gosec // 12 bits
}

func (f *newFile) chown(uid, gid int) error {
	return f.failed("chown", unix.Fchown(f.fd, uid, gid))
}

// setXattrs sets the extended attributes among the records of a header. Those that
// the file system or the user's rights do not allow are left out, as by tar.
func (f *newFile) setXattrs(records map[string]string) error {
	return setXattrs(f.fd, f.name, records)
}

// setTime sets when the file was changed; the time of access stays.
func (f *newFile) setTime(t time.Time) error {
	changed, err := unix.TimeToTimespec(t)
	if err != nil {
		return f.failed("chtimes", err)
	}
	times := [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, changed}
	// Without a name the call is for the descriptor (utimensat(2), futimens), which
	// package unix has no function for.
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(f.fd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0) //nolint:gosec // as the call wants it
	if errno != 0 {
		return f.failed("chtimes", errno)
	}
	return nil
}

// note completes an entry by what the system says of the file.
func (f *newFile) note(e *Entry) error {
	var stat syscall.Stat_t
	if err := syscall.Fstat(f.fd, &stat); err != nil {
		return f.failed("stat", err)
	}
	e.regular(&stat)
	return nil
}

// regular fills in what the system says of a regular file.
func (e *Entry) regular(stat *syscall.Stat_t) {
	e.Mode = fs.FileMode(stat.Mode & 0o777)
	for _, special := range specials {
		if int64(stat.Mode)&special.bit != 0 {
			e.Mode |= special.mode
		}
	}
	e.ModTime = time.Unix(stat.Mtim.Unix())
	e.statOf(stat)
}

// Close closes the file.
func (f *newFile) Close() error { return f.failed("close", unix.Close(f.fd)) }

// setXattrs sets extended attributes of an open file or directory.
func setXattrs(fd int, name string, records map[string]string) error {
	for key, value := range records {
		attr, ok := strings.CutPrefix(key, xattrPrefix)
		if !ok {
			continue
		}
		err := unix.Fsetxattr(fd, attr, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return &fs.PathError{Op: "setxattr", Path: name, Err: err}
		}
	}
	return nil
}
