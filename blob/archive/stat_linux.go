package archive

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// stat fills in what the system knows of a file.
func (e *Entry) stat(info fs.FileInfo) {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		e.statOf(sys)
	}
}

// statOf does so where there is no FileInfo.
func (e *Entry) statOf(sys *syscall.Stat_t) {
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
