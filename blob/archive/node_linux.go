package archive

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// within calls do with a descriptor of a directory.
func inDirectory(at *os.Root, do func(fd int) error) error {
	f, err := at.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return do(int(f.Fd())) //nolint:gosec // descriptors are small
}

// makeNode makes a pipe or a device node.
func makeNode(at *os.Root, e *Entry, name string) error {
	mode := uint32(e.Mode.Perm())
	switch {
	case e.Mode&fs.ModeNamedPipe != 0:
		mode |= unix.S_IFIFO
	case e.Mode&fs.ModeCharDevice != 0:
		mode |= unix.S_IFCHR
	default:
		mode |= unix.S_IFBLK
	}
	err := inDirectory(at, func(fd int) error {
		return unix.Mknodat(fd, name, mode, int(unix.Mkdev(e.Major, e.Minor))) //nolint:gosec // made from two small numbers
	})
	if err != nil {
		return &fs.PathError{Op: "mknod", Path: name, Err: err}
	}
	return at.Chmod(name, e.Mode)
}

// setLinkTime sets the time of a symbolic link itself.
func setLinkTime(at *os.Root, name string, t time.Time) error {
	spec, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	return inDirectory(at, func(fd int) error {
		return unix.UtimesNanoAt(fd, name, []unix.Timespec{spec, spec}, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// setXattrs sets the extended attributes of a file or directory. Those that the
// file system or the user's rights do not allow are left out, as by tar.
func setXattrs(at *os.Root, name string, records map[string]string) error {
	for key, value := range records {
		attr, ok := strings.CutPrefix(key, xattrPrefix)
		if !ok {
			continue
		}
		f, err := at.Open(name)
		if err != nil {
			return err
		}
		err = unix.Fsetxattr(int(f.Fd()), attr, []byte(value), 0) //nolint:gosec // descriptors are small
		_ = f.Close()
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return &fs.PathError{Op: "setxattr", Path: name, Err: err}
		}
	}
	return nil
}
