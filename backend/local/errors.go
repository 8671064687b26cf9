package local

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/larder-build/larder/backend"
)

// fail returns err as the error of a call, or nil if there is none.
func fail(op, key string, err error) error {
	if err == nil {
		return nil
	}
	wait, temporary := backend.Temporary(err)
	return &backend.Error{
		Op: op, Backend: driverName, Key: key, Kind: kind(err), Err: err,
		Temporary: temporary || isTemporary(err), RetryAfter: wait,
	}
}

// kind translates the operating system's errors.
func kind(err error) error {
	switch k := backend.Kind(err); {
	case k != nil:
		return k
	case errors.Is(err, fs.ErrNotExist):
		return backend.ErrNotFound
	case errors.Is(err, syscall.EROFS):
		return backend.ErrReadOnly
	case errors.Is(err, fs.ErrPermission):
		return backend.ErrDenied
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), isDiskFull(err), isTemporary(err):
		return backend.ErrLimited
	case errors.Is(err, syscall.ENOTDIR):
		return backend.ErrInvalid
	case errors.Is(err, syscall.EIO):
		return backend.ErrUnavailable
	default:
		return nil
	}
}

// isTemporary reports whether err says that too many files are open.
func isTemporary(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
