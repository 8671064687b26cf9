package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// content is a source on its way to a store: it fails instead of handing out
// the last byte unless the content is right and the context has not ended.
// Clients may read a body after they have returned, hence end.
type content struct {
	ctx context.Context
	src io.Reader

	mu     sync.Mutex
	reason error
	ended  bool
}

// errEnded is what a client gets for reading too late.
var errEnded = errors.New("the upload has ended")

// newContent returns the content of r, which is verified unless the store does.
func (b *Backend) newContent(ctx context.Context, r io.ReadCloser, d blob.Descriptor) *content {
	if b.features.VerifiesDigest && d.Size > 0 {
		return &content{ctx: ctx, src: &sized{src: r, want: d, left: d.Size}}
	}
	return &content{ctx: ctx, src: blob.NewReader(r, d)}
}

// Read implements [io.Reader].
func (c *content) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return 0, errEnded
	}
	n, err := c.src.Read(p)
	if ended := c.ctx.Err(); ended != nil {
		n, err = 0, ended
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.reason = err
	}
	return n, err
}

// readAll fills data with the whole content.
func (c *content) readAll(data []byte) error {
	if _, err := io.ReadFull(c, data); err != nil {
		return err
	}
	if len(data) > 0 {
		return nil
	}
	// An empty content is looked at all the same.
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// end waits for a read that is under way and lets no other begin.
func (c *content) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// failure returns why a request failed: the source's error, if it had one,
// comes before what a client makes of it.
func (c *content) failure(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.reason != nil {
		return c.reason
	}
	return err
}

// sized checks the size of a source, and hands out the last byte only when the
// source has ended behind it.
type sized struct {
	src  io.Reader
	want blob.Descriptor
	left int64
	err  error
}

// Read implements [io.Reader].
func (s *sized) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.src.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	switch {
	case s.left == 0:
		if err = s.last(); errors.Is(err, io.EOF) {
			s.err = io.EOF
			return n, nil
		}
		n = 0
	case errors.Is(err, io.EOF):
		err = sizeError(s.want, s.want.Size-s.left)
	}
	s.err = err
	return n, err
}

// last returns io.EOF if the source ends here.
func (s *sized) last() error {
	var extra [1]byte
	n, err := io.ReadFull(s.src, extra[:])
	if n > 0 {
		return fmt.Errorf("%w: the content has more than the %d bytes wanted", backend.ErrCorrupt, s.want.Size)
	}
	return err
}

func sizeError(d blob.Descriptor, got int64) error {
	return fmt.Errorf("%w: the content has %d bytes, want %d", backend.ErrCorrupt, got, d.Size)
}

// bytesBody is a body of bytes that are known to be right.
func bytesBody(data []byte) Body {
	return Body{Reader: bytes.NewReader(data), Size: int64(len(data)), Digest: blob.Describe("", data).Digest}
}

// filer is a reader of a local file, as package local's: the n bytes from the
// file's present offset on.
type filer interface {
	File() (f *os.File, n int64)
}

// fileOf returns the bytes that r has yet to yield as a part of a file or of
// memory that can be read anywhere, or nil if r is neither.
func fileOf(r io.Reader) *io.SectionReader {
	switch r := r.(type) {
	case filer:
		f, n := r.File()
		return rest(f, n)
	case *os.File:
		info, err := r.Stat()
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		offset, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil
		}
		return io.NewSectionReader(r, offset, info.Size()-offset)
	case interface {
		io.ReaderAt
		Len() int
		Size() int64
	}: // a bytes.Reader or strings.Reader
		return io.NewSectionReader(r, r.Size()-int64(r.Len()), int64(r.Len()))
	default:
		return nil
	}
}

func rest(f *os.File, n int64) *io.SectionReader {
	if f == nil {
		return nil
	}
	offset, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil
	}
	return io.NewSectionReader(f, offset, n)
}
