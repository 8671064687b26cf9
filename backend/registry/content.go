package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// sourceError is the failure of a source, as opposed to that of a registry.
type sourceError struct{ err error }

// Error describes it.
func (e *sourceError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *sourceError) Unwrap() error { return e.err }

func sizeError(d blob.Descriptor, got int64) error {
	return fmt.Errorf("%w: the content has %d bytes, want %d", backend.ErrCorrupt, got, d.Size)
}

// content reads a source once. It hands out the last byte only when the source
// has ended behind it and the context has not, so that a registry never has
// all of something that is too long or not wanted any more.
type content struct {
	ctx  context.Context
	src  io.Reader
	want blob.Descriptor
	left int64
	err  error
}

func newContent(ctx context.Context, src io.Reader, d blob.Descriptor) *content {
	return &content{ctx: ctx, src: src, want: d, left: d.Size}
}

// Read implements [io.Reader].
func (c *content) Read(p []byte) (n int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.left > 0 {
		n, err = c.src.Read(p[:min(int64(len(p)), c.left)])
		c.left -= int64(n)
	}
	if ended := c.ended(); ended != nil {
		err = ended
	} else if c.left == 0 {
		err = c.last()
	} else if errors.Is(err, io.EOF) {
		err = sizeError(c.want, c.want.Size-c.left)
	}
	c.err = err
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	c.err = &sourceError{err}
	return 0, c.err
}

// ended returns why the content is not wanted any more, or nil.
func (c *content) ended() error {
	if errors.Is(context.Cause(c.ctx), errEnded) {
		return errEnded
	}
	return c.ctx.Err()
}

// last returns io.EOF if the source ends here.
func (c *content) last() error {
	var extra [1]byte
	n, err := io.ReadFull(c.src, extra[:])
	switch {
	case n > 0:
		return fmt.Errorf("%w: the content has more than the %d bytes wanted", backend.ErrCorrupt, c.want.Size)
	case errors.Is(err, io.EOF):
		if ended := c.ended(); ended != nil {
			return ended
		}
		return io.EOF
	default:
		return err
	}
}

// part is the body of a request: some of the bytes of a content. net/http may
// read and close it after it has returned the response, hence end.
type part struct {
	mu     sync.Mutex
	src    *content
	left   int64
	reason error
	ended  bool
}

func newPart(c *content, n int64) *part { return &part{src: c, left: n} }

// errEnded is what net/http gets for reading too late. It is no failure of the
// source.
var errEnded = errors.New("the upload has ended")

// Read implements [io.Reader].
func (p *part) Read(buf []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ended:
		return 0, errEnded
	case p.left == 0 && p.src.left > 0:
		return 0, io.EOF
	}
	n, err := p.src.Read(buf[:min(int64(len(buf)), max(p.left, 1))])
	p.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		p.reason = err
	}
	return n, err
}

// Close does nothing: the source is closed by whoever opened it.
func (p *part) Close() error { return nil }

// end waits for a read that is under way and lets no other begin.
func (p *part) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
}

// failure returns why a request failed: the source's error, if it had one,
// comes before what net/http makes of it.
func (p *part) failure(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reason != nil && !errors.Is(p.reason, errEnded) {
		return p.reason
	}
	return err
}
