package larder_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/internal/registrytest"
)

// many returns the names of n steps that begin with prefix.
func many(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, prefix+strings.Repeat("i", i))
	}
	return all
}

func openRegistry(tb testing.TB, server *registrytest.Server, repo string) backend.Backend {
	tb.Helper()
	m := new(backend.Mux)
	m.Register(registry.Driver())
	b, err := m.Open(tb.Context(), parseAll(tb, m, server.Host+"/"+repo)[0])
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestPromoteMovesDocumentsAlone promotes 100 layers in a registry.
func TestPromoteMovesDocumentsAlone(t *testing.T) {
	server := registrytest.New(t, registrytest.Options{})
	b := openRegistry(t, server, "cache")
	defer b.Close()
	from, to := larder.Target{Backend: b, Ref: "feature"}, larder.Target{Backend: b, Ref: "main"}
	common := many("common", 20)
	export(t, cacheOf(t, append(common, "old")...), to)
	export(t, cacheOf(t, append(common, many("feature", 80)...)...), from)
	before := document(t, from)
	server.Forget()
	report, err := larder.Promote(t.Context(), from, to, larder.ExportOptions{})
	if err != nil {
		t.Fatalf("Promote() = %v", err)
	}
	requests := server.Requests()
	if len(requests) >= 10 {
		t.Errorf("Promote() takes %d requests, want fewer than 10", len(requests))
	}
	if got := report.Targets[0]; got.Outcome != larder.Published || got.Sent.Blobs > 0 || got.Reused.Blobs != 100 {
		t.Errorf("Promote() = %s with %d sent and %d reused, want published, 0, 100", got.Outcome, got.Sent.Blobs, got.Reused.Blobs)
	}
	m := inspect(t, to).Manifest
	if got := steps(m, "commoniii", "old", "featureiiiii"); len(got) != 3 {
		t.Errorf("the destination has %v, want what it had, and what was promoted", got)
	}
	if got := document(t, from); string(got.Data) != string(before.Data) {
		t.Error("the source has changed")
	}
	server.Forget()
	report, err = larder.Promote(t.Context(), from, to, larder.ExportOptions{})
	if err != nil || report.Targets[0].Outcome != larder.Unchanged || len(server.Requests()) >= 10 {
		t.Errorf("Promote(again) = %s, %v with %d requests, want unchanged with fewer than 10", report.Targets[0].Outcome, err, len(server.Requests()))
	}
}

// TestPromoteNoticesWhatIsGone has a blob that the source's manifest promises in
// vain.
func TestPromoteNoticesWhatIsGone(t *testing.T) {
	server := registrytest.New(t, registrytest.Options{})
	b := openRegistry(t, server, "cache")
	defer b.Close()
	from, to := larder.Target{Backend: b, Ref: "feature"}, larder.Target{Backend: b, Ref: "main"}
	c := cacheOf(t, "base", "gone", "on top")
	export(t, c, from)
	server.DropBlob("cache", c.layer(1))
	report, err := larder.Promote(t.Context(), from, to, larder.ExportOptions{})
	if err == nil {
		m := inspect(t, to).Manifest
		if got := steps(m, "base", "gone", "on top"); !slices.Equal(got, []string{"base"}) {
			t.Errorf("the destination has %v, want base", got)
		}
		if !slices.Contains(degradations(report), larder.BlobLost) {
			t.Errorf("Promote() reports %v, want %s", degradations(report), larder.BlobLost)
		}
		return
	}
	if _, getErr := b.GetRef(t.Context(), "main"); !errors.Is(getErr, backend.ErrNotFound) {
		t.Errorf("Promote() = %v, and the destination is there", err)
	}
}

// TestPromoteBetweenStores copies what the other store lacks.
func TestPromoteBetweenStores(t *testing.T) {
	for _, encoding := range encodings {
		from := larder.Target{Backend: openRegistry(t, registrytest.New(t, registrytest.Options{}), "cache"), Ref: "feature"}
		to := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: encoding}), Ref: "main"}
		export(t, cacheOf(t, "base", "feature"), from)
		export(t, cacheOf(t, "base", "old"), to)
		report, err := larder.Promote(t.Context(), from, to, larder.ExportOptions{})
		if err != nil || report.Targets[0].Sent.Blobs != 1 || report.Targets[0].Reused.Blobs != 1 {
			t.Errorf("%s: Promote() = %+v, %v, want one blob sent and one reused", encoding, report.Targets[0], err)
		}
		if v, err := larder.Verify(t.Context(), to, larder.VerifyOptions{}); err != nil || !v.OK {
			t.Errorf("%s: Verify() of the destination = %+v, %v, want ok", encoding, v, err)
		}
	}
}

// TestPromoteRenewsAges promotes on a store with ages when they run out.
func TestPromoteRenewsAges(t *testing.T) {
	now := epoch
	b := mem.NewWith(mem.Options{Now: func() time.Time { return now }})
	from, to := larder.Target{Backend: b, Ref: "feature"}, larder.Target{Backend: b, Ref: "main"}
	c := cacheOf(t, "base", "feature")
	export(t, c, from)
	now = now.Add(20 * time.Hour)
	opts := larder.ExportOptions{Now: func() time.Time { return now }}
	if _, err := larder.Promote(t.Context(), from, to, opts); err != nil {
		t.Fatal(err)
	}
	found, err := b.Stat(t.Context(), c.layer(0), c.layer(1))
	if err != nil {
		t.Fatal(err)
	}
	for d, info := range found {
		if !info.ModTime.Equal(now) {
			t.Errorf("blob %s is of %v, want it renewed at %v", d, info.ModTime, now)
		}
	}
}

func TestPromoteInvalid(t *testing.T) {
	b := mem.New()
	main := larder.Target{Backend: b, Ref: "main"}
	for name, err := range map[string]error{
		"to itself":     promoteError(t, main, main),
		"to a digest":   promoteError(t, main, larder.Target{Backend: b, Ref: "sha256:" + strings.Repeat("0", 64)}),
		"from nowhere":  promoteError(t, larder.Target{}, main),
		"under no name": promoteError(t, larder.Target{Backend: b}, main),
	} {
		if !errors.Is(err, backend.ErrInvalid) {
			t.Errorf("Promote(%s) = %v, want ErrInvalid", name, err)
		}
	}
	if err := promoteError(t, larder.Target{Backend: b, Ref: "absent"}, main); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Promote(what is not there) = %v, want ErrNotFound", err)
	}
	export(t, cacheOf(t, "base"), main)
	empty := cacheOf(t, "base")
	empty.Records[0].Results = nil
	if report, err := larder.Export(t.Context(), empty.Manifest, empty, []larder.Target{{Backend: b, Ref: "empty"}}, larder.ExportOptions{}); err != nil || report.Targets[0].Outcome != larder.Skipped {
		t.Fatalf("Export(empty) = %v, %v", report.Targets[0].Outcome, err)
	}
}

// isolated is a store that keeps scopes apart.
type isolated struct{ backend.Backend }

func (b isolated) Info() backend.Info {
	info := b.Backend.Info()
	info.Isolation = "each to his own"
	return info
}

func TestPromoteIsolated(t *testing.T) {
	b := isolated{mem.New()}
	from, to := larder.Target{Backend: b, Ref: "feature"}, larder.Target{Backend: b, Ref: "main"}
	export(t, cacheOf(t, "base"), from)
	if err := promoteError(t, from, to); !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "each to his own") {
		t.Errorf("Promote() = %v, want ErrDenied with the rule", err)
	}
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("GetRef(main) = %v after a promotion that was denied, want ErrNotFound", err)
	}
	// To another store it is a copy.
	if err := promoteError(t, from, larder.Target{Backend: openRegistry(t, registrytest.New(t, registrytest.Options{}), "cache"), Ref: "main"}); err != nil {
		t.Errorf("Promote(to another store) = %v, want nil", err)
	}
}

func promoteError(tb testing.TB, from, to larder.Target) error {
	tb.Helper()
	_, err := larder.Promote(tb.Context(), from, to, larder.ExportOptions{})
	return err
}
