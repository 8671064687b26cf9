package gha

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/larder-build/larder/internal/bucket"
)

// head returns the size of the content at a URL, or -1.
func (s *store) head(ctx context.Context, content *url.URL) (int64, error) {
	resp, err := s.request(ctx, "head", http.MethodHead, content, "", nil)
	if err != nil {
		return 0, err
	}
	return resp.ContentLength, resp.Body.Close()
}

// get returns a reader of a range of the content at a URL, and the size of the
// whole, or -1. Servers that ignore ranges are read past what was not asked for.
func (s *store) get(ctx context.Context, content *url.URL, off, n int64) (io.ReadCloser, int64, error) {
	header := ""
	if off > 0 || n > 0 {
		header = fmt.Sprintf("bytes=%d-", off)
	}
	if n > 0 {
		header += strconv.FormatInt(off+n-1, 10)
	}
	resp, err := s.request(ctx, "get", http.MethodGet, content, header, nil)
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

// put stores the content of a reservation in one request.
func (s *store) put(ctx context.Context, r *reservation, content bucket.Body) error {
	return s.upload(ctx, "put", r.content, content)
}

// putBlock stores a block of it.
func (s *store) putBlock(ctx context.Context, r *reservation, number int, content bucket.Body) error {
	q := url.Values{"comp": {"block"}, "blockid": {blockID(r.id, number)}}
	return s.upload(ctx, "put block", withQuery(r.content, q), content)
}

// putList puts the blocks together.
func (s *store) putList(ctx context.Context, r *reservation, blocks int) error {
	type list struct {
		XMLName xml.Name `xml:"BlockList"`
		Latest  []string
	}
	l := list{Latest: make([]string, blocks)}
	for number := range l.Latest {
		l.Latest[number] = blockID(r.id, number)
	}
	data, err := xml.Marshal(l)
	if err != nil {
		return err
	}
	where := withQuery(r.content, url.Values{"comp": {"blocklist"}})
	return s.upload(ctx, "put block list", where, bucket.Body{Reader: bytes.NewReader(data), Size: int64(len(data))})
}

// blockID returns the id of a block in the form of Azure's SDK for Go, from
// which servers that keep content elsewhere take the number of the block.
//
// Source: github.com/Azure/azure-sdk-for-go, sdk/storage/azblob/blockblob.
func blockID(upload [16]byte, number int) string {
	var id [64]byte
	copy(id[:], upload[:])
	binary.BigEndian.PutUint32(id[16:], uint32(number)) //nolint:gosec // below maxBlocks
	return base64.StdEncoding.EncodeToString(id[:])
}

// withQuery adds parameters to a URL, whose own stay as they were signed.
func withQuery(u *url.URL, q url.Values) *url.URL {
	added := *u
	if added.RawQuery != "" {
		added.RawQuery += "&"
	}
	added.RawQuery += q.Encode()
	return &added
}

func (s *store) upload(ctx context.Context, op string, where *url.URL, content bucket.Body) error {
	resp, err := s.request(ctx, op, http.MethodPut, where, "", &content)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection can be used again
	return resp.Body.Close()
}

// request sends a request to a signed URL. The caller closes the answer.
func (s *store) request(ctx context.Context, op, method string, where *url.URL, span string, content *bucket.Body) (*http.Response, error) {
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
	resp, err := s.service.transport.send(req, op)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusPartialContent, http.StatusNoContent:
		return resp, nil
	case http.StatusRequestedRangeNotSatisfiable:
		return nil, errors.Join(bucket.ErrRange, resp.Body.Close())
	default:
		return nil, refusal(resp, s.opts.Now())
	}
}
