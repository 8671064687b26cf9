package wrap_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

var errReset = errors.New("connection reset by peer")

// digits is n bytes of content that differ by their place.
func digits(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return data
}

// stored returns a faulty store with one blob.
func stored(t *testing.T, data []byte, faults ...faulty.Fault) (*faulty.Backend, blob.Descriptor) {
	t.Helper()
	store, d := mem.New(), blob.Describe("", data)
	if err := store.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Fatal(err)
	}
	return faulty.New(store, faults...), d
}

func readRange(ctx context.Context, b backend.Backend, d blob.Descriptor, off, n int64) ([]byte, error) {
	r, err := b.Open(ctx, d, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// TestRetryResumesBodies breaks a body at every offset, in all ways.
func TestRetryResumesBodies(t *testing.T) {
	data := digits(40)
	ranges := []struct{ off, n int64 }{{0, -1}, {0, 40}, {0, 100}, {7, -1}, {7, 20}, {39, -1}, {0, 1}}
	for _, breakErr := range []error{errReset, io.ErrUnexpectedEOF, down(0), nil} {
		for _, r := range ranges {
			for at := int64(1); at <= 41; at++ {
				synctest.Test(t, func(t *testing.T) {
					store, d := stored(t, data, faulty.Fault{Op: faulty.Open, BreakAt: at, Err: breakErr, Times: 2})
					got, err := readRange(t.Context(), wrap.Retry(store, wrap.RetryOptions{}), d, r.off, r.n)
					want := data[r.off:]
					if r.n >= 0 {
						want = want[:min(int64(len(want)), r.n)]
					}
					if !bytes.Equal(got, want) || err != nil {
						t.Errorf("Open(%d, %d) broken by %v after %d = %v, %v, want %v", r.off, r.n, breakErr, at, got, err, want)
					}
				})
			}
		}
	}
}

// offsets records where bodies are opened.
type offsets struct {
	backend.Backend
	list [][2]int64
}

func (o *offsets) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	o.list = append(o.list, [2]int64{off, n})
	return o.Backend.Open(ctx, d, off, n)
}

func TestRetryResumesWhereItBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := stored(t, digits(40), faulty.Fault{Op: faulty.Open, BreakAt: 10, Err: errReset, Times: 2})
		opened := &offsets{Backend: store}
		if _, err := readRange(t.Context(), wrap.Retry(opened, wrap.RetryOptions{}), d, 5, 30); err != nil {
			t.Fatal(err)
		}
		want := [][2]int64{{5, 30}, {15, 20}, {25, 10}}
		if len(opened.list) != 3 || opened.list[0] != want[0] || opened.list[1] != want[1] || opened.list[2] != want[2] {
			t.Errorf("opened the ranges %v, want %v", opened.list, want)
		}
	})
}

func TestRetryGivesUpBodies(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		want  error
		opens int
	}{
		{"reset again and again", errReset, errReset, 5},
		{"temporary", down(0), backend.ErrUnavailable, 5},
		{"denied", &backend.Error{Op: "open", Backend: "test", Kind: backend.ErrDenied}, backend.ErrDenied, 1},
		{"closed", fs.ErrClosed, fs.ErrClosed, 1},
		{"corrupt", blob.ErrCorrupt, blob.ErrCorrupt, 1},
		{"canceled", context.Canceled, context.Canceled, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, d := stored(t, digits(40), faulty.Fault{Op: faulty.Open, BreakAt: 1, Err: test.err, Times: -1})
				r, err := wrap.Retry(store, wrap.RetryOptions{}).Open(t.Context(), d, 0, -1)
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.ReadAll(r)
				checkFinal(t, err, test.want)
				_, again := r.Read(make([]byte, 1))
				checkFinal(t, again, test.want)
				if got := store.Calls(faulty.Open); got != test.opens {
					t.Errorf("opened %d times, want %d", got, test.opens)
				}
				if err := r.Close(); err != nil {
					t.Errorf("Close() = %v, want nil", err)
				}
			})
		})
	}
}

func checkFinal(t *testing.T, err, want error) {
	t.Helper()
	if _, temporary := backend.Temporary(err); temporary || !errors.Is(err, want) {
		t.Errorf("Read = %v (temporary %v), want %v, final", err, temporary, want)
	}
}

// TestRetryRenewsAttempts reads a body that breaks more often than a call may
// fail, but moves on.
func TestRetryRenewsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := digits(12 << 20)
		store, d := stored(t, data, faulty.Fault{Op: faulty.Open, BreakAt: 1 << 20, Err: errReset, Times: -1})
		got, err := readRange(t.Context(), wrap.Retry(store, wrap.RetryOptions{Attempts: 2}), d, 0, -1)
		if !bytes.Equal(got, data) || err != nil {
			t.Errorf("read %d bytes, %v, want %d and nil", len(got), err, len(data))
		}
	})
}

// TestRetryLeavesShortBlobs reads a blob of which the store has less than its
// descriptor says: that is for Verify to judge, and costs one request.
func TestRetryLeavesShortBlobs(t *testing.T) {
	store, d := stored(t, digits(40))
	d.Size = 50
	got, err := readRange(t.Context(), wrap.Retry(store, wrap.RetryOptions{Random: func() float64 { return 0 }}), d, 0, -1)
	if len(got) != 40 || err != nil || store.Calls(faulty.Open) != 2 {
		t.Errorf("read %d bytes, %v, opened %d times, want 40, nil, 2", len(got), err, store.Calls(faulty.Open))
	}
	d.Size = -1
	if got, err = readRange(t.Context(), wrap.Retry(store, wrap.RetryOptions{}), d, 0, -1); len(got) != 40 || err != nil || store.Calls(faulty.Open) != 3 {
		t.Errorf("of unknown size: read %d bytes, %v, want 40, nil, opened once more", len(got), err)
	}
}

func TestRetryBodyObeysContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := stored(t, digits(40), faulty.Fault{Op: faulty.Open, BreakAt: 1, Err: down(time.Minute), Times: -1})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, err := readRange(ctx, wrap.Retry(store, wrap.RetryOptions{}), d, 0, -1)
		if !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("read = %v after %v, want context.Canceled after 1s", err, time.Since(began))
		}
	})
}

func TestRetryBodyClosed(t *testing.T) {
	store, d := stored(t, digits(40))
	r, err := wrap.Retry(store, wrap.RetryOptions{}).Open(t.Context(), d, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Errorf("Close() twice = %v, want nil", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) || store.Calls(faulty.Open) != 1 {
		t.Errorf("Read after Close = %v after %d opens, want fs.ErrClosed after one", err, store.Calls(faulty.Open))
	}
}
