package bucket

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"strings"
	"syscall"

	"gocloud.dev/gcerrors"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// failure returns an error of gocloud.dev as one of a [bucket.Store]. That of a
// context that has ended stays what it is.
func (s *store) failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if backend.Kind(err) != nil {
		return err
	}
	m := s.service.Explain(err)
	if m == (Meaning{}) {
		m = meaning(err)
	}
	said := cause(err)
	if m.Text != "" {
		said = &described{err: err, text: m.Text}
	}
	return &bucket.Failure{Kind: m.Kind, Err: said, Temporary: m.Temporary, RetryAfter: m.RetryAfter}
}

// bodyFailure is failure for an error in the middle of a body: whatever breaks
// it off may pass.
func (s *store) bodyFailure(ctx context.Context, err error) error {
	err = s.failure(ctx, err)
	if f, ok := errors.AsType[*bucket.Failure](err); ok && f.Kind == nil {
		f.Kind, f.Temporary = backend.ErrUnavailable, true
	}
	return err
}

// meaning is what gocloud.dev, or a file system, knows of an error.
func meaning(err error) Meaning {
	switch gcerrors.Code(err) { //nolint:exhaustive // the rest says nothing
	case gcerrors.NotFound:
		return Meaning{Kind: backend.ErrNotFound}
	case gcerrors.AlreadyExists, gcerrors.FailedPrecondition:
		return Meaning{Kind: backend.ErrConflict}
	case gcerrors.InvalidArgument:
		return Meaning{Kind: backend.ErrInvalid}
	case gcerrors.PermissionDenied:
		return Meaning{Kind: backend.ErrDenied}
	case gcerrors.Unimplemented:
		return Meaning{Kind: backend.ErrUnsupported}
	case gcerrors.ResourceExhausted:
		return Meaning{Kind: backend.ErrLimited, Temporary: true}
	case gcerrors.Internal, gcerrors.DeadlineExceeded, gcerrors.Canceled:
		return Meaning{Kind: backend.ErrUnavailable, Temporary: true}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return Meaning{Kind: backend.ErrNotFound}
	case errors.Is(err, fs.ErrPermission):
		return Meaning{Kind: backend.ErrDenied}
	case errors.Is(err, syscall.ENOSPC):
		return Meaning{Kind: backend.ErrLimited}
	}
	return Meaning{}
}

// cause returns what the service said, on one line. gocloud.dev puts the key
// and the code of its own in front, which our errors have too. URLs are left
// out: they can hold signatures, or be the right to write.
func cause(err error) error {
	inner := err
	for {
		wrapped, ok := inner.(interface{ Unwrap() []error })
		if !ok || !strings.HasPrefix(inner.Error(), "blob") || len(wrapped.Unwrap()) == 0 || wrapped.Unwrap()[0] == nil {
			break
		}
		inner = wrapped.Unwrap()[0]
	}
	text := inner.Error()
	if u, ok := errors.AsType[*url.Error](inner); ok {
		text = strings.ReplaceAll(text, u.Error(), u.Err.Error())
	}
	return &described{err: err, text: oneLine(text)}
}

// described is an error with a text of our own.
type described struct {
	err  error
	text string
}

// Error implements [error].
func (d *described) Error() string { return d.text }

// Unwrap returns the error.
func (d *described) Unwrap() error { return d.err }

// oneLine joins lines, which services write into their messages.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}
