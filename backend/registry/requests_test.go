package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/registrytest"
	"github.com/larder-build/larder/manifest"
)

const layerType = ocispec.MediaTypeImageLayerZstd

// content is size bytes that differ by seed.
func content(seed, size int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%08x", seed), size/8+1)[:size]
}

func describe(data []byte) blob.Descriptor { return blob.Describe(layerType, data) }

// put stores data, which must succeed.
func put(t *testing.T, b backend.Backend, data []byte) blob.Descriptor {
	t.Helper()
	d := describe(data)
	if err := b.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Fatalf("Put(%d bytes) = %v, want nil", len(data), err)
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

// ops returns how often each kind of request was made since the last call.
func ops(s *registrytest.Server) map[registrytest.Op]int {
	counts := make(map[registrytest.Op]int)
	for _, r := range s.Requests() {
		counts[r.Op]++
	}
	s.Forget()
	return counts
}

func TestPutTakesTwoRequests(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	b := open(t, newRepository(s.Host), registry.Options{})
	put(t, b, content(0, 10)) // learns how the registry is reached
	s.Forget()
	for i := range 10 {
		put(t, b, content(i+1, 60_000))
	}
	if got := len(s.Requests()); got != 20 {
		t.Errorf("Put() of 10 new blobs took %d requests, want 20: %v", got, ops(s))
	}
}

func TestPutAsksFirstForLargeBlobs(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	b := open(t, newRepository(s.Host), registry.Options{})
	data := content(1, 2<<20)
	put(t, b, data)
	s.Forget()
	unread := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		return nil, errors.New("opened")
	})
	if err := b.Put(t.Context(), describe(data), unread); err != nil {
		t.Errorf("Put(large blob that is there) = %v, want nil without reading", err)
	}
	if got := len(s.Requests()); got != 1 {
		t.Errorf("Put(large blob that is there) took %d requests, want 1", got)
	}
}

// TestPutOfFiles sends a file from its present offset, and refuses one of
// another size.
func TestPutOfFiles(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	b := open(t, newRepository(s.Host), registry.Options{})
	data := content(1, 700_000)
	path := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), describe(data), blob.File(path)); err != nil {
		t.Fatalf("Put(file) = %v, want nil", err)
	}
	if got, err := read(t.Context(), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Open(put file) = %d bytes, %v, want the file's", len(got), err)
	}
	var last *os.File
	tail := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		last = f
		_, err = f.Seek(300_000, io.SeekStart)
		return f, err
	})
	if err := b.Put(t.Context(), describe(data[300_000:]), tail); err != nil {
		t.Errorf("Put(rest of a file) = %v, want nil", err)
	}
	if _, err := last.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Stat() of the source's file after Put = %v, want it closed", err)
	}
	for _, size := range []int64{699_999, 700_001} {
		d := describe(content(2, 10))
		d.Size = size
		if err := b.Put(t.Context(), d, blob.File(path)); !errors.Is(err, backend.ErrCorrupt) {
			t.Errorf("Put(file of 700000 bytes as %d) = %v, want %v", size, err, backend.ErrCorrupt)
		}
	}
}

func TestMount(t *testing.T) {
	for _, test := range []struct {
		name    string
		options registrytest.Options
		want    error
	}{
		{"mounted", registrytest.Options{}, nil},
		{"not mounted", registrytest.Options{Uploads: registrytest.Uploads{NoMount: true}}, backend.ErrUnsupported},
		{"mounted with a token", registrytest.Options{Auth: &registrytest.Auth{Tokens: true, Users: []registrytest.User{{Name: "writer", Password: "secret"}}}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := registrytest.New(t, test.options)
			opts := optionsFor(s, test.options)
			from, to := open(t, newRepository(s.Host), opts), open(t, newRepository(s.Host), opts)
			d := put(t, from, content(1, 1000))
			if err := to.CopyFrom(t.Context(), from, d); !errors.Is(err, test.want) {
				t.Fatalf("CopyFrom() = %v, want %v", err, test.want)
			}
			found, err := to.Stat(t.Context(), d.Digest)
			if _, ok := found[d.Digest]; err != nil || ok != (test.want == nil) {
				t.Errorf("Stat() after CopyFrom = %v, %v, want present %t", found, err, test.want == nil)
			}
			if n := s.Uploads(to.Repository()[len(s.Host)+1:]); n != 0 {
				t.Errorf("CopyFrom() leaves %d uploads, want none", n)
			}
		})
	}
}

// TestMountGivesUp shows that a registry that never mounts is not asked for
// every blob.
func TestMountGivesUp(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{Uploads: registrytest.Uploads{HarborMountError: true}})
	from, to := open(t, newRepository(s.Host), registry.Options{}), open(t, newRepository(s.Host), registry.Options{})
	for i := range 10 {
		d := describe(content(i, 100)) // not there, so Harbor fails
		if err := to.CopyFrom(t.Context(), from, d); !errors.Is(err, backend.ErrUnsupported) {
			t.Errorf("CopyFrom() = %v, want %v", err, backend.ErrUnsupported)
		}
	}
	if got := s.Count(registrytest.OpMount); got != 3 {
		t.Errorf("10 refused mounts took %d requests, want 3", got)
	}
}

func TestMountNeedsTheSameRegistry(t *testing.T) {
	s, other := registrytest.New(t, registrytest.Options{}), registrytest.New(t, registrytest.Options{})
	to := open(t, newRepository(s.Host), registry.Options{})
	for _, from := range []backend.Backend{open(t, newRepository(other.Host), registry.Options{}), mem.New()} {
		d := put(t, from, content(1, 100))
		if err := to.CopyFrom(t.Context(), from, d); !errors.Is(err, backend.ErrUnsupported) {
			t.Errorf("CopyFrom(%s) = %v, want %v", from.Info().Location, err, backend.ErrUnsupported)
		}
	}
	if got := len(s.Requests()); got != 0 {
		t.Errorf("CopyFrom() of another store took %d requests, want none", got)
	}
}

// crowd is a transport that lets no HEAD pass before n of them are waiting.
type crowd struct {
	n       int32
	waiting atomic.Int32
	full    chan struct{}
	once    sync.Once
}

func (c *crowd) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodHead {
		if c.waiting.Add(1) == c.n {
			c.once.Do(func() { close(c.full) })
		}
		select {
		case <-c.full:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	return http.DefaultTransport.RoundTrip(req)
}

// TestStatAsksManyAtATime would not end if fewer than 64 questions were on the
// way at a time.
func TestStatAsksManyAtATime(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	b := open(t, newRepository(s.Host), registry.Options{Transport: &crowd{n: 64, full: make(chan struct{})}})
	digests := make([]blob.Digest, 200)
	for i := range digests {
		digests[i] = describe(content(i, 8)).Digest
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if found, err := b.Stat(ctx, digests...); err != nil || len(found) != 0 {
		t.Errorf("Stat(200 absent blobs) = %v, %v, want none", found, err)
	}
}

// cacheOf returns a cache of n layers of a size, numbered from zero, with their
// content.
func cacheOf(t *testing.T, n, size int) (*manifest.Manifest, larder.Content) {
	t.Helper()
	b, store := manifest.NewBuilder(), mem.New()
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range n {
		data := content(i, size)
		d := put(t, store, data)
		layer := b.Layer(d, d.Digest, created, manifest.LayerHandle{})
		b.Result(b.Record(fmt.Sprint("step ", i)), created, layer)
	}
	m, err := b.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m, larder.ContentOf(store)
}

// TestExportTakesFewRequests counts requests beside those for authentication.
func TestExportTakesFewRequests(t *testing.T) {
	auth := &registrytest.Auth{Tokens: true, Users: []registrytest.User{{Name: "writer", Password: "secret"}}}
	s := registrytest.New(t, registrytest.Options{Auth: auth})
	opts := registry.Options{Keychain: login("writer", "secret")}
	repository := newRepository(s.Host)
	export := func(n int) int {
		t.Helper()
		s.Forget()
		b := open(t, repository, opts)
		m, blobs := cacheOf(t, n, 5000)
		if _, err := larder.Export(t.Context(), m, blobs, []larder.Target{{Backend: b, Ref: "main"}}, larder.ExportOptions{}); err != nil {
			t.Fatalf("Export(%d layers) = %v, want nil", n, err)
		}
		return len(s.Requests()) - s.Count(registrytest.OpPing, registrytest.OpToken)
	}
	// The first export asks for the ref and for a sample of the blobs, and
	// writes the config and the manifest.
	if got := export(100); got > 2*100+1+64+3 {
		t.Errorf("Export(100 layers) took %d requests, want at most 2 for each blob, 64, and 4", got)
	}
	if got := export(100); got > 2 {
		t.Errorf("Export(the same again) took %d requests, want at most 2", got)
	}
	const fresh = 3
	// The old manifest and config are read, the new ones written in three
	// requests.
	if got := export(100 + fresh); got > 2*fresh+5 {
		t.Errorf("Export(%d new layers) took %d requests, want at most 2 for each and 5", fresh, got)
	}
}

// TestExportAsksOnceForLargeBlobs leaves it to one of the two, the verb or the
// driver, to ask.
func TestExportAsksOnceForLargeBlobs(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	repository := newRepository(s.Host)
	const n = 3
	m, blobs := cacheOf(t, n, 2<<20)
	for i, want := range []int{n, 0} {
		s.Forget()
		to := larder.Target{Backend: open(t, repository, registry.Options{}), Ref: "main"}
		if _, err := larder.Export(t.Context(), m, blobs, []larder.Target{to}, larder.ExportOptions{}); err != nil {
			t.Fatalf("Export() = %v, want nil", err)
		}
		if got := s.Count(registrytest.OpBlobHead); got != want {
			t.Errorf("Export() number %d of %d large blobs asks %d times, want %d", i+1, n, got, want)
		}
	}
}

// TestLocalRegistriesAreAskedByTheirOwnProtocol counts the requests that tell
// HTTP from HTTPS.
func TestLocalRegistriesAreAskedByTheirOwnProtocol(t *testing.T) {
	for _, test := range []struct {
		name    string
		options registrytest.Options
		want    int // HTTPS is tried after HTTP has failed
	}{{"http", registrytest.Options{}, 1}, {"https", registrytest.Options{TLS: true}, 2}} {
		s := registrytest.New(t, test.options)
		b := open(t, newRepository(s.Host), optionsFor(s, test.options))
		tried := 0
		ctx := backend.WithTrace(t.Context(), &backend.Trace{Request: func(op string) {
			if op == "authenticate" {
				tried++
			}
		}})
		if _, err := b.Stat(ctx, describe(content(1, 8)).Digest); err != nil || tried != test.want {
			t.Errorf("%s: Stat() = %v after %d requests for authentication, want nil, %d", test.name, err, tried, test.want)
		}
	}
}
