package gha

import (
	"context"
	"errors"
	"io"
	"net/http"
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
	backend.TraceProgress(req.Context())
	return resp, nil
}

// networkError translates an error of net/http.
func networkError(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil {
		return end
	}
	return &bucket.Failure{Kind: backend.ErrUnavailable, Err: calls.NetworkError(err), Temporary: true}
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
