package local

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/larder-build/larder/internal/calls"
)

// blobMode is the mode of blobs. A read-only file could not be replaced here.
const blobMode = 0o644

// Source: Microsoft, "System Error Codes".
const (
	errSharingViolation = syscall.Errno(32)
	errHandleDiskFull   = syscall.Errno(39)
	errDiskFull         = syscall.Errno(112)
)

const (
	retryFirst = time.Millisecond
	retryLast  = 256 * time.Millisecond
)

// replace renames a file, over another if there is one.
func replace(ctx context.Context, from, to string) error {
	return retry(ctx, func() error { return os.Rename(from, to) })
}

// retry calls do until it does not fail for a file that is open elsewhere,
// perhaps in a virus scanner. It gives up after half a second.
func retry(ctx context.Context, do func() error) error {
	for wait := retryFirst; ; wait *= 2 {
		err := do()
		busy := errors.Is(err, errSharingViolation) || errors.Is(err, syscall.ERROR_ACCESS_DENIED)
		if !busy || wait > retryLast {
			return err
		}
		if err := calls.Pause(ctx, wait); err != nil {
			return err
		}
	}
}

// syncDir does nothing: directories cannot be synced here, and NTFS keeps a
// journal of them.
func syncDir(string) error { return nil }

// keepOwner does nothing: new files have the owner of their directory's rules.
func keepOwner(*os.File, os.FileInfo) {}

// isDiskFull reports errors that [syscall.ENOSPC] does not match.
func isDiskFull(err error) bool {
	return errors.Is(err, errDiskFull) || errors.Is(err, errHandleDiskFull)
}
