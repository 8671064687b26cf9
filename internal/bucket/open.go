package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// Open returns a reader of a range of a blob. Large ranges are fetched in
// pieces, some of them ahead of what is read, as memory allows.
func (b *Backend) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	r, err := b.open(ctx, d, off, n)
	if err != nil {
		return nil, b.fail("open", calls.DigestKey(d.Digest), err)
	}
	return r, nil
}

func (b *Backend) open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return nil, err
	}
	merged, end, err := b.life.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if off < 0 {
		end()
		return nil, fmt.Errorf("%w: offset %d is negative", backend.ErrInvalid, off)
	}
	if n > math.MaxInt64-off {
		n = -1
	}
	body, err := b.openRange(merged, d, off, n)
	if err != nil {
		end()
		return nil, b.life.Reason(ctx, err)
	}
	return &reader{b: b, ctx: ctx, end: end, key: d.Digest.String(), body: body}, nil
}

// openRange returns the body of a range that is not malformed.
func (b *Backend) openRange(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	key := b.opts.Keys.blob(d.Digest)
	if n == 0 {
		return b.openNothing(ctx, key, off)
	}
	first := n
	if want := d.Size - off; want > b.partsFrom() && (n < 0 || n > b.partsFrom()) {
		first = b.buffers.size
	}
	r, o, err := b.store.Get(ctx, key, off, first)
	switch {
	case errors.Is(err, ErrRange):
		return b.openNothing(ctx, key, off)
	case err != nil:
		return nil, err
	case o.Size < 0 && first == n:
		return r, nil
	case o.Size < 0: // how much there is to fetch is not known
		_ = r.Close()
		r, _, err = b.store.Get(ctx, key, off, n)
		return r, err
	}
	to := o.Size
	if n > 0 {
		to = min(to, off+n)
	}
	if first == n {
		return &counted{ReadCloser: r, left: to - off}, nil
	}
	head := &counted{ReadCloser: r, left: min(first, to-off)}
	return newPieces(ctx, b, key, head, off+first, to), nil
}

// openNothing returns no bytes, after a look whether the offset is right.
func (b *Backend) openNothing(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	o, err := b.store.Head(ctx, key)
	if err != nil {
		return nil, err
	}
	if off > o.Size {
		return nil, fmt.Errorf("%w: offset %d, want 0 to %d", backend.ErrInvalid, off, o.Size)
	}
	return io.NopCloser(strings.NewReader("")), nil
}

// counted is a body of a known number of bytes. Clients do not always notice
// that one is cut off.
type counted struct {
	io.ReadCloser
	left int64
}

// Read implements [io.Reader].
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.left -= int64(n)
	if errors.Is(err, io.EOF) && c.left > 0 {
		return n, fmt.Errorf("%w: %d bytes are missing", io.ErrUnexpectedEOF, c.left)
	}
	return n, err
}

// reader is what a caller reads from. It ends with its context, which is the
// caller's, and with the backend. It may be closed while it is read, which is
// how a Read that stalls is ended.
type reader struct {
	b      *Backend
	ctx    context.Context
	end    context.CancelFunc
	key    string
	closed atomic.Bool

	mu   sync.Mutex
	body io.ReadCloser
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.b.life.Ended(r.ctx)
	if r.closed.Load() {
		err = fs.ErrClosed
	}
	if err != nil {
		return 0, r.b.fail("read", r.key, err)
	}
	n, err := r.body.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, r.b.fail("read", r.key, r.b.life.Reason(r.ctx, broken(err)))
}

// broken returns the error of a body that has broken off, which may pass.
func broken(err error) error {
	if _, ok := errors.AsType[*Failure](err); ok || isEnd(err) {
		return err
	}
	return &Failure{Kind: backend.ErrUnavailable, Err: err, Temporary: true}
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	r.end() // a Read that is under way ends
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.body.Close()
}
