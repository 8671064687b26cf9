package gha_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/internal/ghaserver"
	"github.com/larder-build/larder/manifest"
)

// cacheOf is a cache of so many steps with a layer each.
func cacheOf(tb testing.TB, steps int) (*manifest.Manifest, larder.Content) {
	tb.Helper()
	store, b := mem.New(), manifest.NewBuilder()
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range steps {
		data := content(i, 100)
		d := put(tb, store, data)
		b.Result(b.Record(d.Digest.String()), created, b.Layer(d, d.Digest, created, manifest.LayerHandle{}))
	}
	m, err := b.Manifest()
	if err != nil {
		tb.Fatal(err)
	}
	return m, larder.ContentOf(store)
}

// TestThousandEntries exports more than five times what may be created in a
// minute, in time that is not the real one.
func TestThousandEntries(t *testing.T) {
	for _, tt := range []struct {
		name     string
		seen     int           // creations a minute that the driver believes in
		patience time.Duration // 0 is the default
		deadline time.Duration
		all      bool
	}{
		{"a budget of its own", 0, 0, time.Hour, true},
		{"a budget that others have used", 1 << 30, 0, time.Hour, true},
		{"little patience", 1 << 30, 30 * time.Second, time.Hour, false},
		{"little time", 0, 0, 150 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := ghaserver.Options{}
				o.Creations, o.Per, o.Latency = 200, time.Minute, 250*time.Millisecond
				s := ghaserver.NewLocal(o)
				var waits atomic.Int64
				driver := open(t, s.Server, func(o *gha.Options) {
					o.Transport, o.Patience, o.Budget = s, tt.patience, &gha.Budget{Creations: tt.seen}
				}, writer)
				b := wrap.Recommended(driver, wrap.Options{Observer: &wrap.Observer{Retry: func(wrap.Call, error, time.Duration) { waits.Add(1) }}})
				report := export1000(t, larder.Target{Backend: b, Ref: "demo"}, tt.deadline)
				if report.Retries == 0 || report.Waited == 0 || waits.Load() == 0 {
					t.Errorf("Export() tells of %d retries after %v, the observer of %d, want waits", report.Retries, report.Waited, waits.Load())
				}
				if omitted := len(report.Degradations) > 0; omitted == tt.all {
					t.Errorf("Export() has degradations %+v, want some: %t", report.Degradations, !tt.all)
				}
				found, _, err := larder.Import(t.Context(), []larder.Target{{Backend: b, Ref: "demo"}}, larder.ImportOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if n := len(found.Manifest.Layers); n != report.Sent.Blobs || n < 190 || (n == 1000) != tt.all {
					t.Errorf("Import() has %d layers, want the %d that were sent", n, report.Sent.Blobs)
				}
			})
		})
	}
}

// export1000 exports a thousand layers within a time, which must succeed.
func export1000(t *testing.T, to larder.Target, within time.Duration) *larder.TargetReport {
	t.Helper()
	m, layers := cacheOf(t, 1000)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	report, err := larder.Export(ctx, m, layers, []larder.Target{to}, larder.ExportOptions{})
	if err != nil || report.Targets[0].Outcome != larder.Published {
		t.Fatalf("Export(1000 layers) = %s, %v, want %s", report.Targets[0].Outcome, err, larder.Published)
	}
	return report.Targets[0]
}

// TestExportWithAReadOnlyToken ends well, and says that nothing was written.
func TestExportWithAReadOnlyToken(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{Intercept: readOnly})
	b := wrap.Recommended(open(t, s, nil, writer), wrap.Options{})
	m, layers := cacheOf(t, 2)
	report, err := larder.Export(t.Context(), m, layers, []larder.Target{{Backend: b, Ref: "demo"}}, larder.ExportOptions{})
	if got := report.Targets[0]; err != nil || got.Outcome != larder.Skipped || len(got.Degradations) == 0 {
		t.Errorf("Export() = %s %+v, %v, want %s with a degradation", got.Outcome, got.Degradations, err, larder.Skipped)
	}
}

// TestStalledBlobIsNoStall has a blob wait longer than the wrappers let a call
// go without progress.
func TestStalledBlobIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ghaserver.Options{}
		o.Creations, o.Per = 1, 5*time.Minute
		s := ghaserver.NewLocal(o)
		b := wrap.Recommended(open(t, s.Server, func(o *gha.Options) { o.Transport = s }, writer), wrap.Options{})
		put(t, b, content(1, 100))
		began := time.Now()
		put(t, b, content(2, 100))
		if took := time.Since(began).Round(time.Second); took != 5*time.Minute {
			t.Errorf("Put(second) took %v, want the 5 minutes that the service has asked for", took)
		}
	})
}
