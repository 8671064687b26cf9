package gha_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/ghaserver"
)

func TestBlobsLieWhereBuildKitLooks(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	b := open(t, s, nil, writer)
	small, large := content(1, 100), content(2, 1_000_001)
	put(t, b, small)
	put(t, b, large)
	want := []string{"buildkit-blob-1-" + describe(small).Digest.String(), "buildkit-blob-1-" + describe(large).Digest.String()}
	if diff := cmp.Diff(want, keys(s)); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for _, e := range s.Entries() {
		if e.Version != cacheVersion || e.Scope != mainRef {
			t.Errorf("entry = %+v, want version %s in scope %s", e, cacheVersion, mainRef)
		}
	}
	if n := s.Count("put block"); n != 11 {
		t.Errorf("a blob of 11 blocks took %d requests, want 11", n)
	}
}

// TestPutAsksLittle counts round trips: of 200 ms each, at GitHub.
func TestPutAsksLittle(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	b := open(t, s, nil, writer)
	put(t, b, content(1, 100))
	var got []string
	for _, r := range s.Requests() {
		got = append(got, r.Op)
	}
	if diff := cmp.Diff([]string{"create", "put", "finalize"}, got); diff != "" {
		t.Errorf("requests of a new blob (-want +got):\n%s", diff)
	}
	put(t, b, content(1, 100))
	if n := s.Count("put"); n != 1 {
		t.Errorf("Put(again) has sent the content %d times, want once", n)
	}
}

func TestLookupOnceForManyPieces(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	b := open(t, s, nil, writer)
	data := content(1, 2_000_000)
	put(t, b, data)
	before := s.Count("lookup")
	wantBlob(t, b, data)
	if n := s.Count("lookup") - before; n != 1 {
		t.Errorf("Open(20 pieces) has looked up %d times, want once", n)
	}
}

func TestEmptyBlob(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	put(t, open(t, s, nil, writer), nil)
	wantBlob(t, open(t, s, nil, writer), nil)
	if got := keys(s); len(got) != 1 || strings.HasPrefix(got[0], "buildkit") {
		t.Errorf("keys = %v, want one that BuildKit does not ask for", got)
	}
}

// TestBlobOfAnotherKey has the service find an entry whose key only begins like
// the one that was asked for, such as BuildKit's signatures.
func TestBlobOfAnotherKey(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	b := open(t, s, nil, writer)
	d := describe(content(1, 100))
	s.Plant(mainRef, "buildkit-blob-1-"+d.Digest.String()+"-sig", cacheVersion, []byte("signature"))
	wantNoBlob(t, b, d)
	put(t, b, content(1, 100))
	wantBlob(t, b, content(1, 100))
}

func TestBlobsOfReadableScopes(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	main := open(t, s, nil, writer)
	feature := open(t, s, nil, ghaserver.Scope{Ref: featureRef, Permission: 3}, ghaserver.Scope{Ref: mainRef, Permission: 1})
	ofMain, ofFeature := content(1, 100), content(2, 100)
	put(t, main, ofMain)
	put(t, feature, ofFeature)
	wantBlob(t, feature, ofMain)
	wantNoBlob(t, main, describe(ofFeature))
	put(t, main, ofFeature)
	wantBlob(t, main, ofFeature)
}

func TestEvictedBlobIsNotFound(t *testing.T) {
	data := content(1, 100)
	key := "buildkit-blob-1-" + describe(data).Digest.String()
	for _, tt := range []struct {
		name  string
		evict func(*ghaserver.Server)
	}{
		{"entry", func(s *ghaserver.Server) { s.Evict(mainRef, key, cacheVersion) }},
		{"content alone", func(s *ghaserver.Server) { s.DropBlob(mainRef, key, cacheVersion) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := ghaserver.New(t, ghaserver.Options{})
			b := open(t, s, impatient, writer)
			put(t, b, data)
			wantBlob(t, b, data) // which remembers the URL
			tt.evict(s)
			wantNoBlob(t, b, describe(data))
			put(t, b, data)
			wantBlob(t, b, data)
			wantBlob(t, open(t, s, nil, writer), data)
		})
	}
}

func TestStuckBlobIsSteppedOver(t *testing.T) {
	for _, size := range []int{100, 1_000_001, 2_000_000} {
		s := ghaserver.New(t, ghaserver.Options{})
		data := content(1, size)
		key := "buildkit-blob-1-" + describe(data).Digest.String()
		s.Reserve(mainRef, key, cacheVersion)
		s.Reserve(mainRef, key+"#1", cacheVersion)
		put(t, open(t, s, impatient, writer), data)
		if diff := cmp.Diff([]string{key + "#2"}, keys(s)); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		wantBlob(t, open(t, s, nil, writer), data)
	}
}

func TestReservationIsTakenUpAgain(t *testing.T) {
	for _, size := range []int{100, 1_500_000} {
		var fail atomic.Int32
		fail.Store(8)
		s := ghaserver.New(t, ghaserver.Options{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || fail.Add(-1) < 0 {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			return true
		}})
		b := open(t, s, nil, writer)
		data := content(1, size)
		for b.Put(t.Context(), describe(data), blob.Bytes(data)) != nil {
			if s.Count("create") != 1 {
				break
			}
		}
		wantBlob(t, b, data)
		if n := s.Count("create"); n != 1 {
			t.Errorf("Put(%d bytes, with failures) has created %d entries, want one", size, n)
		}
	}
}

// TestConcurrentPuts has a blob put by many at the same time, who wait for the
// one that has reserved it.
func TestConcurrentPuts(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{Latency: 5 * time.Millisecond})
	data := content(1, 1_200_000)
	errs := make(chan error)
	for range 6 {
		b := open(t, s, nil, writer)
		go func() { errs <- b.Put(t.Context(), describe(data), blob.Bytes(data)) }()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Errorf("Put(at the same time) = %v, want nil", err)
		}
	}
	if got := keys(s); len(got) != 1 {
		t.Errorf("keys = %v, want one", got)
	}
}

func TestSignedURLsAreRenewed(t *testing.T) {
	c := newClock()
	s := ghaserver.New(t, ghaserver.Options{Now: c.Now})
	b := open(t, s, nil, writer) // whose clock stands still in comparison
	data := content(1, 100)
	put(t, b, data)
	wantBlob(t, b, data)
	before := s.Count("lookup")
	c.add(11 * time.Minute)
	wantBlob(t, b, data)
	if n := s.Count("lookup") - before; n != 1 {
		t.Errorf("Open(after the URL has expired) has looked up %d times, want once", n)
	}
}

func TestFinalizeThatIsNotHeardOf(t *testing.T) {
	var lost atomic.Bool
	var s *ghaserver.Server
	s = ghaserver.New(t, ghaserver.Options{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/FinalizeCacheEntryUpload") || lost.Swap(true) {
			return false
		}
		// It is done, by another request, and the answer is lost.
		body, _ := io.ReadAll(r.Body)
		again, err := http.NewRequestWithContext(r.Context(), http.MethodPost, s.URL+r.URL.Path, strings.NewReader(string(body)))
		if err != nil {
			t.Error(err)
			return false
		}
		again.Header = r.Header.Clone()
		resp, err := http.DefaultClient.Do(again)
		if err != nil {
			t.Error(err)
			return false
		}
		_ = resp.Body.Close()
		w.WriteHeader(http.StatusBadGateway)
		return true
	}})
	b := open(t, s, nil, writer)
	put(t, b, content(1, 100))
	wantBlob(t, b, content(1, 100))
}

func TestCanceledWhileOthersAreWaitedFor(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	data := content(1, 100)
	s.Reserve(mainRef, "buildkit-blob-1-"+describe(data).Digest.String(), cacheVersion)
	b := open(t, s, func(o *gha.Options) { o.StuckAfter = time.Hour }, writer)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.Put(ctx, describe(data), blob.Bytes(data)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Put(reserved by another) = %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestBackendSaysWhatItCan(t *testing.T) {
	b := open(t, ghaserver.New(t, ghaserver.Options{}), nil, writer)
	want := backend.Capabilities{CreateRef: true, ReplaceRef: true}
	if got := b.Info(); got.Capabilities != want || got.Encoding != "flat" || got.Driver != "gha" {
		t.Errorf("Info() = %+v, want capabilities %+v, flat", got, want)
	}
}

func TestOwnBlobsAreFound(t *testing.T) {
	o := ghaserver.Options{}
	o.VisibleAfter = 200 * time.Millisecond
	s := ghaserver.New(t, o)
	b := open(t, s, nil, writer)
	for i, size := range []int{0, 100, 1_000_000} {
		put(t, b, content(i, size))
		wantBlob(t, b, content(i, size))
		put(t, b, content(i, size))
	}
}
