package bucket

import (
	"context"
	"errors"
	"io"
	"sync"

	"gocloud.dev/blob"
)

// reader is the body of an object, with this package's errors. It is closed at
// the latest when its context ends: not every driver lets go of a file then.
type reader struct {
	ctx  context.Context
	s    *store
	stop func() bool

	mu     sync.Mutex
	r      *blob.Reader
	closed bool
}

func newReader(ctx context.Context, s *store, r *blob.Reader) *reader {
	own := &reader{ctx: ctx, s: s, r: r}
	own.stop = context.AfterFunc(ctx, func() { _ = own.close() })
	return own
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.r.Read(p)
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	return n, r.s.bodyFailure(r.ctx, err)
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	r.stop()
	return r.close()
}

func (r *reader) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	return r.r.Close()
}
