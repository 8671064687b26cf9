package s3_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/s3test"
	"github.com/larder-build/larder/manifest"
)

// roundTrip is the distance to the store in the benchmarks of small blobs.
const roundTrip = 20 * time.Millisecond

// distant returns the URL of a proxy before a server that delays what passes in
// each direction by half a round trip.
func distant(tb testing.TB, endpoint string) string {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
			if err != nil {
				_ = near.Close()
				continue
			}
			go delay(near, far)
			go delay(far, near)
		}
	}()
	return "http://" + l.Addr().String()
}

// delay copies what it reads after half a round trip.
func delay(from, to net.Conn) {
	type piece struct {
		data []byte
		due  time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer func() { _ = to.Close() }()
		for p := range pieces {
			<-time.After(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				_ = from.Close()
			}
		}
	}()
	defer close(pieces)
	for {
		buf := make([]byte, 64<<10)
		n, err := from.Read(buf)
		if n > 0 {
			pieces <- piece{buf[:n], time.Now().Add(roundTrip / 2)}
		}
		if err != nil {
			return
		}
	}
}

// benchServer is a real server if there is one, or else one in the process.
func benchServer(b *testing.B) server {
	b.Helper()
	for name, quirks := range map[string]string{"LARDER_TEST_VERSITYGW": "", "LARDER_TEST_MINIO": "minio"} {
		if endpoint := os.Getenv(name); endpoint != "" {
			return server{endpoint: endpoint, region: "us-east-1", quirks: quirks}
		}
	}
	fake := s3test.New(b, s3test.Options{Keys: map[string]string{accessKey: secretKey}})
	return server{endpoint: fake.URL, region: "us-east-1", fake: fake}
}

// chain returns the manifest of a cache of the given layers.
func chain(tb testing.TB, layers []blob.Descriptor) *manifest.Manifest {
	tb.Helper()
	m := manifest.NewBuilder()
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, d := range layers {
		m.Result(m.Record(fmt.Sprint("step ", i)), created, m.Layer(d, d.Digest, created, manifest.LayerHandle{}))
	}
	built, err := m.Manifest()
	if err != nil {
		tb.Fatal(err)
	}
	return built
}

// memory is content in memory.
type memory map[blob.Digest][]byte

func (m memory) Source(d blob.Descriptor) blob.Source { return blob.Bytes(m[d.Digest]) }

// smallLayers returns layers of 4 to 64 KiB.
func smallLayers(n int) ([]blob.Descriptor, memory) {
	r := rand.NewChaCha8([32]byte{2})
	content, all := memory{}, make([]blob.Descriptor, n)
	for i := range all {
		data := make([]byte, 4<<10+r.Uint64()%(60<<10))
		_, _ = r.Read(data)
		all[i] = blob.Describe("application/vnd.oci.image.layer.v1.tar+gzip", data)
		content[all[i].Digest] = data
	}
	return all, content
}

// puts sends objects as plainly as can be, so many at a time, the largest first.
// Their content is verified, as it has to be before it becomes visible.
func (s server) puts(ctx context.Context, bucket string, layers []blob.Descriptor, content larder.Content, atATime int) error {
	client := s.client()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atATime)
	layers = slices.SortedFunc(slices.Values(layers), func(a, b blob.Descriptor) int { return cmp.Compare(b.Size, a.Size) })
	for _, d := range layers {
		group.Go(func() error {
			r, err := content.Source(d).Open(ctx)
			if err != nil {
				return err
			}
			verified := blob.NewReader(r, d)
			defer func() { _ = verified.Close() }()
			_, err = client.PutObject(ctx, &sdk.PutObjectInput{
				Bucket: &bucket, Key: aws.String("floor/" + d.Digest.String()), Body: verified, ContentLength: &d.Size,
			}, sdk.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware))
			return err
		})
	}
	return group.Wait()
}

// update reads the manifest, sends objects and writes the manifest, as plainly
// as can be.
func (s server) update(ctx context.Context, bucket string, layers []blob.Descriptor, content larder.Content) error {
	client := s.client()
	out, err := client.GetObject(ctx, &sdk.GetObjectInput{Bucket: &bucket, Key: aws.String("p/manifests/main")})
	if err != nil {
		return err
	}
	doc, err := io.ReadAll(out.Body)
	if err != nil {
		return err
	}
	_ = out.Body.Close()
	if err := s.puts(ctx, bucket, layers, content, 64); err != nil {
		return err
	}
	_, err = client.PutObject(ctx, &sdk.PutObjectInput{Bucket: &bucket, Key: aws.String("floor/main"), Body: bytes.NewReader(doc)})
	return err
}

// export sends a cache, and returns how many requests that took.
func (s server) export(tb testing.TB, bucket string, m *manifest.Manifest, content larder.Content) int {
	tb.Helper()
	opts := s.options()
	opts.RefreshAge, opts.PartSize = 0, 0
	driver, err := s3.Open(tb.Context(), bucket, opts)
	if err != nil {
		tb.Fatal(err)
	}
	b := wrap.Recommended(driver, wrap.Options{})
	defer func() { _ = b.Close() }()
	var requests atomic.Int64
	ctx := backend.WithTrace(tb.Context(), &backend.Trace{Request: func(string) { requests.Add(1) }})
	if _, err := larder.Export(ctx, m, content, []larder.Target{{Backend: b, Ref: "main"}}, larder.ExportOptions{}); err != nil {
		tb.Fatal(err)
	}
	return int(requests.Load())
}

// timed returns how long f takes.
func timed(f func()) float64 {
	start := time.Now()
	f()
	return time.Since(start).Seconds()
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// BenchmarkSmall exports 2,000 small layers to a store at a distance: all of
// them, none that is new, and 1 % that are, beside bare requests for the same.
func BenchmarkSmall(b *testing.B) {
	s := benchServer(b)
	s.endpoint = distant(b, s.endpoint)
	layers, content := smallLayers(2020)
	all, first, fresh := chain(b, layers), chain(b, layers[:2000]), layers[2000:]
	var colds, somes, warms []float64
	for b.Loop() {
		name := s.newBucket(b)
		floor := timed(func() {
			if err := s.puts(b.Context(), name, layers[:2000], content, 64); err != nil {
				b.Fatal(err)
			}
		})
		var requests [3]int
		cold := timed(func() { requests[0] = s.export(b, name, first, content) })
		warm := timed(func() { requests[1] = s.export(b, name, first, content) })
		few := timed(func() {
			if err := s.update(b.Context(), name, fresh, content); err != nil {
				b.Fatal(err)
			}
		})
		some := timed(func() { requests[2] = s.export(b, name, all, content) })
		colds, somes, warms = append(colds, cold/floor), append(somes, some/few), append(warms, warm*1000)
		b.ReportMetric(median(colds), "cold/floor")
		b.ReportMetric(median(somes), "some/floor")
		b.ReportMetric(median(warms), "unchanged-ms")
		for i, of := range []string{"cold", "unchanged", "some"} {
			b.ReportMetric(float64(requests[i]), of+"-requests")
		}
	}
}

// files is content in files, of which most are hard links to the same.
type files map[blob.Digest]string

func (f files) Source(d blob.Descriptor) blob.Source { return blob.File(f[d.Digest]) }

// BenchmarkLarge exports 1 GiB in 40 layers, or as much as LARDER_BENCH_MIB
// says, and copies it back, beside bare requests for the same.
func BenchmarkLarge(b *testing.B) {
	s := benchServer(b)
	size := 1024
	_, _ = fmt.Sscan(os.Getenv("LARDER_BENCH_MIB"), &size)
	layers, content := largeLayers(b, b.TempDir(), size<<20)
	m := chain(b, layers)
	var ups, downs []float64
	for b.Loop() {
		name := s.newBucket(b)
		floor := timed(func() {
			if err := s.puts(b.Context(), name, layers, content, 4); err != nil {
				b.Fatal(err)
			}
		})
		peak := watchHeap(b)
		up := timed(func() { s.export(b, name, m, content) })
		gets := timed(func() {
			if err := s.gets(b.Context(), name, layers); err != nil {
				b.Fatal(err)
			}
		})
		down := timed(func() { s.load(b, name) })
		ups, downs = append(ups, up/floor), append(downs, down/gets)
		b.ReportMetric(median(ups), "up/floor")
		b.ReportMetric(median(downs), "down/floor")
		b.ReportMetric(float64(peak()>>20), "heap-MiB")
		b.ReportMetric(float64(size)/up, "up-MiB/s")
		b.ReportMetric(float64(size)/down, "down-MiB/s")
	}
}

// largeLayers writes 40 files of differing sizes.
func largeLayers(tb testing.TB, dir string, total int) ([]blob.Descriptor, files) {
	tb.Helper()
	r := rand.NewChaCha8([32]byte{3})
	content, all := files{}, make([]blob.Descriptor, 40)
	for i := range all {
		data := make([]byte, total/40*(i+1)*2/41)
		_, _ = r.Read(data)
		all[i] = blob.Describe("application/vnd.oci.image.layer.v1.tar+gzip", data)
		content[all[i].Digest] = filepath.Join(dir, all[i].Digest.Encoded())
		if err := os.WriteFile(content[all[i].Digest], data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return all, content
}

// gets fetches objects as plainly as can be and hashes them.
func (s server) gets(ctx context.Context, bucket string, layers []blob.Descriptor) error {
	client := s.client()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, d := range slices.Backward(layers) {
		group.Go(func() error {
			out, err := client.GetObject(ctx, &sdk.GetObjectInput{Bucket: &bucket, Key: aws.String("floor/" + d.Digest.String())})
			if err != nil {
				return err
			}
			r := blob.NewReader(out.Body, d)
			defer func() { _ = r.Close() }()
			_, err = io.Copy(io.Discard, r)
			return err
		})
	}
	return group.Wait()
}

// load reads a cache, as many blobs at a time as the verbs do.
func (s server) load(tb testing.TB, bucket string) {
	tb.Helper()
	opts := s.options()
	opts.PartSize = 0
	driver, err := s3.Open(tb.Context(), bucket, opts)
	if err != nil {
		tb.Fatal(err)
	}
	b := wrap.Recommended(driver, wrap.Options{})
	defer func() { _ = b.Close() }()
	found, _, err := larder.Import(tb.Context(), []larder.Target{{Backend: b, Ref: "main"}}, larder.ImportOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	group, ctx := errgroup.WithContext(tb.Context())
	group.SetLimit(4)
	for _, l := range found.Manifest.Layers {
		group.Go(func() error {
			r, err := found.Open(ctx, l.Descriptor())
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			_, err = io.Copy(io.Discard, r)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		tb.Fatal(err)
	}
}

// watchHeap samples the heap until the returned function says how large it was
// at most.
func watchHeap(tb testing.TB) func() uint64 {
	tb.Helper()
	runtime.GC()
	var peak atomic.Uint64
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapAlloc))
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() uint64 { close(done); running.Wait(); return peak.Load() }
}
