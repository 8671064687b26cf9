package gha

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/larder-build/larder/internal/bucket"
)

// head returns the size of the content at a URL, or -1. Where HEAD is refused, it
// asks for the first byte.
func (c *client) head(ctx context.Context, content *url.URL, byHead bool) (int64, error) {
	if byHead && !c.noHead.Load() {
		resp, err := c.request(ctx, "head", http.MethodHead, content, "", nil)
		if err == nil {
			return resp.ContentLength, resp.Body.Close()
		}
		if status := statusOf(err); status != http.StatusForbidden && status != http.StatusMethodNotAllowed && status != http.StatusNotImplemented {
			return 0, err
		}
	}
	r, size, err := c.get(ctx, content, 0, 1)
	switch {
	case errors.Is(err, bucket.ErrRange): // there is no first byte
		return 0, nil
	case err != nil:
		return 0, err
	}
	c.noHead.Store(byHead)
	return size, r.Close()
}

// get returns a reader of a range of the content at a URL, and the size of the
// whole, or -1. Servers that ignore ranges are read past what was not asked for.
func (c *client) get(ctx context.Context, content *url.URL, off, n int64) (io.ReadCloser, int64, error) {
	header := ""
	if off > 0 || n > 0 {
		header = fmt.Sprintf("bytes=%d-", off)
	}
	if n > 0 {
		header += strconv.FormatInt(off+n-1, 10)
	}
	resp, err := c.request(ctx, "get", http.MethodGet, content, header, nil)
	if err != nil {
		return nil, 0, err
	}
	r, size, err := ranged(ctx, resp, off, n)
	if err != nil {
		_ = resp.Body.Close()
		return nil, 0, err
	}
	return r, size, nil
}

// ranged returns what was asked for of an answer.
func ranged(ctx context.Context, resp *http.Response, off, n int64) (io.ReadCloser, int64, error) {
	r := &body{ctx, resp.Body, resp.Body}
	if resp.StatusCode == http.StatusPartialContent {
		var start, last, size int64
		header := resp.Header.Get("Content-Range")
		if _, err := fmt.Sscanf(header, "bytes %d-%d/%d", &start, &last, &size); err != nil || start != off {
			return nil, 0, unexpected(resp.Request.URL.Host, "with another range than the one from %d on", off)
		}
		return r, size, nil
	}
	size := resp.ContentLength
	if off > 0 && size >= 0 && off >= size {
		return nil, 0, bucket.ErrRange
	}
	if off > 0 {
		if _, err := io.CopyN(io.Discard, r, off); err != nil {
			return nil, 0, err
		}
	}
	if n > 0 {
		r.Reader = io.LimitReader(resp.Body, n)
	}
	return r, size, nil
}

// upload sends content to a signed URL.
func (c *client) upload(ctx context.Context, op string, where *url.URL, content bucket.Body) error {
	resp, err := c.request(ctx, op, http.MethodPut, where, "", &content)
	if err != nil {
		return err
	}
	return discard(resp)
}

// discard closes an answer in a way that its connection can be used again.
func discard(resp *http.Response) error {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // if not, then not
	return resp.Body.Close()
}

// request sends a request to a signed URL. The caller closes the answer.
func (c *client) request(ctx context.Context, op, method string, where *url.URL, span string, content *bucket.Body) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, where.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("malformed request") // the error has the URL
	}
	if content != nil {
		req.Body, req.ContentLength = io.NopCloser(content.Reader), content.Size
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	if op == "put" {
		req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
	}
	if span != "" {
		req.Header.Set("Range", span)
	}
	resp, err := c.send(req, op)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusPartialContent, http.StatusNoContent:
		return resp, nil
	case http.StatusRequestedRangeNotSatisfiable:
		return nil, errors.Join(bucket.ErrRange, resp.Body.Close())
	default:
		return nil, refusal(resp, c.now(), secretsIn(where)...)
	}
}
