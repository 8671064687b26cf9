package azblob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/manifest"
)

const layerType = ocispec.MediaTypeImageLayerZstd

// content is size bytes that differ by seed.
func content(seed, size int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%08x", seed), size/8+1)[:size]
}

func describe(data []byte) blob.Descriptor { return blob.Describe(layerType, data) }

// put stores data, which must succeed.
func put(tb testing.TB, b backend.Backend, data []byte) blob.Descriptor {
	tb.Helper()
	d := describe(data)
	if err := b.Put(tb.Context(), d, blob.Bytes(data)); err != nil {
		tb.Fatalf("Put(%d bytes) = %v, want nil", len(data), err)
	}
	return d
}

// read returns a range of a blob.
func read(ctx context.Context, b backend.Backend, d blob.Descriptor, off, n int64) ([]byte, error) {
	r, err := b.Open(ctx, d, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// stream is a source that can only be read from its beginning to its end.
func stream(data []byte) blob.Source {
	return blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data))), nil
	})
}

// fake returns a service with one container, "cache", and how it is opened.
func fake(tb testing.TB, o azuretest.Options) (*azuretest.Server, azblob.Options) {
	tb.Helper()
	o.Containers = []string{"cache"}
	s := azuretest.New(tb, o)
	return s, azblob.Options{AccountURL: s.URL, AccountKey: azuretest.Key, Container: "cache"}
}

// cacheOf returns a cache of n small layers.
func cacheOf(t *testing.T, n int) (*manifest.Manifest, larder.Content) {
	t.Helper()
	b, store := manifest.NewBuilder(), mem.New()
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range n {
		d := put(t, store, content(i, 5000))
		layer := b.Layer(d, d.Digest, created, manifest.LayerHandle{})
		b.Result(b.Record(fmt.Sprint("step ", i)), created, layer)
	}
	m, err := b.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m, larder.ContentOf(store)
}

// ops returns how often each kind of request was answered since the last call.
func ops(s *azuretest.Server) map[string]int {
	counts := make(map[string]int)
	for _, r := range s.Requests() {
		counts[r.Op]++
	}
	s.Forget()
	return counts
}
