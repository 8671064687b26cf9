package local_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/local"
	"github.com/larder-build/larder/blob"
)

// The full size of the benchmark is 1 GiB, on a file system without a disk:
//
//	go test -run '^$' -bench Put40Layers -benchtime 5x -layout.mib 1024 -layout.dir /dev/shm ./backend/local
var (
	benchMiB = flag.Int("layout.mib", 64, "benchmarks: size of a layout in MiB")
	benchDir = flag.String("layout.dir", "", "benchmarks: directory for layouts; the default is a temporary one")
)

const (
	benchLayers  = 40
	benchStreams = 4
)

// BenchmarkPut40Layers copies a layout of 40 layers into another, four at a
// time, next to the least that has to be done for that: read, hash, write,
// rename. Rounds of the two alternate; x-floor is the ratio of their medians.
// "synced" has both write to the disk before the rename.
func BenchmarkPut40Layers(b *testing.B) {
	src, layers := benchLayout(b)
	for _, mode := range []struct {
		name   string
		noSync bool
	}{{"unsynced", true}, {"synced", false}} {
		b.Run(mode.name, func(b *testing.B) {
			b.SetBytes(int64(*benchMiB) << 20)
			var floors, puts []time.Duration
			heap := watchHeap(b)
			for b.Loop() {
				floors = append(floors, timed(b, func(dir string) error { return floor(src.Dir(), dir, layers, mode.noSync) }))
				puts = append(puts, timed(b, func(dir string) error { return putAll(b.Context(), src, dir, layers, mode.noSync) }))
			}
			b.ReportMetric(median(puts).Seconds()/median(floors).Seconds(), "x-floor")
			b.ReportMetric(float64(heap())/(1<<20), "MiB-heap")
		})
	}
}

// benchLayout returns a layout with layers of incompressible bytes.
func benchLayout(b *testing.B) (*local.Backend, []blob.Descriptor) {
	b.Helper()
	src := open(b, benchTemp(b))
	data := make([]byte, *benchMiB<<20/benchLayers)
	random := rand.NewChaCha8([32]byte{})
	layers := make([]blob.Descriptor, benchLayers)
	for i := range layers {
		_, _ = random.Read(data) // It never fails.
		layers[i] = blob.Describe("", data)
		if err := src.Put(b.Context(), layers[i], blob.Bytes(data)); err != nil {
			b.Fatal(err)
		}
	}
	return src, layers
}

func benchTemp(b *testing.B) string {
	b.Helper()
	if *benchDir == "" {
		return b.TempDir()
	}
	dir := filepath.Join(*benchDir, "larder-bench-"+strconv.FormatUint(rand.Uint64(), 36))
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// timed returns how long copying to a new directory takes.
func timed(b *testing.B, do func(dir string) error) time.Duration {
	b.Helper()
	dir := filepath.Join(benchTemp(b), "copy")
	start := time.Now()
	err := do(dir)
	took := time.Since(start)
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		b.Fatal(err)
	}
	return took
}

// putAll copies layers with this package.
func putAll(ctx context.Context, src *local.Backend, dir string, layers []blob.Descriptor, noSync bool) error {
	dst, err := local.Open(dir, local.Options{NoSync: noSync})
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(benchStreams)
	for _, d := range layers {
		g.Go(func() error { return dst.Put(ctx, d, backend.SourceOf(src, d)) })
	}
	return errors.Join(g.Wait(), dst.Close())
}

// floor copies layers with as little as possible.
func floor(src, dir string, layers []blob.Descriptor, noSync bool) error {
	if err := os.MkdirAll(filepath.Dir(blobFile(dir, layers[0].Digest)), 0o755); err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(benchStreams)
	for _, d := range layers {
		g.Go(func() error { return floorFile(blobFile(src, d.Digest), blobFile(dir, d.Digest), noSync) })
	}
	return g.Wait()
}

func floorFile(from, to string, noSync bool) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	out, err := os.Create(to + ".tmp")
	if err != nil {
		return err
	}
	hash := sha256.New()
	buf := make([]byte, 256<<10)
	for {
		n, err := in.Read(buf)
		if errors.Is(err, io.EOF) {
			break
		}
		hash.Write(buf[:n])
		if _, err := out.Write(buf[:n]); err != nil {
			return err
		}
	}
	if !noSync {
		err = out.Sync()
	}
	if filepath.Base(to) != blob.Digest("sha256:"+hexOf(hash.Sum(nil))).Encoded() {
		return blob.ErrCorrupt
	}
	return errors.Join(err, in.Close(), out.Close(), os.Rename(to+".tmp", to))
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// watchHeap samples the bytes of the heap's objects until the returned function
// is called, which returns the largest sample.
func watchHeap(b *testing.B) (peak func() uint64) {
	b.Helper()
	const name = "/memory/classes/heap/objects:bytes"
	stop, result := make(chan struct{}), make(chan uint64)
	go func() {
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		var largest uint64
		for {
			sample := []metrics.Sample{{Name: name}}
			metrics.Read(sample)
			largest = max(largest, sample[0].Value.Uint64())
			select {
			case <-ticker.C:
			case <-stop:
				result <- largest
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-result
	}
}
