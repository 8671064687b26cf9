package registry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faultproxy"
	"github.com/larder-build/larder/internal/faultsuite"
	"github.com/larder-build/larder/internal/registrytest"
)

// disturbed is the suite of faults over a registry.
func disturbed(t *testing.T, server string, opts registry.Options) {
	t.Helper()
	unauthorized := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://nowhere.invalid/",error="invalid_token"`)
		http.Error(w, "", http.StatusUnauthorized)
	}
	faultsuite.Run(t, faultsuite.Harness{
		Server: server,
		Open: func(tb testing.TB, url, store string) backend.Backend {
			tb.Helper()
			return open(tb, strings.TrimPrefix(url, "http://")+"/faults/"+store, opts)
		},
		Expired: faultproxy.Fault{Answer: unauthorized, Match: func(r *http.Request) bool {
			// Elsewhere it would mean that the credentials are wrong.
			return strings.HasPrefix(r.URL.Path, "/v2/") && r.URL.Path != "/v2/"
		}},
	})
}

// TestFaults lets requests go wrong before a registry that demands tokens. The
// second layer is sent in chunks, the third whole.
func TestFaults(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Tokens: true, Users: accounts}})
	disturbed(t, s.URL, registry.Options{Keychain: login("writer", "s3cret-of-writer"), ChunkSize: 3000})
}

// TestUploadGoesOn breaks an upload in chunks: what has arrived is not sent
// again.
func TestUploadGoesOn(t *testing.T) {
	const chunk, size = 50_000, 500_000
	for name, fault := range map[string]registrytest.Fault{
		"in a chunk":        {Kind: registrytest.Reset, After: 20_000, Skip: 4},
		"after a chunk":     {Kind: registrytest.Lost, Skip: 4},
		"at the last chunk": {Kind: registrytest.Reset, After: 1, Skip: 9},
		"at every chunk":    {Kind: registrytest.Lost, Times: -1},
	} {
		t.Run(name, func(t *testing.T) {
			s := registrytest.New(t, registrytest.Options{})
			fault.Op = registrytest.OpUploadChunk
			s.Inject(fault)
			b := open(t, newRepository(s.Host), registry.Options{ChunkSize: chunk})
			data := content(1, size)
			d := put(t, b, data)
			if got, err := read(t.Context(), b, d, 0, -1); err != nil || !bytes.Equal(got, data) {
				t.Errorf("Open() = %d bytes, %v, want what was put", len(got), err)
			}
			var received int64
			for _, r := range s.Requests() {
				received += r.Received
			}
			if received > size+chunk {
				t.Errorf("Put(%d bytes) over a broken connection sent %d, want at most a chunk more", size, received)
			}
			if got := s.Count(registrytest.OpUploadStart); got != 1 {
				t.Errorf("Put() over a broken connection began %d uploads, want 1", got)
			}
		})
	}
}

// TestUploadGivesUp breaks every chunk: the upload ends with an error that may
// pass.
func TestUploadGivesUp(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	s.Inject(registrytest.Fault{Kind: registrytest.Reset, Op: registrytest.OpUploadChunk, Times: -1})
	b := open(t, newRepository(s.Host), registry.Options{ChunkSize: 1000})
	data := content(1, 5000)
	err := b.Put(t.Context(), describe(data), blob.Bytes(data))
	if _, temporary := backend.Temporary(err); !errors.Is(err, backend.ErrUnavailable) || !temporary {
		t.Errorf("Put(every chunk broken) = %v, want a temporary %v", err, backend.ErrUnavailable)
	}
	if got := s.Count(registrytest.OpUploadChunk); got != 4 {
		t.Errorf("Put(every chunk broken) tried %d times, want 4", got)
	}
}

// TestSourceFailureEndsUpload shows that an upload whose source fails is
// canceled, and that the failure is the source's.
func TestSourceFailureEndsUpload(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for _, chunk := range []int64{0, 1000} {
		s := registrytest.New(t, registrytest.Options{})
		b := open(t, newRepository(s.Host), registry.Options{ChunkSize: chunk})
		src := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(content(1, 2500)), failingReader{broken})), nil
		})
		err := b.Put(t.Context(), describe(content(1, 5000)), src)
		if _, temporary := backend.Temporary(err); !errors.Is(err, broken) || temporary || backend.Kind(err) != nil {
			t.Errorf("Put(failing source) = %v, want %v of no kind", err, broken)
		}
		if got := s.Count(registrytest.OpUploadCancel); got != 1 {
			t.Errorf("Put(failing source, chunks of %d) canceled %d uploads, want 1", chunk, got)
		}
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// TestBlackHole calls a registry that takes requests and answers none: a call
// ends with its context, and nothing of it is left.
func TestBlackHole(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	data := content(1, 100)
	s.PutBlob("a/b", data)
	b := open(t, s.Host+"/a/b", registry.Options{})
	if _, err := b.Stat(t.Context(), describe(data).Digest); err != nil {
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	s.Inject(registrytest.Fault{Kind: registrytest.Stall, Times: -1})
	for name, call := range map[string]func(context.Context) error{
		"Stat":   func(ctx context.Context) error { _, err := b.Stat(ctx, describe(data).Digest); return err },
		"Open":   func(ctx context.Context) error { _, err := read(ctx, b, describe(data), 0, -1); return err },
		"Put":    func(ctx context.Context) error { return b.Put(ctx, describe(content(2, 9)), blob.Bytes(content(2, 9))) },
		"GetRef": func(ctx context.Context) error { _, err := b.GetRef(ctx, "main"); return err },
		"PutRef": func(ctx context.Context) error {
			_, err := b.PutRef(ctx, "main", backend.Document{Data: []byte("{}")}, backend.Always)
			return err
		},
		"ListRefs": func(ctx context.Context) error {
			for _, err := range b.ListRefs(ctx) {
				return err
			}
			return nil
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ctx = backend.WithTrace(ctx, &backend.Trace{Request: func(string) { time.AfterFunc(10*time.Millisecond, cancel) }})
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s(canceled in a black hole) = %v, want %v", name, err, context.Canceled)
		}
		cancel()
	}
	_ = b.Close()
	s.Close()
	goleak.VerifyNone(t, before)
}

// TestBlackHoleEnds shows that a registry without progress is given up.
func TestBlackHoleEnds(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	s.Inject(registrytest.Fault{Kind: registrytest.Stall, Times: -1})
	b := wrap.Timeout(open(t, s.Host+"/a/b", registry.Options{}), wrap.TimeoutOptions{Stall: 50 * time.Millisecond})
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("GetRef() in a black hole = %v, want %v", err, backend.ErrUnavailable)
	}
}

func TestUnreachable(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	s.Close()
	b := open(t, s.Host+"/a/b", registry.Options{})
	_, err := b.GetRef(t.Context(), "main")
	if _, temporary := backend.Temporary(err); !errors.Is(err, backend.ErrUnavailable) || !temporary {
		t.Errorf("GetRef(nobody listens) = %v, want a temporary %v", err, backend.ErrUnavailable)
	}
	if err == nil || strings.Contains(err.Error(), "http://") {
		t.Errorf("GetRef(nobody listens) = %v, want no URL in it", err)
	}
}
