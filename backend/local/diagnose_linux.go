package local

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fileSystems are the names of what a cache may well be on.
// Source: statfs(2) and linux/magic.h.
var fileSystems = map[int64]volume{
	unix.EXT4_SUPER_MAGIC:      {kind: "ext4"},
	unix.XFS_SUPER_MAGIC:       {kind: "xfs"},
	unix.BTRFS_SUPER_MAGIC:     {kind: "btrfs"},
	unix.F2FS_SUPER_MAGIC:      {kind: "f2fs"},
	unix.OVERLAYFS_SUPER_MAGIC: {kind: "overlay"},
	unix.TMPFS_MAGIC:           {kind: "tmpfs", inMemory: true},
	unix.RAMFS_MAGIC:           {kind: "ramfs", inMemory: true},
	unix.NFS_SUPER_MAGIC:       {kind: "nfs", network: true},
	unix.SMB_SUPER_MAGIC:       {kind: "smb", network: true},
	unix.SMB2_SUPER_MAGIC:      {kind: "smb2", network: true},
	unix.CIFS_SUPER_MAGIC:      {kind: "cifs", network: true},
	unix.CEPH_SUPER_MAGIC:      {kind: "ceph", network: true},
	unix.V9FS_MAGIC:            {kind: "9p", network: true},
	unix.FUSE_SUPER_MAGIC:      {kind: "fuse"},
	0x2fc12fc1:                 {kind: "zfs"}, // openzfs/zfs, include/sys/fs/zfs.h
}

// volumeOf returns what the system tells of the file system at a path.
func volumeOf(path string) (volume, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return volume{}, err
	}
	magic := int64(stat.Type) //nolint:unconvert // other architectures have other types
	v, known := fileSystems[magic&0xffffffff]
	if !known {
		v.kind = fmt.Sprintf("file system %#x", magic)
	}
	v.free = stat.Bavail * uint64(stat.Bsize) //nolint:gosec // a size is not negative
	v.readOnly = stat.Flags&unix.ST_RDONLY != 0
	return v, nil
}
