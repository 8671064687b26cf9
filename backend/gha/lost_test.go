package gha_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/ghaserver"
	"github.com/larder-build/larder/manifest"
)

// step exports a cache of one step and returns what Export did.
func step(t *testing.T, to larder.Target, name string) (*larder.Report, error) {
	t.Helper()
	store, b := mem.New(), manifest.NewBuilder()
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	d := describe([]byte(name))
	if err := store.Put(t.Context(), d, blob.Bytes([]byte(name))); err != nil {
		return nil, err
	}
	b.Result(b.Record(name), created, b.Layer(d, d.Digest, created, manifest.LayerHandle{}))
	m, err := b.Manifest()
	if err != nil {
		return nil, err
	}
	return larder.Export(t.Context(), m, larder.ContentOf(store), []larder.Target{to}, larder.ExportOptions{})
}

// wantSteps fails unless a ref has exactly so many steps, with their layers.
func wantSteps(t *testing.T, from larder.Target, want int) {
	t.Helper()
	found, report, err := larder.Import(t.Context(), []larder.Target{from}, larder.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(found.Manifest.Records); n != want || report.Sources[0].Lost > 0 {
		t.Errorf("Import() has %d steps and has lost %d, want %d: %+v", n, report.Sources[0].Lost, want, report)
	}
}

// TestManyExporters has jobs of their own export to one ref at the same time.
func TestManyExporters(t *testing.T) {
	exporters := 12
	if thorough() {
		exporters = 50
	}
	for _, lag := range []time.Duration{0, 30 * time.Millisecond} {
		t.Run(fmt.Sprint("lag of ", lag), func(t *testing.T) {
			o := ghaserver.Options{}
			o.VisibleAfter = lag
			s := ghaserver.New(t, o)
			var jobs sync.WaitGroup
			for i := range exporters {
				b := wrap.Recommended(open(t, s, nil, writer), wrap.Options{})
				jobs.Go(func() {
					report, err := step(t, larder.Target{Backend: b, Ref: "demo"}, fmt.Sprint("step ", i))
					if err != nil || report.Targets[0].Outcome != larder.Published && report.Targets[0].Outcome != larder.Unchanged {
						t.Errorf("Export(%d) = %+v, %v, want it to be published", i, report, err)
					}
				})
			}
			jobs.Wait()
			s.Settle()
			wantSteps(t, larder.Target{Backend: open(t, s, nil, writer), Ref: "demo"}, exporters)
		})
	}
}

// TestLagBeyondTheirPatience has the service find a document so late that other
// writers take its writer for crashed, and step over it.
func TestLagBeyondTheirPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ghaserver.Options{}
		o.VisibleAfter = 50 * time.Second
		s := ghaserver.NewLocal(o)
		job := func() larder.Target {
			return larder.Target{Ref: "demo", Backend: open(t, s.Server, func(o *gha.Options) { o.Transport = s }, writer)}
		}
		var exports sync.WaitGroup
		for _, name := range []string{"one", "two", "three"} {
			to := job()
			exports.Go(func() {
				if _, err := step(t, to, name); err != nil {
					t.Errorf("Export(%s) = %v, want nil", name, err)
				}
			})
		}
		exports.Wait()
		wantSteps(t, job(), 3)
	})
}

// TestDocumentThatIsNeverFound is not acknowledged, which is no failure.
func TestDocumentThatIsNeverFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ghaserver.Options{}
		o.VisibleAfter = time.Hour
		s := ghaserver.NewLocal(o)
		to := larder.Target{Ref: "demo", Backend: open(t, s.Server, func(o *gha.Options) { o.Transport = s }, writer)}
		report, err := step(t, to, "one")
		if err != nil || report.Targets[0].Outcome != larder.Skipped {
			t.Errorf("Export() = %s, %v, want %s", report.Targets[0].Outcome, err, larder.Skipped)
		}
	})
}

// TestCrashBetweenReserveAndFinalize has a writer die with an entry reserved, of
// a blob and of a ref.
func TestCrashBetweenReserveAndFinalize(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := ghaserver.NewLocal(ghaserver.Options{})
				s.Reserve(mainRef, "buildkit-blob-1-"+describe([]byte("one")).Digest.String(), cacheVersion)
				s.Reserve(mainRef, indexOfMain+"1", cacheVersion)
				to := larder.Target{Ref: "demo", Backend: open(t, s.Server, func(o *gha.Options) { o.Transport, o.Version = s, version }, writer)}
				if report, err := step(t, to, "one"); err != nil || report.Targets[0].Outcome != larder.Published {
					t.Errorf("Export() = %+v, %v, want it to be published", report, err)
				}
				wantSteps(t, to, 1)
			})
		})
	}
}

// TestEviction has each entry of a cache go in turn, or its content alone: what is
// left is found, and an export makes good what has gone.
func TestEviction(t *testing.T) {
	evict := map[string]func(*ghaserver.Server, ghaserver.Entry) bool{
		"entry":         func(s *ghaserver.Server, e ghaserver.Entry) bool { return s.Evict(e.Scope, e.Key, e.Version) },
		"content alone": func(s *ghaserver.Server, e ghaserver.Entry) bool { return s.DropBlob(e.Scope, e.Key, e.Version) },
	}
	for name, do := range evict {
		for i := range 4 {
			t.Run(fmt.Sprint(name, " ", i), func(t *testing.T) {
				s := ghaserver.New(t, ghaserver.Options{})
				to := func() larder.Target { return larder.Target{Ref: "demo", Backend: open(t, s, impatient, writer)} }
				m, layers := cacheOf(t, 3)
				publish := func() {
					if _, err := larder.Export(t.Context(), m, layers, []larder.Target{to()}, larder.ExportOptions{}); err != nil {
						t.Fatalf("Export() = %v, want nil", err)
					}
				}
				publish()
				gone := s.Entries()[i]
				do(s, gone)
				left := 2
				if strings.HasPrefix(gone.Key, "index-") {
					left = 0
				}
				wantLeft(t, to(), left)
				repair(t, to(), m, layers)
				wantLeft(t, to(), 3)
			})
		}
	}
}

// repair puts back what a cache has lost: an export believes its own document.
func repair(t *testing.T, to larder.Target, m *manifest.Manifest, layers larder.Content) {
	t.Helper()
	for _, d := range m.Blobs() {
		if err := to.Backend.Put(t.Context(), d, layers.Source(d)); err != nil {
			t.Fatalf("Put(%s) = %v, want nil", d.Digest, err)
		}
	}
	if _, err := larder.Export(t.Context(), m, layers, []larder.Target{to}, larder.ExportOptions{}); err != nil {
		t.Fatalf("Export(again) = %v, want nil", err)
	}
}

// wantLeft fails unless an import, which never fails, has so many layers that can
// be read.
func wantLeft(t *testing.T, from larder.Target, want int) {
	t.Helper()
	found, _, err := larder.Import(t.Context(), []larder.Target{from}, larder.ImportOptions{})
	if err != nil || len(found.Manifest.Layers) != want {
		t.Errorf("Import() = %d layers, %v, want %d", len(found.Manifest.Layers), err, want)
	}
	for _, l := range found.Manifest.Layers {
		if _, err := found.Open(t.Context(), l.Descriptor()); err != nil {
			t.Errorf("Open(%s) = %v, want it", l.Digest, err)
		}
	}
}

// TestTokenThatExpiresMidway ends an export with an error that says so, and what
// was there is there.
func TestTokenThatExpiresMidway(t *testing.T) {
	c := newClock()
	var server *ghaserver.Server
	server = ghaserver.New(t, ghaserver.Options{Now: c.Now, Intercept: func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/CreateCacheEntry") && server.Count("create") > 3 {
			c.add(7 * time.Hour)
		}
		return false
	}})
	to := larder.Target{Ref: "demo", Backend: open(t, server, impatient, writer)}
	if _, err := step(t, to, "one"); err != nil { // two contents
		t.Fatal(err)
	}
	m, layers := cacheOf(t, 5)
	_, err := larder.Export(t.Context(), m, layers, []larder.Target{to}, larder.ExportOptions{})
	if !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "valid until") {
		t.Errorf("Export() = %v, want %v and until when the token was valid", err, backend.ErrDenied)
	}
	wantSteps(t, larder.Target{Ref: "demo", Backend: open(t, server, impatient, writer)}, 1)
}
