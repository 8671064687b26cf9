package backend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/larder-build/larder/blob"
)

// The kinds of failure, for [errors.Is]. Where the standard library has an
// error of the same meaning, the kind matches that one too.
var (
	// ErrNotFound says that a blob, a ref or the store itself is not there. It
	// matches [fs.ErrNotExist].
	ErrNotFound error = blob.NewSentinel("not found", fs.ErrNotExist)
	// ErrConflict says that a condition did not hold.
	ErrConflict error = blob.NewSentinel("conflict", nil)
	// ErrExists says that something is there that must not be. It matches
	// [fs.ErrExist].
	ErrExists error = blob.NewSentinel("already exists", fs.ErrExist)
	// ErrUnsupported says that the store cannot do this. It matches
	// [errors.ErrUnsupported].
	ErrUnsupported error = blob.NewSentinel("not supported", errors.ErrUnsupported)
	// ErrInvalid says that an argument or a setting is malformed. It matches
	// [fs.ErrInvalid].
	ErrInvalid = blob.ErrInvalid
	// ErrDenied says that the credentials do not allow this, or are missing. It
	// matches [fs.ErrPermission].
	ErrDenied error = blob.NewSentinel("denied", fs.ErrPermission)
	// ErrReadOnly says that the backend was opened for reading only, or that
	// the store is.
	ErrReadOnly error = blob.NewSentinel("read-only", nil)
	// ErrLimited says that a rate limit or quota is exhausted, or that there is
	// no space left.
	ErrLimited error = blob.NewSentinel("limit reached", nil)
	// ErrTooLarge says that something exceeds a limit of size.
	ErrTooLarge = blob.ErrTooLarge
	// ErrUnavailable says that the store does not answer, or not properly.
	ErrUnavailable error = blob.NewSentinel("unavailable", nil)
	// ErrCorrupt says that bytes are not what their digest or size says.
	ErrCorrupt = blob.ErrCorrupt
)

// kinds are the errors that [Kind] tells apart.
var kinds = []error{
	ErrNotFound, ErrConflict, ErrExists, ErrUnsupported, ErrInvalid, ErrDenied,
	ErrReadOnly, ErrLimited, ErrTooLarge, ErrUnavailable, ErrCorrupt,
}

// Kind returns which of this package's errors err matches, or nil if none.
func Kind(err error) error {
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return nil
}

// Error is the error of a backend's method. It prints as
// "s3: put ref main: conflict: <what the store said>".
type Error struct {
	// Op is what was attempted: "stat", "open", "put", "get ref", ...
	Op string
	// Backend is the driver's name.
	Backend string
	// Key is the digest or ref concerned, or "".
	Key string
	// Kind is one of this package's kinds, or nil for a failure of no kind.
	Kind error
	// Err is the cause, in the store's own words, or nil. It holds no secret.
	Err error
	// Temporary says that the same call may succeed later.
	Temporary bool
	// RetryAfter is how long the store asked to wait before that, or 0.
	RetryAfter time.Duration
	// Omittable says that nothing is wrong but that the store takes this write
	// from here no more: the credentials are meant for reading, or what they may
	// write in a time is used up. Who caches on the side goes on without, and
	// tells; who was asked to write fails.
	Omittable bool
}

// Error describes the failure without any secret.
func (e *Error) Error() string {
	subject := strings.TrimSpace(e.Op + " " + e.Key)
	detail := "failed"
	switch {
	case e.Kind != nil && e.Err != nil && !strings.HasPrefix(e.Err.Error(), e.Kind.Error()):
		detail = e.Kind.Error() + ": " + e.Err.Error()
	case e.Err != nil:
		detail = e.Err.Error()
	case e.Kind != nil:
		detail = e.Kind.Error()
	}
	return fmt.Sprintf("%s: %s: %s", e.Backend, subject, detail)
}

// Unwrap returns the kind and the cause, so that both can be tested for.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Omittable reports whether err is a write that a cache on the side can do
// without, see [Error].
func Omittable(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Omittable
}

// Temporary reports whether err is a failure that may pass, and how long the
// store asked to wait (0 if it did not say). The end of a context is not.
func Temporary(err error) (retryAfter time.Duration, ok bool) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return 0, false
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter, e.Temporary
	}
	return 0, false
}
