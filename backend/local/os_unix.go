//go:build !windows

package local

import (
	"context"
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// blobMode is the mode of blobs, less the umask: nobody is to change them.
const blobMode = 0o444

// replace renames a file, over another if there is one.
func replace(_ context.Context, from, to string) error { return os.Rename(from, to) }

// retry calls do, which nobody's open file can make fail here.
func retry(_ context.Context, do func() error) error { return do() }

// syncDir makes the entries of a directory durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // Some network file systems have nothing to sync.
	}
	return errors.Join(err, f.Close())
}

// keepOwner gives a new file the owner and mode of the one it replaces, as far
// as this process may: a privileged one must not lock out the owner of index.json.
func keepOwner(t *os.File, old os.FileInfo) {
	if stat, ok := old.Sys().(*syscall.Stat_t); ok {
		_ = t.Chown(int(stat.Uid), int(stat.Gid))
	}
	_ = t.Chmod(old.Mode().Perm())
}

// isDiskFull reports errors that [syscall.ENOSPC] does not match: none.
func isDiskFull(error) bool { return false }

// mayWrite returns why this user cannot create anything in a directory.
func mayWrite(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }
