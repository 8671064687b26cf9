package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// maxResumes is how often an upload goes on after a broken connection without
// having got any further in between.
const maxResumes = 3

// chunked is an upload in chunks.
type chunked struct {
	b       *Backend
	d       blob.Descriptor
	src     blob.Source
	session *url.URL
	sent    int64 // what the registry has
}

// sendChunks sends the content in several requests, and goes on with what the
// registry has after a broken connection.
func (b *Backend) sendChunks(ctx context.Context, d blob.Descriptor, src blob.Source, session *url.URL) error {
	c := &chunked{b: b, d: d, src: src, session: session}
	for resumes := 0; ; resumes++ {
		before := c.sent
		err := c.sendRest(ctx)
		if !isBroken(err) || ctx.Err() != nil || resumes == maxResumes {
			return err
		}
		backend.TraceRetry(ctx, "upload", err, 0)
		if err := c.ask(ctx); err != nil {
			return err
		}
		if c.sent > before {
			resumes = -1
		}
	}
}

// isBroken reports whether an upload may go on after an error.
func isBroken(err error) bool {
	var broken *unreachable
	return errors.Is(err, errUnsent) || errors.As(err, &broken) && broken.temporary
}

// ask asks how much of the content the registry has.
func (c *chunked) ask(ctx context.Context) error {
	resp, err := c.b.do(ctx, request{op: "upload status", method: http.MethodGet, url: c.session, scopes: c.b.session.push()}, http.StatusNoContent)
	if err != nil {
		return err
	}
	defer discard(resp)
	return c.moved(resp)
}

// moved notes where the next chunk begins, and where it goes.
func (c *chunked) moved(resp *http.Response) error {
	sent, err := received(resp.Header)
	if err != nil || sent > c.d.Size {
		return fmt.Errorf("%w: the registry has an upload of %s bytes, want at most %d", backend.ErrUnavailable, blob.Quote(resp.Header.Get("Range")), c.d.Size)
	}
	c.sent = sent
	if resp.Header.Get("Location") == "" {
		return nil
	}
	c.session, err = location(resp)
	return err
}

// received reads "0-99" or "bytes=0-99" as 100, and "0-0" as nothing: a
// registry has no other way to say so, and a chunk is never of one byte.
func received(h http.Header) (int64, error) {
	value := strings.TrimPrefix(h.Get("Range"), "bytes=")
	if value == "" {
		return 0, nil
	}
	_, last, _ := strings.Cut(value, "-")
	n := number(last)
	switch {
	case n < 0:
		return 0, errors.New("malformed range")
	case n == 0:
		return 0, nil
	default:
		return n + 1, nil
	}
}

// sendRest sends what the registry has not got, from a new reader of the
// content.
func (c *chunked) sendRest(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := c.src.Open(ctx)
	if err != nil {
		return &sourceError{fmt.Errorf("open the content: %w", err)}
	}
	defer func() { _ = r.Close() }()
	whole := newContent(ctx, r, c.d)
	if _, err := io.CopyN(io.Discard, whole, c.sent); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for c.sent < c.d.Size {
		if err := c.sendChunk(ctx, cancel, whole); err != nil {
			return err
		}
	}
	return c.b.complete(ctx, blob.Descriptor{Digest: c.d.Digest}, c.session, request{}, newPart(whole, 0))
}

// sendChunk sends the next bytes.
func (c *chunked) sendChunk(ctx context.Context, cancel context.CancelFunc, whole *content) error {
	n := min(c.b.opts.ChunkSize, c.d.Size-c.sent)
	p := newPart(whole, n)
	resp, err := c.b.do(ctx, request{
		op: "upload chunk", method: http.MethodPatch, url: c.session, scopes: c.b.session.push(),
		body: p, length: n,
		header: http.Header{
			"Content-Type":  {"application/octet-stream"},
			"Content-Range": {fmt.Sprintf("%d-%d", c.sent, c.sent+n-1)},
		},
	}, http.StatusAccepted, http.StatusCreated, http.StatusNoContent)
	if err != nil {
		// A read that is under way in a source ends with its context.
		cancel()
		p.end()
		return p.failure(err)
	}
	p.end()
	defer discard(resp)
	if err := c.moved(resp); err != nil {
		return err
	}
	if whole.left != c.d.Size-c.sent {
		return &unreachable{err: errors.New("the registry has taken a part of a chunk"), temporary: true}
	}
	return nil
}
