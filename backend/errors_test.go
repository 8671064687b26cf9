package backend_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

func kinds() map[string]error {
	return map[string]error{
		"not found": backend.ErrNotFound, "conflict": backend.ErrConflict, "already exists": backend.ErrExists,
		"not supported": backend.ErrUnsupported, "invalid": backend.ErrInvalid, "denied": backend.ErrDenied,
		"read-only": backend.ErrReadOnly, "limit reached": backend.ErrLimited, "too large": backend.ErrTooLarge,
		"unavailable": backend.ErrUnavailable, "corrupt": backend.ErrCorrupt,
	}
}

func TestKindsAreDistinct(t *testing.T) {
	for text, kind := range kinds() {
		if kind.Error() != text {
			t.Errorf("Error() = %q, want %q", kind, text)
		}
		for _, other := range kinds() {
			if got, want := errors.Is(kind, other), kind == other; got != want { //nolint:errorlint // Identity is the point.
				t.Errorf("Is(%v, %v) = %t, want %t", kind, other, got, want)
			}
		}
	}
}

func TestKindsMatchTheStandardLibrarys(t *testing.T) {
	for _, tt := range []struct{ kind, standard error }{
		{backend.ErrNotFound, fs.ErrNotExist},
		{backend.ErrExists, fs.ErrExist},
		{backend.ErrUnsupported, errors.ErrUnsupported},
		{backend.ErrInvalid, fs.ErrInvalid},
		{backend.ErrDenied, fs.ErrPermission},
	} {
		if !errors.Is(tt.kind, tt.standard) {
			t.Errorf("Is(%v, %v) = false, want true", tt.kind, tt.standard)
		}
		if errors.Is(tt.standard, tt.kind) {
			t.Errorf("Is(%v, %v) = true, want false: the standard error says less", tt.standard, tt.kind)
		}
	}
}

func TestKind(t *testing.T) {
	for _, kind := range kinds() {
		wrapped := fmt.Errorf("copy: %w", &backend.Error{Op: "put", Backend: "s3", Kind: kind, Err: errors.New("403")})
		if got := backend.Kind(wrapped); got != kind { //nolint:errorlint // Kind returns the sentinels themselves.
			t.Errorf("Kind(%v) = %v, want %v", wrapped, got, kind)
		}
	}
	for _, err := range []error{nil, errors.New("x"), context.Canceled, fs.ErrClosed, fs.ErrNotExist} {
		if got := backend.Kind(err); got != nil {
			t.Errorf("Kind(%v) = %v, want nil", err, got)
		}
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("503 Slow Down, request 42")
	for _, tt := range []struct {
		name string
		err  backend.Error
		want string
	}{
		{"kind and cause", backend.Error{Op: "put ref", Backend: "s3", Key: "main", Kind: backend.ErrLimited, Err: cause}, "s3: put ref main: limit reached: 503 Slow Down, request 42"},
		{"kind", backend.Error{Op: "put ref", Backend: "s3", Key: "main", Kind: backend.ErrConflict}, "s3: put ref main: conflict"},
		{"cause", backend.Error{Op: "get ref", Backend: "s3", Key: "main", Err: cause}, "s3: get ref main: 503 Slow Down, request 42"},
		{"no key", backend.Error{Op: "list", Backend: "gha", Kind: backend.ErrUnsupported}, "gha: list: not supported"},
		{"nothing", backend.Error{Op: "list", Backend: "gha"}, "gha: list: failed"},
		{
			"cause that begins with its kind",
			backend.Error{Op: "open", Backend: "mem", Key: "k", Kind: backend.ErrInvalid, Err: fmt.Errorf("%w: offset -1", backend.ErrInvalid)},
			"mem: open k: invalid: offset -1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("Error() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestErrorUnwrapsToKindAndCause(t *testing.T) {
	cause := &fs.PathError{Op: "open", Path: "x", Err: errors.New("no space")}
	err := fmt.Errorf("export: %w", &backend.Error{Op: "put", Backend: "local", Kind: backend.ErrLimited, Err: cause})
	var path *fs.PathError
	if !errors.Is(err, backend.ErrLimited) || !errors.As(err, &path) || path != cause {
		t.Errorf("Is(%v, kind), As(%v, cause) = %t, %v, want both", err, err, errors.Is(err, backend.ErrLimited), path)
	}
	if got := (&backend.Error{}).Unwrap(); len(got) != 0 {
		t.Errorf("Unwrap() of an empty error = %v, want none", got)
	}
}

func TestTemporary(t *testing.T) {
	slow := &backend.Error{Op: "put", Backend: "s3", Kind: backend.ErrLimited, Temporary: true, RetryAfter: 3 * time.Second}
	for _, tt := range []struct {
		name  string
		err   error
		after time.Duration
		ok    bool
	}{
		{"temporary", slow, 3 * time.Second, true},
		{"temporary and wrapped", fmt.Errorf("copy: %w", slow), 3 * time.Second, true},
		{"temporary without time", &backend.Error{Temporary: true}, 0, true},
		{"permanent", &backend.Error{Kind: backend.ErrDenied}, 0, false},
		{"end of the context", &backend.Error{Err: context.Canceled, Temporary: true}, 0, false},
		{"deadline", errors.Join(slow, context.DeadlineExceeded), 0, false},
		{"another error", blob.ErrCorrupt, 0, false},
		{"none", nil, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if after, ok := backend.Temporary(tt.err); after != tt.after || ok != tt.ok {
				t.Errorf("Temporary(%v) = %s, %t, want %s, %t", tt.err, after, ok, tt.after, tt.ok)
			}
		})
	}
}

func ExampleError() {
	err := error(&backend.Error{
		Op: "put ref", Backend: "s3", Key: "main",
		Kind: backend.ErrConflict, Err: errors.New("412 PreconditionFailed, request 7"),
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, backend.ErrConflict))
	// Output:
	// s3: put ref main: conflict: 412 PreconditionFailed, request 7
	// true
}
