package local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

func TestKinds(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want error
	}{
		{"missing", syscall.ENOENT, backend.ErrNotFound},
		{"denied", syscall.EACCES, backend.ErrDenied},
		{"not the owner", syscall.EPERM, backend.ErrDenied},
		{"read-only", syscall.EROFS, backend.ErrReadOnly},
		{"full", syscall.ENOSPC, backend.ErrLimited},
		{"quota", syscall.EDQUOT, backend.ErrLimited},
		{"too many files", syscall.EMFILE, backend.ErrLimited},
		{"a file on the way", syscall.ENOTDIR, backend.ErrInvalid},
		{"broken disk", syscall.EIO, backend.ErrUnavailable},
		{"of the source", &backend.Error{Kind: backend.ErrUnavailable, Err: syscall.ENOENT}, backend.ErrUnavailable},
		{"closed", fs.ErrClosed, nil},
		{"canceled", context.Canceled, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			cause := &fs.PathError{Op: "open", Path: "x", Err: test.err}
			err := fail("put", "k", cause)
			if got := backend.Kind(err); !errors.Is(got, test.want) {
				t.Errorf("Kind(fail(%v)) = %v, want %v", test.err, got, test.want)
			}
			if !errors.Is(err, test.err) {
				t.Errorf("fail(%v) = %v, want it to wrap the cause", test.err, err)
			}
		})
	}
}

func TestTemporaryFailuresOfSourcesStayTemporary(t *testing.T) {
	b := testLayout(t, "{}")
	src := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		return nil, &backend.Error{Op: "open", Backend: "other", Kind: backend.ErrUnavailable, Temporary: true, RetryAfter: 7}
	})
	err := b.Put(t.Context(), doc("content"), src)
	if wait, ok := backend.Temporary(err); !ok || wait != 7 || !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("Temporary(%v) = %v, %v, want 7, true", err, wait, ok)
	}
}

// wantNothingOf checks that a failed Put left nothing behind.
func wantNothingOf(t *testing.T, b *Backend, content string) {
	t.Helper()
	if found, err := b.Stat(t.Context(), doc(content).Digest); err != nil || len(found) > 0 {
		t.Errorf("Stat() after a failed Put = %v, %v, want nothing", found, err)
	}
	wantNoTemps(t, b)
}

// TestFullDiskInjected has writing fail in the middle of a blob.
func TestFullDiskInjected(t *testing.T) {
	b := testLayout(t, "{}")
	content := strings.Repeat("x", 3*bufferSize)
	full := &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	err := b.receive(t.Context(), doc(content), func(t0 *temp) error {
		return fill(t.Context(), &limitedWriter{w: t0, left: bufferSize, err: full}, doc(content), blob.Bytes([]byte(content)))
	})
	if err := fail("put", "", err); !errors.Is(err, backend.ErrLimited) {
		t.Errorf("receive(full) = %v, want %v", err, backend.ErrLimited)
	}
	wantNothingOf(t, b, content)
	put(t, b, content)
	wantContent(t, b, content)
}

type limitedWriter struct {
	w    io.Writer
	left int
	err  error
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, l.err
	}
	return l.w.Write(p)
}

// brokenReader yields some bytes and then an error.
type brokenReader struct {
	io.Reader

	err error
}

func (r *brokenReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = r.err
	}
	return n, err
}

func TestPutOfABrokenSource(t *testing.T) {
	errBroken := errors.New("connection reset")
	b := testLayout(t, "{}")
	content := strings.Repeat("x", 2*bufferSize)
	src := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(&brokenReader{bytes.NewReader([]byte(content[1:])), errBroken}), nil
	})
	if err := b.Put(t.Context(), doc(content), src); !errors.Is(err, errBroken) {
		t.Errorf("Put(broken) = %v, want %v", err, errBroken)
	}
	wantNothingOf(t, b, content)
}
