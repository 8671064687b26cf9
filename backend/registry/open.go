package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// isManifest reports whether registries keep blobs of a media type among the
// manifests.
func isManifest(mediaType string) bool {
	t := types.MediaType(mediaType)
	return t.IsImage() || t.IsIndex()
}

// pathOf returns where a blob is in the repository.
func pathOf(d blob.Descriptor) string {
	if isManifest(d.MediaType) {
		return "manifests/" + d.Digest.String()
	}
	return "blobs/" + d.Digest.String()
}

// Open returns a reader of a range of a blob. What a registry that knows no
// ranges sends too much is passed over.
func (b *Backend) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	r, from, err := mirrored(ctx, b, func(b *Backend) (*reader, error) { return b.open(ctx, d, off, n) })
	if err != nil {
		return nil, fail("open", calls.DigestKey(d.Digest), err)
	}
	r.mirror = from
	return r, nil
}

func (b *Backend) open(ctx context.Context, d blob.Descriptor, off, n int64) (*reader, error) {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return nil, err
	}
	if off < 0 {
		return nil, fmt.Errorf("%w: offset %d is negative", backend.ErrInvalid, off)
	}
	merged, end, err := b.life.Begin(ctx)
	if err != nil {
		return nil, err
	}
	body, err := b.get(merged, d, off, n)
	if err != nil {
		defer end()
		return nil, b.life.Reason(ctx, err)
	}
	return &reader{ctx: ctx, b: b, key: d.Digest.String(), body: body, end: end}, nil
}

// get returns the bytes of a range.
func (b *Backend) get(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	if n == 0 {
		return b.getNothing(ctx, d, off)
	}
	header := http.Header{"Accept": accepted}
	if off > 0 || n > 0 {
		header.Set("Range", byteRange(off, n))
	}
	resp, err := b.ask(ctx, "get", http.MethodGet, pathOf(d), b.session.pull(), header,
		http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable)
	if err != nil {
		return nil, err
	}
	start, total := contentRange(resp.Header)
	switch {
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		discard(resp)
		return b.beyond(ctx, d, off, total)
	case resp.StatusCode == http.StatusPartialContent && start != off:
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%w: asked for bytes from %d on, %s sent those from %d on", backend.ErrUnavailable, off, resp.Request.URL.Host, start)
	case resp.StatusCode == http.StatusOK:
		if err := skip(resp, off); err != nil {
			_ = resp.Body.Close()
			return nil, err
		}
	}
	if n < 0 {
		return resp.Body, nil
	}
	return limited{io.LimitReader(resp.Body, n), resp.Body}, nil
}

// limited is a part of a body.
type limited struct {
	io.Reader
	io.Closer
}

// getNothing returns a reader of no bytes, if the blob has that offset.
func (b *Backend) getNothing(ctx context.Context, d blob.Descriptor, off int64) (io.ReadCloser, error) {
	size, err := b.head(ctx, pathOf(d))
	if err != nil {
		return nil, err
	}
	return nothingAt(off, size)
}

// beyond is the answer to an offset that the registry calls out of range: the
// end itself is a valid one.
func (b *Backend) beyond(ctx context.Context, d blob.Descriptor, off, size int64) (io.ReadCloser, error) {
	if size < 0 {
		return b.getNothing(ctx, d, off)
	}
	return nothingAt(off, size)
}

func nothingAt(off, size int64) (io.ReadCloser, error) {
	if size >= 0 && off > size {
		return nil, offsetError(off, size)
	}
	return http.NoBody, nil
}

func offsetError(off, size int64) error {
	return fmt.Errorf("%w: offset %d, want 0 to %d", backend.ErrInvalid, off, size)
}

// skip passes over the first bytes of a whole blob.
func skip(resp *http.Response, off int64) error {
	if resp.ContentLength >= 0 && off > resp.ContentLength {
		return offsetError(off, resp.ContentLength)
	}
	n, err := io.CopyN(io.Discard, resp.Body, off)
	if errors.Is(err, io.EOF) {
		return offsetError(off, n)
	}
	if err != nil {
		return calls.NetworkError(err)
	}
	return nil
}

// byteRange returns the header of a range.
func byteRange(off, n int64) string {
	if n < 0 || n-1 > math.MaxInt64-off {
		return fmt.Sprintf("bytes=%d-", off)
	}
	return fmt.Sprintf("bytes=%d-%d", off, off+n-1)
}

// contentRange reads "bytes 0-9/100" and "bytes */100": the first byte sent and
// how many there are. What is not said is -1.
func contentRange(h http.Header) (start, total int64) {
	value, ok := strings.CutPrefix(h.Get("Content-Range"), "bytes ")
	if !ok {
		return -1, -1
	}
	span, size, _ := strings.Cut(value, "/")
	first, _, _ := strings.Cut(span, "-")
	return number(first), number(size)
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// reader reads a response.
type reader struct {
	ctx  context.Context
	b    *Backend
	key  string
	body io.ReadCloser
	end  context.CancelFunc

	mirror *mirror // nil if it is the repository itself
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	if err := r.b.life.Ended(r.ctx); err != nil { // what is buffered is not wanted either
		return 0, fail("read", r.key, err)
	}
	n, err := r.body.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		r.mirror.note(r.ctx, nil)
	case err != nil:
		err = fail("read", r.key, r.b.life.Reason(r.ctx, calls.NetworkError(err)))
		r.mirror.note(r.ctx, err)
	}
	return n, err
}

// Close ends the request.
func (r *reader) Close() error {
	// All that was wanted has been read.
	_ = r.body.Close()
	r.end()
	return nil
}
