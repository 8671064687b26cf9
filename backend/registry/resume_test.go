package registry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
	"github.com/larder-build/larder/internal/faultproxy"
	"github.com/larder-build/larder/internal/registrytest"
	"github.com/larder-build/larder/internal/testserver"
)

// received is how many bytes of blobs a registry was sent.
func received(s *registrytest.Server) (n int64) {
	for _, r := range s.Requests() {
		if r.Op == registrytest.OpUploadFinish || r.Op == registrytest.OpUploadChunk {
			n += r.Received
		}
	}
	return n
}

// TestWholeUploadGoesOn breaks the one request in which a blob is sent: what has
// arrived is not sent again, unless the registry is one that cannot go on.
func TestWholeUploadGoesOn(t *testing.T) {
	const size, broken = 3 << 20, 2 << 20
	half := registrytest.Fault{Kind: registrytest.Reset, After: broken}
	for _, test := range []struct {
		name    string
		options registrytest.Options
		fault   registrytest.Fault
		starts  int   // uploads begun
		sent    int64 // at most
	}{
		{"reset", registrytest.Options{}, half, 1, size + 1<<20},
		{"lost answer", registrytest.Options{}, registrytest.Fault{Kind: registrytest.Lost}, 1, size},
		{"reset at once", registrytest.Options{}, registrytest.Fault{Kind: registrytest.Reset}, 2, size},
		{"acr no resume", registrytest.Options{Uploads: registrytest.Uploads{ACRNoResume: true}}, half, 2, size + broken},
		{"monolithic only", registrytest.Options{Uploads: registrytest.Uploads{MonolithicOnly: true}}, half, 2, 2 * size},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := registrytest.New(t, test.options)
			test.fault.Op = registrytest.OpUploadFinish
			s.Inject(test.fault)
			b := wrap.Retry(open(t, newRepository(s.Host), registry.Options{}), wrap.RetryOptions{First: time.Microsecond})
			data := content(1, size)
			d := put(t, b, data)
			if got, err := read(t.Context(), b, d, 0, -1); err != nil || !bytes.Equal(got, data) {
				t.Errorf("Open() = %d bytes, %v, want what was put", len(got), err)
			}
			if got := s.Count(registrytest.OpUploadStart); got != test.starts {
				t.Errorf("Put() over a broken connection began %d uploads, want %d", got, test.starts)
			}
			if got := received(s); got > test.sent {
				t.Errorf("Put(%d bytes) over a broken connection sent %d, want at most %d", size, got, test.sent)
			}
		})
	}
}

// TestLargeChunkBreaks resets the connection while the content is still read.
func TestLargeChunkBreaks(t *testing.T) {
	for range 5 {
		s := registrytest.New(t, registrytest.Options{})
		s.Inject(registrytest.Fault{Kind: registrytest.Reset, After: 1 << 20, Op: registrytest.OpUploadChunk})
		b := open(t, newRepository(s.Host), registry.Options{ChunkSize: 4 << 20})
		data := content(1, 6<<20)
		if err := b.Put(t.Context(), describe(data), blob.Bytes(data)); err != nil {
			t.Errorf("Put() over a broken connection = %v, want nil", err)
		}
		if got := s.Count(registrytest.OpUploadStart); got != 1 {
			t.Errorf("Put() over a broken connection began %d uploads, want 1", got)
		}
	}
}

// TestSpoiltUploadBeginsAnew has a registry accept where an upload goes on and
// refuse what came of it: from then on nothing is resumed there.
func TestSpoiltUploadBeginsAnew(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	broken := registrytest.Fault{Kind: registrytest.Reset, After: 1 << 20, Op: registrytest.OpUploadFinish}
	s.Inject(broken)
	s.Inject(registrytest.Fault{Op: registrytest.OpUploadFinish, Failure: registrytest.Failure{
		Status: http.StatusBadRequest, Code: "DIGEST_INVALID", Message: "provided digest did not match uploaded content",
	}})
	b := open(t, newRepository(s.Host), registry.Options{})
	put(t, b, content(1, 2<<20))
	if got := s.Count(registrytest.OpUploadStart); got != 2 {
		t.Errorf("Put() began %d uploads, want 2", got)
	}
	s.Forget()
	s.Inject(broken)
	data := content(2, 2<<20)
	if err := b.Put(t.Context(), describe(data), blob.Bytes(data)); err == nil || s.Count(registrytest.OpUploadStatus) != 0 {
		t.Errorf("Put() = %v after asking %d times how far it got, want the broken connection without", err, s.Count(registrytest.OpUploadStatus))
	}
}

// stalling is a network in which the first long request stalls in its middle,
// until its context ends.
type stalling struct {
	after   int64
	stalled chan struct{}
	once    sync.Once
}

func (s *stalling) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.ContentLength > s.after {
		s.once.Do(func() {
			stall := func() error {
				close(s.stalled)
				<-req.Context().Done()
				return req.Context().Err()
			}
			body := req.Body
			req = req.Clone(req.Context())
			req.Body = io.NopCloser(io.MultiReader(io.LimitReader(body, s.after), readerFunc(stall)))
		})
	}
	return http.DefaultTransport.RoundTrip(req)
}

// readerFunc fails to read.
type readerFunc func() error

func (f readerFunc) Read([]byte) (int, error) { return 0, f() }

// TestStalledUploadGoesOn ends an upload that makes no progress: the next
// attempt goes on with it.
func TestStalledUploadGoesOn(t *testing.T) {
	const size, after = 3 << 20, 700_000
	for name, chunk := range map[string]int64{"whole": 0, "in chunks": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			s := registrytest.New(t, registrytest.Options{})
			network := &stalling{after: after, stalled: make(chan struct{})}
			b := open(t, newRepository(s.Host), registry.Options{ChunkSize: chunk, Transport: network})
			data := content(1, size)
			ctx, stop := context.WithCancel(t.Context())
			go func() {
				defer stop()
				<-network.stalled
				// What is on its way may be lost, and a registry that has seen
				// nothing has nothing to go on with.
				for received(s) == 0 && calls.Pause(t.Context(), time.Millisecond) == nil {
				}
			}()
			if err := b.Put(ctx, describe(data), blob.Bytes(data)); !errors.Is(err, context.Canceled) {
				t.Fatalf("Put() = %v in a stall, want %v", err, context.Canceled)
			}
			put(t, b, data)
			if got, err := read(t.Context(), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
				t.Errorf("Open() = %d bytes, %v, want what was put", len(got), err)
			}
			if got := s.Count(registrytest.OpUploadStart); got != 1 {
				t.Errorf("Put() after a stall began %d uploads, want one in all", got)
			}
			if got := received(s); got > size+64<<10 {
				t.Errorf("Put(%d bytes) with a stall sent %d, want hardly more", size, got)
			}
		})
	}
}

// TestUploadGoesOnOverServers breaks an upload before the reference registry.
func TestUploadGoesOnOverServers(t *testing.T) {
	const size = 8 << 20
	host := testserver.FromTestbed(t, "LARDER_TEST_REGISTRY")
	for name, chunk := range map[string]int64{"whole": 0, "in chunks": 4 << 20} {
		t.Run(name, func(t *testing.T) {
			p := faultproxy.New(t, "http://"+host)
			p.Inject(faultproxy.Fault{Kind: faultproxy.Reset, After: 3 << 20, Match: func(r *http.Request) bool {
				return strings.Contains(r.URL.Path, "/blobs/uploads/") && r.ContentLength > 1<<20
			}})
			b := wrap.Retry(open(t, newRepository(p.Host), registry.Options{ChunkSize: chunk}), wrap.RetryOptions{First: time.Microsecond})
			data := content(int(time.Now().UnixNano()), size) // of no earlier run
			if err := b.Put(t.Context(), describe(data), blob.Bytes(data)); err != nil {
				t.Fatalf("Put() over a broken connection = %v, want nil", err)
			}
			if got, err := read(t.Context(), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
				t.Errorf("Open() = %d bytes, %v, want what was put", len(got), err)
			}
			starts := 0
			for _, r := range p.Requests() {
				if r.Method == http.MethodPost {
					starts++
				}
			}
			if starts != 1 {
				t.Errorf("Put() over a broken connection began %d uploads, want 1: %v", starts, p.Requests())
			}
		})
	}
}
