package larder_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// epoch is when the caches of the tests were made.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// cache is a build cache made for a test: a chain of steps, each with a layer
// on top of the one before.
type cache struct {
	*manifest.Manifest
	blobs map[blob.Digest][]byte

	mu     sync.Mutex
	opened map[blob.Digest]int
}

// cacheOf returns the cache of a build with the given steps. Equal steps after
// equal steps are the same records and layers, whichever call made them.
func cacheOf(tb testing.TB, steps ...string) *cache {
	tb.Helper()
	c := &cache{Manifest: &manifest.Manifest{}, blobs: make(map[blob.Digest][]byte), opened: make(map[blob.Digest]int)}
	for i, step := range steps {
		archive := tarOf(tb, step)
		data := gzipped(tb, archive)
		d := digest.FromBytes(data)
		c.blobs[d] = data
		c.Layers = append(c.Layers, manifest.Layer{
			Digest: d, DiffID: digest.FromBytes(archive), Size: int64(len(data)),
			MediaType: ocispec.MediaTypeImageLayerGzip, CreatedAt: epoch, Parent: i - 1,
		})
		r := manifest.Record{
			Digest:  digest.FromString(step),
			Results: []manifest.Result{{Layer: i, CreatedAt: epoch.Add(time.Duration(i) * time.Second)}},
		}
		if i > 0 {
			r.Inputs = [][]manifest.Link{{{Record: i - 1}}}
		}
		c.Records = append(c.Records, r)
	}
	return c
}

// tarOf returns a tar archive with a file that no compression shrinks.
func tarOf(tb testing.TB, step string) []byte {
	tb.Helper()
	var content []byte
	for sum := sha256.Sum256([]byte(step)); len(content) < 4096; sum = sha256.Sum256(sum[:]) {
		content = append(content, sum[:]...)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(content))}); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func gzipped(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// Source implements larder.Content and counts how often a blob is opened.
func (c *cache) Source(d blob.Descriptor) blob.Source {
	data, ok := c.blobs[d.Digest]
	if !ok {
		return nil
	}
	return blob.SourceFunc(func(ctx context.Context) (io.ReadCloser, error) {
		c.mu.Lock()
		c.opened[d.Digest]++
		c.mu.Unlock()
		return blob.Bytes(data).Open(ctx)
	})
}

// layer returns the digest of the blob of step i.
func (c *cache) layer(i int) blob.Digest { return c.Layers[i].Digest }

// export puts a cache into a target.
func export(tb testing.TB, c *cache, to larder.Target) *larder.Report {
	tb.Helper()
	report, err := larder.Export(tb.Context(), c.Manifest, c, []larder.Target{to}, larder.ExportOptions{})
	if err != nil {
		tb.Fatalf("Export(%s) = %v", to, err)
	}
	return report
}

// inspect returns what a target holds.
func inspect(tb testing.TB, t larder.Target) *larder.Inspection {
	tb.Helper()
	found, err := larder.Inspect(tb.Context(), t, larder.InspectOptions{})
	if err != nil {
		tb.Fatalf("Inspect(%s) = %v", t, err)
	}
	return found
}

// steps returns which of the named steps a manifest has a result for.
func steps(m *manifest.Manifest, names ...string) []string {
	var found []string
	for _, name := range names {
		for _, r := range m.Records {
			if r.Digest == digest.FromString(name) && len(r.Results) > 0 {
				found = append(found, name)
				break
			}
		}
	}
	return found
}

// degradations returns the kinds of a report's degradations, the targets'
// included.
func degradations(r *larder.Report) []larder.DegradationKind {
	var kinds []larder.DegradationKind
	for _, d := range r.Degradations {
		kinds = append(kinds, d.Kind)
	}
	for _, t := range r.Targets {
		for _, d := range t.Degradations {
			kinds = append(kinds, d.Kind)
		}
	}
	return kinds
}

// drop removes blobs from a backend.
func drop(tb testing.TB, b backend.Backend, digests ...blob.Digest) {
	tb.Helper()
	if err := b.Delete(tb.Context(), digests...); err != nil {
		tb.Fatalf("Delete(%v) = %v", digests, err)
	}
}
