package gha

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// client sends requests.
type client struct {
	own  *calls.Transport
	http *http.Client
	now  func() time.Time
	// noHead says that URLs of content are not good for HEAD.
	noHead atomic.Bool
}

func newClient(given http.RoundTripper, now func() time.Time) *client {
	own := calls.NewTransport(given, nil)
	return &client{own: own, http: own.Client(), now: now}
}

// send sends a request. The caller closes the answer.
func (c *client) send(req *http.Request, op string) (*http.Response, error) {
	backend.TraceRequest(req.Context(), op)
	req.Header.Set("User-Agent", "larder")
	req.Header.Set("Accept-Encoding", "identity") // net/http would decompress blobs
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, networkError(req.Context(), err)
	}
	notice(req.Context(), resp)
	return resp, nil
}

// networkError translates an error of net/http. The URL, in which a signature
// may be, is left out.
func networkError(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil {
		return end
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	return &bucket.Failure{Kind: backend.ErrUnavailable, Err: plain{err}, Temporary: true}
}

// plain is an error of the network. A time-out there is not the end of the
// call's context, although it looks like one.
type plain struct{ error }

// Unwrap returns the cause, unless it looks like the end of a context.
func (p plain) Unwrap() error {
	if errors.Is(p.error, context.Canceled) || errors.Is(p.error, context.DeadlineExceeded) {
		return nil
	}
	return p.error
}

// body is the content of an answer. It ends with its context, and what remains
// of it may be less than what the answer holds.
type body struct {
	ctx context.Context
	io.Reader
	io.Closer
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, networkError(b.ctx, err)
}
