package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// disk is a file system that is made anew: an ext4 in a file, because on one
// that has been in use for long nothing but its age is measured. Where the user
// may not mount, it is an empty directory.
type disk struct {
	dir     string
	image   string // "" if it is a directory
	mounted bool
}

// diskSize is sparse: it takes what is written.
const diskSize = 16 << 30

// newDisk returns a disk in a directory.
func newDisk(dir, name string, mount bool) *disk {
	d := &disk{dir: filepath.Join(dir, name)}
	if mount {
		d.image = d.dir + ".img"
	}
	return d
}

// mayMount reports whether this program can make file systems.
func mayMount() bool {
	return runtime.GOOS == "linux" && os.Geteuid() == 0 && installed("mkfs.ext4") != "" && installed("mount") != ""
}

// renew empties the disk.
func (d *disk) renew(ctx context.Context) error {
	if err := errors.Join(d.remove(ctx), os.MkdirAll(d.dir, 0o755)); err != nil || d.image == "" {
		return err
	}
	f, err := os.Create(d.image)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(diskSize), f.Close()); err != nil {
		return err
	}
	// Tables that are written later by the kernel would disturb what is measured.
	const inodes = 500_000
	if err := do(ctx, command{args: []string{"mkfs.ext4", "-q", "-F", "-N", fmt.Sprint(inodes), "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image}}); err != nil {
		return err
	}
	if err := do(ctx, command{args: []string{"mount", "-o", "loop", d.image, d.dir}}); err != nil {
		return err
	}
	d.mounted = true
	return os.RemoveAll(filepath.Join(d.dir, "lost+found"))
}

// remove gives the disk up.
func (d *disk) remove(ctx context.Context) error {
	if d.mounted {
		if err := do(context.WithoutCancel(ctx), command{args: []string{"umount", d.dir}}); err != nil {
			return err
		}
		d.mounted = false
	}
	if d.image != "" {
		if err := os.RemoveAll(d.image); err != nil {
			return err
		}
	}
	return os.RemoveAll(d.dir)
}
