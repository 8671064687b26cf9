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
	"github.com/larder-build/larder/internal/calls"
)

// maxResumes is how often an upload goes on after a broken connection without
// having got any further in between.
const maxResumes = 3

// upload is a blob on its way.
type upload struct {
	b       *Backend
	d       blob.Descriptor
	src     blob.Source
	chunk   int64 // how many bytes go into one request
	session *url.URL
	sent    int64 // what the registry has
}

// sendChunks sends the content in several requests.
func (b *Backend) sendChunks(ctx context.Context, d blob.Descriptor, src blob.Source, session *url.URL) error {
	return (&upload{b: b, d: d, src: src, chunk: b.opts.ChunkSize, session: session}).send(ctx)
}

// send sends what the registry has not got, and goes on after a broken
// connection.
func (u *upload) send(ctx context.Context) error {
	for resumes := 0; ; resumes++ {
		before := u.sent
		err := u.sendRest(ctx)
		if !isBroken(err) && !outOfStep(err) || ctx.Err() != nil || resumes == maxResumes {
			return err
		}
		backend.TraceRetry(ctx, "upload", err, 0)
		if err := u.ask(ctx); err != nil {
			return err
		}
		if u.sent > before {
			resumes = -1
		}
	}
}

// isBroken reports whether an upload may go on after an error.
func isBroken(err error) bool {
	var broken *calls.Unanswered
	return errors.Is(err, errUnsent) || errors.As(err, &broken) && broken.Temporary
}

// outOfStep reports whether a registry has got more, or less, than it said: when
// a connection breaks, it may not have stored all that has arrived when it is
// asked.
func outOfStep(err error) bool {
	refused, ok := errors.AsType[*ResponseError](err)
	return ok && refused.Status == http.StatusRequestedRangeNotSatisfiable
}

// ask asks how much of the content the registry has.
func (u *upload) ask(ctx context.Context) error {
	resp, err := u.b.do(ctx, request{op: "upload status", method: http.MethodGet, url: u.session, scopes: u.b.session.push()}, http.StatusNoContent)
	if err != nil {
		return err
	}
	defer discard(resp)
	return u.moved(resp)
}

// moved notes where the next chunk begins, and where it goes.
func (u *upload) moved(resp *http.Response) error {
	sent, err := received(resp.Header)
	if err != nil || sent > u.d.Size {
		return fmt.Errorf("%w: the registry has an upload of %s bytes, want at most %d", backend.ErrUnavailable, blob.Quote(resp.Header.Get("Range")), u.d.Size)
	}
	u.sent = sent
	if resp.Header.Get("Location") == "" {
		return nil
	}
	u.session, err = location(resp)
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
func (u *upload) sendRest(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errEnded)
	r, err := u.src.Open(ctx)
	if err != nil {
		return &sourceError{fmt.Errorf("open the content: %w", err)}
	}
	defer func() { _ = r.Close() }()
	whole := newContent(ctx, r, u.d)
	if _, err := io.CopyN(io.Discard, whole, u.sent); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for u.sent < u.d.Size {
		if err := u.sendChunk(ctx, cancel, whole); err != nil {
			return err
		}
	}
	return u.b.complete(ctx, blob.Descriptor{Digest: u.d.Digest}, u.session, request{}, newPart(whole, 0))
}

// sendChunk sends the next bytes.
func (u *upload) sendChunk(ctx context.Context, cancel context.CancelCauseFunc, whole *content) error {
	n := min(u.chunk, u.d.Size-u.sent)
	p := newPart(whole, n)
	resp, err := u.b.do(ctx, request{
		op: "upload chunk", method: http.MethodPatch, url: u.session, scopes: u.b.session.push(),
		body: p, length: n,
		header: http.Header{
			"Content-Type":  {"application/octet-stream"},
			"Content-Range": {fmt.Sprintf("%d-%d", u.sent, u.sent+n-1)},
		},
	}, http.StatusAccepted, http.StatusCreated, http.StatusNoContent)
	if err != nil {
		// A read that is under way in a source ends with its context.
		cancel(errEnded)
		p.end()
		return p.failure(err)
	}
	p.end()
	defer discard(resp)
	if err := u.moved(resp); err != nil {
		return err
	}
	if whole.left != u.d.Size-u.sent {
		return &calls.Unanswered{Err: errors.New("the registry has taken a part of a chunk"), Temporary: true}
	}
	return nil
}
