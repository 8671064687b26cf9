package archive

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// makeNode makes a pipe or a device node.
func makeNode(at *place, e *Entry, name string) error {
	dir, err := at.descriptor()
	if err != nil {
		return err
	}
	mode := uint32(e.Mode.Perm())
	switch {
	case e.Mode&fs.ModeNamedPipe != 0:
		mode |= unix.S_IFIFO
	case e.Mode&fs.ModeCharDevice != 0:
		mode |= unix.S_IFCHR
	default:
		mode |= unix.S_IFBLK
	}
	if err := unix.Mknodat(dir, name, mode, int(unix.Mkdev(e.Major, e.Minor))); err != nil { //nolint:gosec // made from two small numbers
		return &fs.PathError{Op: "mknod", Path: name, Err: err}
	}
	return at.Chmod(name, e.Mode)
}

// setLinkTime sets the time of a symbolic link itself.
func setLinkTime(at *place, name string, t time.Time) error {
	spec, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	dir, err := at.descriptor()
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{spec, spec}, unix.AT_SYMLINK_NOFOLLOW)
}

// setDirXattrs sets the extended attributes of a directory.
func setDirXattrs(at *place, name string, records map[string]string) error {
	f, err := at.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return setXattrs(int(f.Fd()), name, records) //nolint:gosec // descriptors are small
}
