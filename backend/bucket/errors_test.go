package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"

	"github.com/larder-build/larder/backend"
	larderblob "github.com/larder-build/larder/blob"
)

// broken is a driver whose every request fails.
type broken struct {
	driver.Bucket

	err  error
	code gcerrors.ErrorCode
}

func (b broken) ErrorCode(error) gcerrors.ErrorCode { return b.code }
func (b broken) Close() error                       { return nil }

// Attributes implements [driver.Bucket].
func (b broken) Attributes(context.Context, string) (*driver.Attributes, error) { return nil, b.err }

// NewRangeReader implements [driver.Bucket].
func (b broken) NewRangeReader(context.Context, string, int64, int64, *driver.ReaderOptions) (driver.Reader, error) {
	return nil, b.err
}

// TestErrors translates what gocloud.dev says, and keeps the service's words.
func TestErrors(t *testing.T) {
	said := errors.New("the service\nsays no")
	for _, tt := range []struct {
		name      string
		err       error
		code      gcerrors.ErrorCode
		want      error // nil for no kind
		temporary bool
	}{
		{"not found", said, gcerrors.NotFound, backend.ErrNotFound, false},
		{"precondition", said, gcerrors.FailedPrecondition, backend.ErrConflict, false},
		{"exists", said, gcerrors.AlreadyExists, backend.ErrConflict, false},
		{"argument", said, gcerrors.InvalidArgument, backend.ErrInvalid, false},
		{"denied", said, gcerrors.PermissionDenied, backend.ErrDenied, false},
		{"unimplemented", said, gcerrors.Unimplemented, backend.ErrUnsupported, false},
		{"limit", said, gcerrors.ResourceExhausted, backend.ErrLimited, true},
		{"internal", said, gcerrors.Internal, backend.ErrUnavailable, true},
		{"deadline of its own", said, gcerrors.DeadlineExceeded, backend.ErrUnavailable, true},
		{"unknown", said, gcerrors.Unknown, nil, false},
		{"no file", fmt.Errorf("the service says no: %w", fs.ErrNotExist), gcerrors.Unknown, backend.ErrNotFound, false},
		{"file in place of a directory", fmt.Errorf("the service says no: %w", syscall.ENOTDIR), gcerrors.Unknown, backend.ErrNotFound, false},
		{"forbidden file", fmt.Errorf("the service says no: %w", os.ErrPermission), gcerrors.Unknown, backend.ErrDenied, false},
		{"full", fmt.Errorf("the service says no: %w", syscall.ENOSPC), gcerrors.Unknown, backend.ErrLimited, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := New(t.Context(), blob.NewBucket(broken{err: tt.err, code: tt.code}), Options{})
			defer b.Close()
			_, err := b.GetRef(t.Context(), "main")
			if got := backend.Kind(err); !errors.Is(got, tt.want) || got == nil != (tt.want == nil) {
				t.Errorf("GetRef() = %v, which is %v, want %v", err, got, tt.want)
			}
			if _, temporary := backend.Temporary(err); temporary != tt.temporary {
				t.Errorf("Temporary(%v) = %t, want %t", err, temporary, tt.temporary)
			}
			if text := err.Error(); !strings.HasPrefix(text, "bucket: get ref main: ") || !strings.Contains(text, "the service says no") ||
				strings.Contains(text, "code=") || strings.Contains(text, "\n") {
				t.Errorf("GetRef() = %q, want the service's words on one line", text)
			}
		})
	}
}

// TestErrorsHideURLs keeps what lets anybody in out of messages.
func TestErrorsHideURLs(t *testing.T) {
	signed := &url.Error{Op: "Get", URL: "https://store.example/b/o?sig=canary", Err: errors.New("connection refused")}
	b := New(t.Context(), blob.NewBucket(broken{err: fmt.Errorf("read: %w", signed), code: gcerrors.Unknown}), Options{})
	defer b.Close()
	_, err := b.Stat(t.Context(), larderblob.Describe("", nil).Digest)
	if text := err.Error(); strings.Contains(text, "canary") || !strings.Contains(text, "read: connection refused") {
		t.Errorf("Stat() = %q, want no URL", text)
	}
}

// TestEndOfContext returns the context's error, whatever the driver makes of it.
func TestEndOfContext(t *testing.T) {
	b := New(t.Context(), blob.NewBucket(broken{err: errors.New("gone"), code: gcerrors.Unknown}), Options{})
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.GetRef(ctx, "main"); !errors.Is(err, context.Canceled) {
		t.Errorf("GetRef() = %v, want %v", err, context.Canceled)
	}
}
