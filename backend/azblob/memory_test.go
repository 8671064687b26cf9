package azblob_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/azuretest"
)

// zeros is a service with one blob, of zeros, which forgets what it is sent and
// watches the heap meanwhile.
type zeros struct {
	size int64
	peak atomic.Uint64 // bytes of the heap
}

// watch notes how large the heap is.
func (z *zeros) watch() {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	for now := sample[0].Value.Uint64(); ; {
		before := z.peak.Load()
		if now <= before || z.peak.CompareAndSwap(before, now) {
			return
		}
	}
}

// RoundTrip implements [http.RoundTripper].
func (z *zeros) RoundTrip(r *http.Request) (*http.Response, error) {
	z.watch()
	answer := &http.Response{
		Request: r, ProtoMajor: 1, ProtoMinor: 1, StatusCode: http.StatusCreated, Body: http.NoBody,
		Header: http.Header{"Etag": {`"1"`}, "Last-Modified": {"Sat, 03 Jan 2026 04:05:06 GMT"}},
	}
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	switch r.Method {
	case http.MethodHead:
		answer.StatusCode = http.StatusNotFound
		answer.Header.Set("X-Ms-Error-Code", "BlobNotFound")
	case http.MethodGet:
		from, to, err := askedRange(r.Header)
		if err != nil {
			return nil, err
		}
		to = min(to+1, z.size)
		answer.StatusCode, answer.ContentLength = http.StatusPartialContent, to-from
		answer.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, z.size))
		answer.Header.Set("Content-Length", fmt.Sprint(to-from))
		answer.Body = io.NopCloser(io.LimitReader(zeroReader{}, to-from))
	}
	return answer, nil
}

// askedRange reads the header of a range, which the SDK writes in lower case.
func askedRange(h http.Header) (from, to int64, err error) {
	for key, values := range h {
		if strings.EqualFold(key, "X-Ms-Range") {
			_, err = fmt.Sscanf(values[0], "bytes=%d-%d", &from, &to)
			return from, to, err
		}
	}
	return 0, 0, errors.New("no range was asked for")
}

// zeroReader yields zeros without end.
type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestMemoryIsBounded moves half a gigabyte to and from a service: it takes a
// fraction of that in memory.
func TestMemoryIsBounded(t *testing.T) {
	const size, limit = 512 << 20, 192 << 20
	hash := sha256.New()
	if _, err := io.CopyN(hash, zeroReader{}, size); err != nil {
		t.Fatal(err)
	}
	d := blob.Descriptor{MediaType: "application/octet-stream", Digest: digest.NewDigest(digest.SHA256, hash), Size: size}
	for name, move := range map[string]func(ctx context.Context, b *azblob.Backend) error{
		"Put": func(ctx context.Context, b *azblob.Backend) error {
			return b.Put(ctx, d, blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(io.LimitReader(zeroReader{}, size)), nil
			}))
		},
		"Open": func(ctx context.Context, b *azblob.Backend) error {
			r, err := b.Open(ctx, d, 0, -1)
			if err != nil {
				return err
			}
			defer r.Close()
			n, err := io.Copy(io.Discard, r)
			if err == nil && n != size {
				err = fmt.Errorf("%d bytes, want %d", n, size)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			z := &zeros{size: size}
			b := open(t, azblob.Options{
				AccountURL: "http://127.0.0.1:1/" + azuretest.Account, AccountKey: azuretest.Key, Container: "cache", Transport: z,
			})
			z.watch()
			before := z.peak.Load()
			if err := move(t.Context(), b); err != nil {
				t.Fatalf("%s() = %v, want nil", name, err)
			}
			if grown := z.peak.Load() - before; grown > limit {
				t.Errorf("%s(%d bytes) has the heap grow by %d bytes, want at most %d", name, int64(size), grown, int64(limit))
			}
		})
	}
}
