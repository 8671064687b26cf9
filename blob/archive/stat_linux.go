package archive

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// stat fills in what the system knows of a file.
func (e *Entry) stat(info fs.FileInfo) {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	if e.Mode&fs.ModeDevice != 0 {
		e.Major, e.Minor = unix.Major(sys.Rdev), unix.Minor(sys.Rdev)
	}
	e.UID, e.GID = int(sys.Uid), int(sys.Gid)
	e.Stat = Stat{
		ChangeTime: sys.Ctim.Nano(),
		Inode:      sys.Ino,
		Device:     uint64(sys.Dev),   //nolint:unconvert // not everywhere a uint64
		Links:      uint64(sys.Nlink), //nolint:unconvert // not everywhere a uint64
		Blocks:     sys.Blocks,
	}
}
