package larder_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
	"github.com/larder-build/larder/manifest"
)

func importFrom(tb testing.TB, from ...larder.Target) (*larder.Imported, *larder.Report) {
	tb.Helper()
	found, report, err := larder.Import(tb.Context(), from, larder.ImportOptions{})
	if err != nil {
		tb.Fatalf("Import() = %v", err)
	}
	return found, report
}

func TestImportOfNothingIsAMiss(t *testing.T) {
	found, report := importFrom(t, larder.Target{Backend: mem.New(), Ref: "main"})
	if !found.Manifest.IsEmpty() {
		t.Errorf("Import() found %d records, want none", len(found.Manifest.Records))
	}
	if err := report.Sources[0].Err; !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("the source's error is %v, want %v", err, backend.ErrNotFound)
	}
	if got := degradations(report); !slices.Equal(got, []larder.DegradationKind{larder.SourceMissing}) {
		t.Errorf("Import() reports %v, want one %s", got, larder.SourceMissing)
	}
	if empty, _ := importFrom(t); !empty.Manifest.IsEmpty() {
		t.Errorf("Import(no source) found something")
	}
}

func TestImportOverlaysItsSourcesInOrder(t *testing.T) {
	first, second := cacheOf(t, "base", "deps"), cacheOf(t, "base", "deps", "build")
	// The second has a newer, other result of the same step.
	second.Records[1].Results[0] = manifest.Result{Layer: 2, CreatedAt: epoch.Add(time.Hour)}
	a, b := larder.Target{Backend: mem.New(), Ref: "main"}, larder.Target{Backend: mem.New(), Ref: "feature"}
	export(t, first, a)
	export(t, second, b)
	found, report := importFrom(t, a, b)
	if got := steps(found.Manifest, "base", "deps", "build"); len(got) != 3 {
		t.Errorf("Import() has %v, want all three steps", got)
	}
	m := found.Manifest
	for _, r := range m.Records {
		if r.Digest != first.Records[1].Digest {
			continue
		}
		if len(r.Results) != 2 {
			t.Fatalf("the step in both sources has %d results, want 2", len(r.Results))
		}
		stack := m.Stack(r.Results[0])
		if top := m.Layers[stack[len(stack)-1]].Digest; top != first.layer(1) {
			t.Errorf("the step in both sources is served by %s, want the first source's %s", top, first.layer(1))
		}
	}
	if report.Sources[0].Records != 2 || report.Sources[1].Records != 3 {
		t.Errorf("sources have %d and %d records, want 2 and 3", report.Sources[0].Records, report.Sources[1].Records)
	}
}

func TestImportGoesOnWithoutFailingSources(t *testing.T) {
	good := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, cacheOf(t, "base"), good)
	broken := larder.Target{Backend: faulty.New(mem.New(), faulty.Fault{Op: faulty.GetRef, Err: backend.ErrUnavailable, Times: -1}), Ref: "main"}
	torn := mem.New()
	if _, err := torn.PutRef(t.Context(), "main", backend.Document{Data: []byte("{")}, backend.Always); err != nil {
		t.Fatal(err)
	}
	found, report := importFrom(t, broken, larder.Target{Backend: torn, Ref: "main"}, larder.Target{Backend: torn, Ref: "absent"}, good)
	if got := steps(found.Manifest, "base"); len(got) != 1 {
		t.Errorf("Import() has %v, want base", got)
	}
	want := []larder.DegradationKind{larder.SourceFailed, larder.SourceFailed, larder.SourceMissing}
	if got := degradations(report); !slices.Equal(got, want) {
		t.Errorf("Import() reports %v, want %v", got, want)
	}
}

func TestImportLosesOnlyTheRecordsOfALostBlob(t *testing.T) {
	c := cacheOf(t, "base", "deps", "build")
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, c, to)
	drop(t, to.Backend, c.layer(2))
	found, report := importFrom(t, to)
	if got := steps(found.Manifest, "base", "deps", "build"); !slices.Equal(got, []string{"base", "deps"}) {
		t.Errorf("Import() has %v, want base and deps", got)
	}
	if got := report.Sources[0].Lost; got != 1 {
		t.Errorf("Import() reports %d lost records, want 1", got)
	}
	if got := degradations(report); !slices.Equal(got, []larder.DegradationKind{larder.BlobLost}) || report.Degradations[0].Blob != c.layer(2) {
		t.Errorf("Import() reports %v of %s, want one %s of %s", got, report.Degradations[0].Blob, larder.BlobLost, c.layer(2))
	}
}

func TestImportFallsBackToALaterSourceOfTheSameBlob(t *testing.T) {
	c := cacheOf(t, "base", "deps")
	first, second := larder.Target{Backend: mem.New(), Ref: "main"}, larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, c, first)
	export(t, c, second)
	found, _ := importFrom(t, first, second)
	drop(t, first.Backend, c.layer(1))
	if got := readImported(t, found, c.Layers[1].Descriptor()); string(got) != string(c.blobs[c.layer(1)]) {
		t.Errorf("Open() of a blob that the first source lost = %d bytes, want %d", len(got), len(c.blobs[c.layer(1)]))
	}
	drop(t, second.Backend, c.layer(1))
	if _, err := found.Open(t.Context(), c.Layers[1].Descriptor()); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Open() of a blob that all lost = %v, want %v", err, backend.ErrNotFound)
	}
	if _, err := found.Open(t.Context(), blob.Describe("", []byte("never heard of"))); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Open() of a foreign blob = %v, want %v", err, backend.ErrNotFound)
	}
}

func TestImportedContentIsVerified(t *testing.T) {
	c := cacheOf(t, "base")
	b := faulty.New(mem.New())
	to := larder.Target{Backend: b, Ref: "main"}
	export(t, c, to)
	found, _ := importFrom(t, to)
	b.Inject(faulty.Fault{Op: faulty.Open, FlipAt: 100, Times: 1})
	r, err := found.Open(t.Context(), c.Layers[0].Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, backend.ErrCorrupt) {
		t.Errorf("reading a flipped blob = %v, want %v", err, backend.ErrCorrupt)
	}
}

func TestImportReadsAllSourcesAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = time.Second
		var from []larder.Target
		for range 20 {
			b := mem.New()
			export(t, cacheOf(t, "base"), larder.Target{Backend: b, Ref: "main"})
			from = append(from, larder.Target{Backend: faulty.New(b, faulty.Fault{Op: faulty.GetRef, Delay: delay, Times: -1}), Ref: "main"})
		}
		start := time.Now()
		importFrom(t, from...)
		if took := time.Since(start); took != delay {
			t.Errorf("Import() of 20 sources took %s, want %s", took, delay)
		}
	})
}

func TestImportEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := faulty.New(mem.New(), faulty.Fault{Op: faulty.GetRef, Stall: true, Times: -1})
	time.AfterFunc(time.Millisecond, cancel)
	if _, _, err := larder.Import(ctx, []larder.Target{{Backend: b, Ref: "main"}}, larder.ImportOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Import() = %v, want %v", err, context.Canceled)
	}
}
