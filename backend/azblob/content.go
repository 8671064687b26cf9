package azblob

import (
	"errors"
	"io"
	"sync"

	"github.com/larder-build/larder/internal/bucket"
)

// content is a body in the form that the SDK wants. The SDK asks how long it is
// by seeking, and net/http may read it after its request has returned: end
// prevents that.
type content struct {
	size int64

	mu     sync.Mutex
	src    io.Reader
	offset int64
	failed error // of src
	ended  bool
}

var (
	errEnded = errors.New("the request has ended")
	errOnce  = errors.New("the content cannot be read again")
)

func newContent(body bucket.Body) *content { return &content{src: body.Reader, size: body.Size} }

// Read implements [io.Reader].
func (c *content) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return 0, errEnded
	}
	if c.offset >= c.size {
		return 0, io.EOF
	}
	n, err := c.src.Read(p[:min(int64(len(p)), c.size-c.offset)])
	c.offset += int64(n)
	if errors.Is(err, io.EOF) && c.offset < c.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.failed = err
	}
	return n, err
}

// Seek implements [io.Seeker]. Sources that cannot seek take the answer to the
// question for their length for granted.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += c.offset
	case io.SeekEnd:
		offset += c.size
	}
	if offset == c.size || offset == c.offset { // to be told, or to stay
		return offset, nil
	}
	s, ok := c.src.(io.Seeker)
	if !ok {
		return 0, errOnce
	}
	if _, err := s.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	c.offset = offset
	return offset, nil
}

// Close implements [io.Closer]. The source is somebody else's.
func (c *content) Close() error { return nil }

// end waits for a read that is under way and lets no other begin.
func (c *content) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// reason returns why a request has failed: an error of the source comes before
// what the client makes of it.
func (c *content) reason(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.failed != nil {
		return c.failed
	}
	return err
}
