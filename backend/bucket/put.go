package bucket

import (
	"context"
	"errors"
	"io"
	"sync"

	"gocloud.dev/blob"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// contentType is that of every object. With one that is given, gocloud.dev does
// not look into the content to guess.
const contentType = "application/octet-stream"

// Put implements [bucket.Store]. Upload is used and not NewWriter, because some
// drivers then read the body themselves, in parts where it is large.
func (s *store) Put(ctx context.Context, key string, body bucket.Body, cond backend.Condition) (bucket.Object, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opts := &blob.WriterOptions{ContentType: contentType}
	writing, err := s.service.Write(opts, body.Size, cond)
	if err != nil {
		return bucket.Object{}, s.failure(ctx, err)
	}
	if writing.End != nil {
		defer writing.End()
	}
	s.count(ctx, "put")
	c := &content{src: body.Reader, left: body.Size, abort: func(err error) {
		if writing.Abort != nil {
			writing.Abort(err)
		}
		cancel()
	}}
	if err := s.bucket.Upload(ctx, key, c, opts); err != nil {
		return bucket.Object{}, c.reason(s.failure(ctx, err))
	}
	if err := c.reason(nil); err != nil {
		return bucket.Object{}, err
	}
	o := bucket.Object{Key: key, Size: body.Size}
	if writing.Written != nil {
		w := writing.Written()
		o.Version, o.ModTime = w.Version, w.ModTime
	}
	return o, nil
}

// content is a body on its way to a bucket. Upload makes an object visible of
// whatever it could read, unless its context has ended by then: so content ends
// it before it lets out an error.
type content struct {
	src   io.Reader
	abort func(error)

	left int64
	mu   sync.Mutex // a driver may read on after it has returned
	err  error
}

// Read implements [io.Reader].
func (c *content) Read(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	if len(p) == 0 {
		return 0, io.EOF
	}
	n, err := c.src.Read(p)
	c.left -= int64(n)
	switch {
	case c.left == 0:
		return n, nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		c.fail(err)
	}
	return n, err
}

// buffers are for WriteTo: gocloud.dev would make one of 1 MiB for each object.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// WriteTo implements [io.WriterTo].
func (c *content) WriteTo(w io.Writer) (int64, error) {
	buf := buffers.Get().(*[64 << 10]byte) //nolint:errcheck // the pool has nothing else
	defer buffers.Put(buf)
	var written int64
	for {
		n, err := c.Read(buf[:])
		if n > 0 {
			m, werr := w.Write(buf[:n])
			written += int64(m)
			if werr != nil {
				return written, werr
			}
		}
		if errors.Is(err, io.EOF) {
			return written, nil
		}
		if err != nil {
			return written, err
		}
	}
}

func (c *content) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		c.abort(err)
	}
}

// reason returns the error of the content, if there was one, in place of err.
func (c *content) reason(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	return err
}
