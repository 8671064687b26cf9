package azblob_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/manifest"
)

// BenchmarkSmallBlobs exports 2,000 small layers to a service 20 ms away: all
// new, unchanged, and with 1 % new, each beside nothing but the requests that it
// takes, 64 at a time: PUTs, and a GET of the document that there is. It prints
// the ratios.
func BenchmarkSmallBlobs(b *testing.B) {
	const layers, fresh = 2000, 20
	s, opts := fake(b, azuretest.Options{Latency: 20 * time.Millisecond})
	store := mem.New()
	cache := func(n int) *manifest.Manifest {
		builder := manifest.NewBuilder()
		for i := range n {
			d := put(b, store, content(i, 4<<10+i*30))
			layer := builder.Layer(d, d.Digest, time.Time{}, manifest.LayerHandle{})
			builder.Result(builder.Record(fmt.Sprint("step ", i)), time.Time{}, layer)
		}
		m, err := builder.Manifest()
		if err != nil {
			b.Fatal(err)
		}
		return m
	}
	before, after := cache(layers), cache(layers+fresh)
	var colds, mores, sames []float64
	for b.Loop() {
		opts.Prefix = fmt.Sprint("round-", len(colds))
		bare := timed(b, func() error { return putBare(b, opts.Prefix, s, before, 0) })
		bareFresh := timed(b, func() error { return putBare(b, opts.Prefix, s, after, layers) })
		export := func(m *manifest.Manifest) time.Duration {
			backend := wrap.Recommended(open(b, opts), wrap.Options{})
			defer backend.Close()
			return timed(b, func() error {
				_, err := larder.Export(b.Context(), m, larder.ContentOf(store), []larder.Target{{Backend: backend, Ref: "main"}}, larder.ExportOptions{})
				return err
			})
		}
		cold := export(before)
		s.Forget()
		same := export(before)
		requests := s.Count()
		more := export(after)
		colds = append(colds, cold.Seconds()/bare.Seconds())
		mores = append(mores, more.Seconds()/bareFresh.Seconds())
		sames = append(sames, float64(same.Milliseconds()))
		b.ReportMetric(float64(requests), "unchanged-requests")
	}
	b.ReportMetric(median(colds), "cold/bare")
	b.ReportMetric(median(mores), "1%new/bare")
	b.ReportMetric(median(sames), "unchanged-ms")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func timed(b *testing.B, do func() error) time.Duration {
	b.Helper()
	start := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// putBare puts the layers of a cache from one on, and the document, and does
// nothing else.
func putBare(b *testing.B, prefix string, s *azuretest.Server, m *manifest.Manifest, from int) error {
	b.Helper()
	client := open(b, small(s.URL, "cache")).Container()
	document := client.NewBlockBlobClient("bare/" + prefix)
	if resp, err := document.DownloadStream(b.Context(), nil); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(64)
	for i := range m.Layers[from:] {
		data := content(from+i, 4<<10+(from+i)*30)
		group.Go(func() error {
			return upload(ctx, client.NewBlockBlobClient(fmt.Sprint("bare/", prefix, "/", from+i)), data)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return upload(b.Context(), document, make([]byte, 300_000))
}

func upload(ctx context.Context, client *blockblob.Client, data []byte) error {
	_, err := client.Upload(ctx, streaming.NopCloser(bytes.NewReader(data)), nil)
	return err
}
