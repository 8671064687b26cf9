package wrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// freshAttempts is how many bytes a body has to move to earn all attempts anew:
// enough that a store that breaks off after every few bytes is given up.
const freshAttempts = 1 << 20

// body is a reader of a range that is opened again, at the offset reached, when
// it breaks.
type body struct {
	ctx    context.Context // of Open, which governs the reader
	retry  *retry
	effort *effort
	open   opener
	d      blob.Descriptor

	src     io.ReadCloser
	off, n  int64 // what is left of the range; n < 0 means to the end
	err     error // met again at every Read
	pending error // came with the bytes of the last read
	moved   int64 // since the attempts were last renewed
	endAt   int64 // where a source ended too early, or -1
}

// open opens a range, with as many attempts as it takes. A local file is handed
// on as it is: it does not break off.
func (r *retry) open(ctx context.Context, open opener, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	b := &body{ctx: ctx, retry: r, effort: r.effort(opOpen), open: open, d: d, off: off, n: n, endAt: -1}
	src, err := attempt(ctx, b.effort, b.reopen)
	if err != nil {
		return nil, err
	}
	if fileOf(src) != nil {
		return src, nil
	}
	b.src = src
	return b, nil
}

func (b *body) reopen() (io.ReadCloser, error) { return b.open(b.ctx, b.d, b.off, b.n) }

func (b *body) Read(p []byte) (int, error) {
	for b.err == nil {
		n, err := b.next(p)
		if n > 0 || err == nil {
			b.pending = err
			return n, nil
		}
		b.err = b.resume(err)
	}
	return 0, b.err
}

// next reads from the present source.
func (b *body) next(p []byte) (int, error) {
	if b.pending != nil {
		return 0, b.pending
	}
	n, err := b.src.Read(p)
	b.advance(int64(n))
	return n, err
}

// advance moves the range's start past n bytes.
func (b *body) advance(n int64) {
	b.off += n
	if b.n >= 0 {
		b.n -= min(n, b.n)
	}
	if b.moved += n; b.moved >= freshAttempts {
		b.moved, b.effort.failures, b.effort.waited = 0, 0, 0
	}
}

// resume opens the source again after err, or returns the error to end with.
func (b *body) resume(err error) error {
	b.pending = nil
	if errors.Is(err, io.EOF) {
		// What ends twice at the same place ends there, even if the descriptor
		// expects more: then the blob on the store is short.
		if !b.isShort() || b.endAt == b.off {
			return io.EOF
		}
		b.endAt = b.off
		err = fmt.Errorf("%w: %d bytes before the end", io.ErrUnexpectedEOF, b.d.Size-b.off)
	}
	if err := b.effort.again(b.ctx, b.translate(err)); err != nil {
		return err
	}
	// What it says is of no interest: it is broken.
	_ = b.src.Close()
	src, err := attempt(b.ctx, b.effort, b.reopen)
	if err != nil {
		b.src = nil
		return err
	}
	b.src = src
	return nil
}

// isShort reports whether bytes are known to be missing.
func (b *body) isShort() bool { return b.n != 0 && b.off < b.d.Size }

// translate gives errors of a connection, which drivers hand on from bodies as
// they are, the form of a backend's temporary error.
func (b *body) translate(err error) error {
	for _, final := range []error{context.Canceled, context.DeadlineExceeded, fs.ErrClosed, blob.ErrCorrupt} {
		if errors.Is(err, final) {
			return err
		}
	}
	if _, ok := errors.AsType[*backend.Error](err); ok {
		return err
	}
	return &backend.Error{
		Op: opOpen, Backend: b.retry.next.Info().Driver, Key: string(b.d.Digest),
		Kind: backend.ErrUnavailable, Err: err, Temporary: true,
	}
}

func (b *body) Close() error {
	src := b.src
	b.src = nil
	b.err = fs.ErrClosed
	if src == nil {
		return nil
	}
	return src.Close()
}
