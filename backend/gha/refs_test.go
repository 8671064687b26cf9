package gha_test

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/internal/ghaserver"
)

// indexOfMain is where BuildKit looks for the ref "demo" of the main branch.
const indexOfMain = "index-demo-1-f921bd05#"

func TestRefsLieWhereBuildKitLooks(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	b := open(t, s, nil, writer)
	putRef(t, b, "demo", "first", backend.Always)
	v := putRef(t, b, "demo", "second", backend.Always)
	if diff := cmp.Diff([]string{indexOfMain + "1", indexOfMain + "2"}, keys(s)); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if got := wantRef(t, b, "demo", "second"); got != v || v != indexOfMain+"2" {
		t.Errorf("versions = %s, %s, want the key of the entry", v, got)
	}
	s.Plant(mainRef, indexOfMain+"3", cacheVersion, []byte("BuildKit's"))
	wantRef(t, b, "demo", "BuildKit's")
	putRef(t, b, "demo", "ours", backend.Always)
	wantRef(t, open(t, s, nil, writer), "demo", "ours")
}

func TestRefsOfScopes(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	main := open(t, s, nil, writer)
	branch := func(ref string) backend.Backend {
		return open(t, s, nil, ghaserver.Scope{Ref: ref, Permission: 3}, ghaserver.Scope{Ref: mainRef, Permission: 1})
	}
	feature, other := branch(featureRef), branch("refs/pull/1/merge")
	wantRef(t, feature, "demo", "")
	putRef(t, main, "demo", "of main", backend.Absent)
	v := wantRef(t, feature, "demo", "of main")
	if _, err := feature.PutRef(t.Context(), "demo", backend.Document{Data: []byte("x")}, backend.Absent); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("PutRef(absent) = %v where main's is read, want %v", err, backend.ErrConflict)
	}
	putRef(t, feature, "demo", "of feature", backend.Match(v))
	if _, err := feature.PutRef(t.Context(), "demo", backend.Document{Data: []byte("x")}, backend.Match(v)); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("PutRef(match main's) = %v after it was written, want %v", err, backend.ErrConflict)
	}
	wantRef(t, feature, "demo", "of feature")
	wantRef(t, main, "demo", "of main")
	wantRef(t, other, "demo", "of main")
}

// TestRefThatWasAbsentIsNotLookedForAgain creates a ref that was not found, first
// and after somebody else has.
func TestRefThatWasAbsentIsNotLookedForAgain(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	mine, theirs := open(t, s, nil, writer), open(t, s, nil, writer)
	wantRef(t, mine, "demo", "")
	putRef(t, mine, "demo", "mine", backend.Absent)
	if got, want := s.Count("lookup"), 2; got != want {
		t.Errorf("%d lookups, want %d: before the ref is written, and after", got, want)
	}
	wantRef(t, mine, "other", "")
	putRef(t, theirs, "other", "theirs", backend.Absent)
	if _, err := mine.PutRef(t.Context(), "other", backend.Document{Data: []byte("mine")}, backend.Absent); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("PutRef(absent) = %v where another has been faster, want conflict", err)
	}
	wantRef(t, mine, "other", "theirs")
}

func TestStuckRefIsSteppedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ghaserver.NewLocal(ghaserver.Options{})
		b := open(t, s.Server, func(o *gha.Options) { o.Transport = s }, writer)
		v := putRef(t, b, "demo", "first", backend.Always)
		s.Reserve(mainRef, indexOfMain+"2", cacheVersion)
		s.Reserve(mainRef, indexOfMain+"3", cacheVersion)
		began := time.Now()
		putRef(t, b, "demo", "second", backend.Match(v))
		if took := time.Since(began); took < 4*time.Minute {
			t.Errorf("PutRef(second) took %v, want two minutes for each entry that is stuck", took)
		}
		wantRef(t, b, "demo", "second")
		if diff := cmp.Diff([]string{indexOfMain + "1", indexOfMain + "4"}, keys(s.Server)); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	})
}

// TestUploadErrorsOfRefsAreReported has the upload of an index fail, which
// BuildKit's client does not tell anybody.
func TestUploadErrorsOfRefsAreReported(t *testing.T) {
	var once sync.Once
	s := ghaserver.New(t, ghaserver.Options{Intercept: func(w http.ResponseWriter, r *http.Request) (failed bool) {
		if r.Method == http.MethodPut {
			once.Do(func() { w.WriteHeader(http.StatusServiceUnavailable); failed = true })
		}
		return failed
	}})
	b := open(t, s, nil, writer)
	doc := backend.Document{Data: []byte("x")}
	_, err := b.PutRef(t.Context(), "demo", doc, backend.Absent)
	if _, temporary := backend.Temporary(err); !errors.Is(err, backend.ErrUnavailable) || !temporary {
		t.Errorf("PutRef(demo) = %v, want %v, temporary", err, backend.ErrUnavailable)
	}
	wantRef(t, b, "demo", "")
	putRef(t, b, "demo", "x", backend.Absent)
	if n := s.Count("create"); n != 1 {
		t.Errorf("PutRef(again) has created %d entries, want to take up the first", n)
	}
}

func TestLateRefIsNotWritten(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{Intercept: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done() // the client loses its patience
		return true
	}})
	b := open(t, s, impatient, writer)
	_, err := b.PutRef(t.Context(), "demo", backend.Document{Data: []byte("x")}, backend.Always)
	if _, temporary := backend.Temporary(err); !errors.Is(err, backend.ErrUnavailable) || !temporary {
		t.Errorf("PutRef(demo) = %v, want %v, temporary", err, backend.ErrUnavailable)
	}
	if got := s.Count("finalize"); got != 0 {
		t.Errorf("PutRef(demo) was finalized %d times, want never", got)
	}
}

func TestOwnWritesAreRead(t *testing.T) {
	o := ghaserver.Options{}
	o.VisibleAfter = 200 * time.Millisecond
	s := ghaserver.New(t, o)
	b := open(t, s, nil, writer)
	for _, doc := range []string{"first", "second", "third"} {
		putRef(t, b, "demo", doc, backend.Always)
		wantRef(t, b, "demo", doc)
	}
}

func TestEvictedRefIsNotFound(t *testing.T) {
	for _, tt := range []struct {
		name  string
		evict func(*ghaserver.Server)
	}{
		{"entry", func(s *ghaserver.Server) { s.Evict(mainRef, indexOfMain+"1", cacheVersion) }},
		{"content alone", func(s *ghaserver.Server) { s.DropBlob(mainRef, indexOfMain+"1", cacheVersion) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := ghaserver.New(t, ghaserver.Options{})
			b := open(t, s, impatient, writer)
			putRef(t, b, "demo", "first", backend.Always)
			tt.evict(s)
			wantRef(t, b, "demo", "")
			putRef(t, b, "demo", "second", backend.Absent)
			wantRef(t, b, "demo", "second")
		})
	}
}

func TestEmptyDocumentIsInvalid(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	b := open(t, s, nil, writer)
	if _, err := b.PutRef(t.Context(), "demo", backend.Document{}, backend.Always); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("PutRef(empty) = %v, want %v", err, backend.ErrInvalid)
	}
	if n := s.Count("create"); n != 0 {
		t.Errorf("PutRef(empty) has created %d entries, want none", n)
	}
}
