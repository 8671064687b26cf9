package larder_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/local"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// benchLayers is the number of layers that the benchmark copies. Their total
// size in MiB is LARDER_BENCH_MIB, 64 by default; what ARCHITECTURE.md states
// was measured with 1024.
const benchLayers = 40

func benchBytes(b *testing.B) int64 {
	b.Helper()
	mib, err := strconv.ParseInt(cmp.Or(os.Getenv("LARDER_BENCH_MIB"), "64"), 10, 32)
	if err != nil || mib <= 0 {
		b.Fatalf("LARDER_BENCH_MIB = %q, want a number of MiB", os.Getenv("LARDER_BENCH_MIB"))
	}
	return mib << 20
}

// BenchmarkCopyLocal copies a cache from one directory to another, and beside
// it, in the same rounds, does by hand what cannot be avoided: four workers
// that read, hash and write the same bytes, once as they are and once synced to
// the disk as the local backend promises. LARDER_BENCH_DIR says where, for the
// file system decides much of it.
func BenchmarkCopyLocal(b *testing.B) {
	if under := os.Getenv("LARDER_BENCH_DIR"); under != "" {
		b.Setenv("TMPDIR", under)
	}
	dir := b.TempDir()
	from := largeCache(b, filepath.Join(dir, "from"), benchBytes(b))
	var ours, floor, synced []time.Duration
	var heap uint64
	for n := 0; b.Loop(); n++ {
		to := filepath.Join(dir, fmt.Sprint("to", n))
		bare := func(sync bool) time.Duration {
			took := timed(b, func() error { return bareCopy(b.Context(), filepath.Join(dir, "from"), to, sync) })
			removeAll(b, to)
			return took
		}
		floor, synced = append(floor, bare(false)), append(synced, bare(true))
		peak := watchHeap()
		ours = append(ours, timed(b, func() error { return copyLocal(b.Context(), from, to) }))
		heap = max(heap, peak())
		removeAll(b, to)
	}
	b.ReportMetric(median(ours).Seconds()/median(floor).Seconds(), "x-floor")
	b.ReportMetric(median(ours).Seconds()/median(synced).Seconds(), "x-synced-floor")
	b.ReportMetric(median(floor).Seconds()*1000, "floor-ms")
	b.ReportMetric(float64(heap)/(1<<20), "heap-MiB")
	b.SetBytes(benchBytes(b))
}

func removeAll(b *testing.B, dir string) {
	b.Helper()
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
}

func timed(b *testing.B, do func() error) time.Duration {
	b.Helper()
	runtime.GC()
	start := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// watchHeap samples the size of the heap until the function that it returns is
// called, which returns the largest seen.
func watchHeap() func() uint64 {
	var now runtime.MemStats
	done := make(chan struct{})
	var peak uint64
	var running sync.WaitGroup
	running.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
			select {
			case <-tick.C:
			case <-done:
				tick.Stop()
				return
			}
		}
	})
	return func() uint64 {
		close(done)
		running.Wait()
		return peak
	}
}

// largeCache writes a cache of benchLayers layers with random bytes.
func largeCache(b *testing.B, dir string, size int64) larder.Target {
	b.Helper()
	to, err := local.Open(dir, local.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { to.Close() })
	m := &manifest.Manifest{}
	seeds := make(map[blob.Digest]string)
	for i := range benchLayers {
		seed := strconv.Itoa(i)
		d := hashOf(b, randomLayer(seed, size/benchLayers))
		seeds[d] = seed
		m.Layers = append(m.Layers, manifest.Layer{
			Digest: d, DiffID: d, Size: size / benchLayers, MediaType: ocispec.MediaTypeImageLayer, CreatedAt: epoch, Parent: i - 1,
		})
	}
	m.Records = []manifest.Record{{Digest: digest.FromString("all"), Results: []manifest.Result{{Layer: benchLayers - 1, CreatedAt: epoch}}}}
	content := larder.ContentFunc(func(d blob.Descriptor) blob.Source { return randomLayer(seeds[d.Digest], d.Size) })
	target := larder.Target{Backend: to, Ref: "main"}
	if _, err := larder.Export(b.Context(), m, content, []larder.Target{target}, larder.ExportOptions{}); err != nil {
		b.Fatal(err)
	}
	return target
}

// randomLayer is a source of size bytes that depend on the seed.
func randomLayer(seed string, size int64) blob.Source {
	return blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		random := rand.NewChaCha8(sha256.Sum256([]byte(seed)))
		return io.NopCloser(io.LimitReader(random, size)), nil
	})
}

func hashOf(b *testing.B, src blob.Source) blob.Digest {
	b.Helper()
	r, err := src.Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	d, err := digest.FromReader(r)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func copyLocal(ctx context.Context, from larder.Target, dir string) error {
	to, err := local.Open(dir, local.Options{})
	if err != nil {
		return err
	}
	defer to.Close()
	_, err = larder.Copy(ctx, from, []larder.Target{{Backend: to, Ref: "main"}}, larder.CopyOptions{})
	return err
}

// bareCopy reads, hashes, writes and renames the blobs of a layout.
func bareCopy(ctx context.Context, from, to string, sync bool) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	blobs := filepath.Join(from, "blobs", "sha256")
	entries, err := os.ReadDir(blobs)
	if err != nil {
		return err
	}
	workers, _ := errgroup.WithContext(ctx)
	workers.SetLimit(4)
	for _, e := range entries {
		workers.Go(func() error { return bareCopyFile(filepath.Join(blobs, e.Name()), filepath.Join(to, e.Name()), sync) })
	}
	return workers.Wait()
}

func bareCopyFile(from, to string, sync bool) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to + ".tmp")
	if err != nil {
		return err
	}
	hash := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(hash, dst)}, struct{ io.Reader }{src}, make([]byte, 1<<20)); err != nil {
		return err
	}
	if sync {
		if err := dst.Sync(); err != nil {
			return err
		}
	}
	if err := dst.Close(); err != nil {
		return err
	}
	return os.Rename(to+".tmp", to)
}
