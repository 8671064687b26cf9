package larder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// encodings are the forms that a store may prefer.
var encodings = []string{mem.EncodingFlat, mem.EncodingOCIManifest}

func TestExportStoresWhatImportFinds(t *testing.T) {
	for _, encoding := range encodings {
		t.Run(encoding, func(t *testing.T) {
			c := cacheOf(t, "base", "deps", "build")
			to := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: encoding}), Ref: "main"}
			report := export(t, c, to)
			if got := report.Targets[0]; got.Outcome != larder.Published || got.Sent.Blobs != 3 || got.Digest == "" {
				t.Errorf("Export() reports %s, %d sent, digest %q, want published, 3 sent, a digest", got.Outcome, got.Sent.Blobs, got.Digest)
			}
			found, _, err := larder.Import(t.Context(), []larder.Target{to}, larder.ImportOptions{})
			if err != nil {
				t.Fatalf("Import() = %v", err)
			}
			if diff := cmp.Diff(c.Canonical(), found.Manifest.Canonical()); diff != "" {
				t.Errorf("Import() differs from what was exported (-want +got):\n%s", diff)
			}
			for i := range c.Layers {
				if got := readImported(t, found, c.Layers[i].Descriptor()); !bytes.Equal(got, c.blobs[c.layer(i)]) {
					t.Errorf("Open(layer %d) = %d bytes, want the %d exported", i, len(got), len(c.blobs[c.layer(i)]))
				}
			}
		})
	}
}

func TestExportAddsToWhatIsThere(t *testing.T) {
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, cacheOf(t, "base", "deps"), to)
	report := export(t, cacheOf(t, "base", "assets"), to)
	if got := report.Targets[0]; got.Sent.Blobs != 1 || got.Reused.Blobs != 1 {
		t.Errorf("second Export() sent %d and reused %d blobs, want 1 and 1", got.Sent.Blobs, got.Reused.Blobs)
	}
	want := []string{"base", "deps", "assets"}
	if got := steps(inspect(t, to).Manifest, want...); !slices.Equal(got, want) {
		t.Errorf("after two exports the ref has %v, want %v", got, want)
	}
}

func TestExportOverwrites(t *testing.T) {
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, cacheOf(t, "base", "deps"), to)
	c := cacheOf(t, "base", "assets")
	if _, err := larder.Export(t.Context(), c.Manifest, c, []larder.Target{to}, larder.ExportOptions{Overwrite: true}); err != nil {
		t.Fatalf("Export() = %v", err)
	}
	if got := steps(inspect(t, to).Manifest, "base", "deps", "assets"); !slices.Equal(got, []string{"base", "assets"}) {
		t.Errorf("after an overwriting export the ref has %v, want base and assets", got)
	}
}

func TestExportOfTheSameIsUnchanged(t *testing.T) {
	for _, encoding := range encodings {
		to := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: encoding}), Ref: "main"}
		c := cacheOf(t, "base", "deps")
		export(t, c, to)
		before, err := to.Backend.GetRef(t.Context(), "main")
		if err != nil {
			t.Fatal(err)
		}
		report := export(t, c, to)
		after, err := to.Backend.GetRef(t.Context(), "main")
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Targets[0]; got.Outcome != larder.Unchanged || got.Sent.Blobs != 0 || got.Reused.Blobs != 2 {
			t.Errorf("%s: second Export() = %s with %d sent and %d reused, want unchanged, 0 and 2", encoding, got.Outcome, got.Sent.Blobs, got.Reused.Blobs)
		}
		if after.Version != before.Version {
			t.Errorf("%s: second Export() changed the version from %s to %s", encoding, before.Version, after.Version)
		}
	}
}

func TestExportReadsEachBlobOnceForManyTargets(t *testing.T) {
	// In a bubble no member is late because the machine is busy.
	synctest.Test(t, func(t *testing.T) {
		var to []larder.Target
		for i := range 4 {
			to = append(to, larder.Target{Backend: mem.New(), Ref: fmt.Sprint("copy", i)})
		}
		c := cacheOf(t, "base", "deps", "build")
		if _, err := larder.Export(t.Context(), c.Manifest, c, to, larder.ExportOptions{}); err != nil {
			t.Fatalf("Export() = %v", err)
		}
		for i := range c.Layers {
			if got := c.opened[c.layer(i)]; got != 1 {
				t.Errorf("layer %d was read %d times for 4 targets, want 1", i, got)
			}
		}
		for _, target := range to {
			if got := inspect(t, target).Totals.Results; got != 3 {
				t.Errorf("%s has %d results, want 3", target, got)
			}
		}
	})
}

func TestExportNeverLosesAnAcknowledgedRecord(t *testing.T) {
	const exporters, rounds = 8, 10
	for _, encoding := range encodings {
		to := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: encoding}), Ref: "main"}
		var want []string
		var running sync.WaitGroup
		for e := range exporters {
			for r := range rounds {
				want = append(want, fmt.Sprintf("step-%d-%d", e, r))
			}
			running.Go(func() {
				for r := range rounds {
					export(t, cacheOf(t, fmt.Sprintf("step-%d-%d", e, r)), to)
				}
			})
		}
		running.Wait()
		if got := steps(inspect(t, to).Manifest, want...); len(got) != len(want) {
			t.Errorf("%s: %d of %d acknowledged records are left", encoding, len(got), len(want))
		}
	}
}

func TestExportReportsThatAStoreCannotCompareAndSwap(t *testing.T) {
	b := mem.NewWith(mem.Options{Without: backend.Capabilities{CreateRef: true, ReplaceRef: true}})
	report := export(t, cacheOf(t, "base"), larder.Target{Backend: b, Ref: "main"})
	if got := degradations(report); !slices.Contains(got, larder.UnguardedPublish) {
		t.Errorf("Export() reports %v, want %s among them", got, larder.UnguardedPublish)
	}
}

func TestExportPublishesNothingWithoutResults(t *testing.T) {
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, cacheOf(t, "base"), to)
	report, err := larder.Export(t.Context(), &manifest.Manifest{}, cacheOf(t), []larder.Target{to}, larder.ExportOptions{Overwrite: true})
	if err != nil || report.Targets[0].Outcome != larder.Skipped {
		t.Errorf("Export(nothing) = %s, %v, want skipped, nil", report.Targets[0].Outcome, err)
	}
	if got := inspect(t, to).Totals.Results; got != 1 {
		t.Errorf("after an export of nothing the ref has %d results, want the 1 it had", got)
	}
}

func TestExportLeavesOutWhatItsSourceLacks(t *testing.T) {
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	c := cacheOf(t, "base", "deps", "build")
	delete(c.blobs, c.layer(1))
	report := export(t, c, to)
	if got := degradations(report); !slices.Equal(got, []larder.DegradationKind{larder.BlobLost}) {
		t.Errorf("Export() reports %v, want one %s", got, larder.BlobLost)
	}
	if got := report.Degradations[0].Blob; got != c.layer(1) {
		t.Errorf("Export() reports the loss of %s, want %s", got, c.layer(1))
	}
	if got := steps(inspect(t, to).Manifest, "base", "deps", "build"); !slices.Equal(got, []string{"base"}) {
		t.Errorf("the ref has %v, want base alone", got)
	}
}

func TestExportLeavesOutWhatItsSourceGivesWrongly(t *testing.T) {
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	c := cacheOf(t, "base", "deps")
	c.blobs[c.layer(1)] = bytes.Repeat([]byte("x"), len(c.blobs[c.layer(1)]))
	report := export(t, c, to)
	if got := degradations(report); !slices.Equal(got, []larder.DegradationKind{larder.BlobLost}) {
		t.Errorf("Export() reports %v, want one %s", got, larder.BlobLost)
	}
	if got := steps(inspect(t, to).Manifest, "base", "deps"); !slices.Equal(got, []string{"base"}) {
		t.Errorf("the ref has %v, want base alone", got)
	}
}

func TestExportWithAFailingTargetServesTheOthers(t *testing.T) {
	good := larder.Target{Backend: mem.New(), Ref: "main"}
	bad := larder.Target{Backend: faulty.New(mem.New(), faulty.Fault{Op: faulty.Put, Err: backend.ErrDenied, Times: -1}), Ref: "main"}
	c := cacheOf(t, "base", "deps")
	report, err := larder.Export(t.Context(), c.Manifest, c, []larder.Target{bad, good}, larder.ExportOptions{})
	if !errors.Is(err, backend.ErrDenied) {
		t.Errorf("Export() = %v, want %v", err, backend.ErrDenied)
	}
	if got := report.Targets[0]; got.Outcome != larder.Failed || !errors.Is(got.Err, backend.ErrDenied) {
		t.Errorf("failing target: %s, %v, want failed, %v", got.Outcome, got.Err, backend.ErrDenied)
	}
	if got := inspect(t, good).Totals.Results; got != 2 {
		t.Errorf("the other target has %d results, want 2", got)
	}
	if _, err := bad.Backend.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("GetRef() on the failing target = %v, want %v", err, backend.ErrNotFound)
	}
}

func TestExportRefusesToDestroyWhatIsNoCache(t *testing.T) {
	b := mem.New()
	image := backend.Document{MediaType: "application/vnd.oci.image.manifest.v1+json", Data: []byte(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}`)}
	if err := b.Put(t.Context(), blob.Describe("", []byte("{}")), blob.Bytes([]byte("{}"))); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PutRef(t.Context(), "v1", image, backend.Always); err != nil {
		t.Fatal(err)
	}
	c := cacheOf(t, "base")
	for _, overwrite := range []bool{false, true} {
		_, err := larder.Export(t.Context(), c.Manifest, c, []larder.Target{{Backend: b, Ref: "v1"}}, larder.ExportOptions{Overwrite: overwrite})
		if !errors.Is(err, backend.ErrExists) || !errors.Is(err, buildkit.ErrNotCache) {
			t.Errorf("Export(overwrite %t) onto an image = %v, want %v", overwrite, err, backend.ErrExists)
		}
	}
}

func TestExportReplacesWhatCannotBeRead(t *testing.T) {
	b := mem.New()
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte(`{"layers":[{"blob":`)}, backend.Always); err != nil {
		t.Fatal(err)
	}
	report := export(t, cacheOf(t, "base"), larder.Target{Backend: b, Ref: "main"})
	if got := degradations(report); !slices.Equal(got, []larder.DegradationKind{larder.PreviousUnreadable}) {
		t.Errorf("Export() onto a torn document reports %v, want one %s", got, larder.PreviousUnreadable)
	}
}

// clocked returns a mem backend without cheap stats whose clock is now.
func clocked(now *time.Time) *faulty.Backend {
	return faulty.New(costly{mem.NewWith(mem.Options{Now: func() time.Time { return *now }})})
}

// costly makes Stat a thing to avoid.
type costly struct{ backend.Backend }

func (c costly) Info() backend.Info {
	info := c.Backend.Info()
	info.CheapStat = false
	return info
}

func TestExportAsksForNothingThatARecentManifestProves(t *testing.T) {
	now := epoch
	b := clocked(&now)
	to := larder.Target{Backend: b, Ref: "main"}
	opts := larder.ExportOptions{Now: func() time.Time { return now }}
	c := cacheOf(t, "base", "deps", "build")
	run := func() *larder.TargetReport {
		t.Helper()
		report, err := larder.Export(t.Context(), c.Manifest, c, []larder.Target{to}, opts)
		if err != nil {
			t.Fatalf("Export() = %v", err)
		}
		return report.Targets[0]
	}
	run()
	stats := b.Calls(faulty.Stat)
	now = now.Add(larder.DefaultRefreshAge/2 - time.Minute)
	if got := run(); got.Outcome != larder.Unchanged || got.Reused.Blobs != 3 || b.Calls(faulty.Stat) != stats {
		t.Errorf("recent: Export() = %s, %d reused, %d stats, want unchanged, 3, 0", got.Outcome, got.Reused.Blobs, b.Calls(faulty.Stat)-stats)
	}
	now = now.Add(2 * time.Minute)
	if got := run(); got.Reused.Blobs != 3 || b.Calls(faulty.Stat) == stats {
		t.Errorf("aged: Export() reused %d blobs after %d stats, want 3 after at least 1", got.Reused.Blobs, b.Calls(faulty.Stat)-stats)
	}
	infos, err := b.Stat(t.Context(), c.layer(0), c.layer(1), c.layer(2))
	if err != nil {
		t.Fatal(err)
	}
	for d, info := range infos {
		if !info.ModTime.Equal(now) {
			t.Errorf("aged: blob %s was renewed at %s, want %s", d, info.ModTime, now)
		}
	}
	ref, err := b.GetRef(t.Context(), "main")
	if err != nil || !ref.ModTime.Equal(now) {
		t.Errorf("aged: the ref was renewed at %s (%v), want %s", ref.ModTime, err, now)
	}
}

func TestExportRecoversFromAManifestThatProvedTooMuch(t *testing.T) {
	now := epoch
	b := clocked(&now)
	to := larder.Target{Backend: b, Ref: "main"}
	old := cacheOf(t, "base", "lost")
	export(t, old, to)
	drop(t, b, old.layer(0), old.layer(1))
	// As a registry does that refuses a manifest whose blobs it lacks.
	b.Inject(faulty.Fault{Op: faulty.PutRef, Err: backend.ErrNotFound, Times: 1})
	c := cacheOf(t, "base", "new")
	report, err := larder.Export(t.Context(), c.Manifest, c, []larder.Target{to}, larder.ExportOptions{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatalf("Export() = %v", err)
	}
	if got := steps(inspect(t, to).Manifest, "base", "lost", "new"); !slices.Equal(got, []string{"base", "new"}) {
		t.Errorf("the ref has %v, want base and new", got)
	}
	if got := degradations(report); !slices.Contains(got, larder.BlobLost) {
		t.Errorf("Export() reports %v, want %s among them", got, larder.BlobLost)
	}
	if v, err := larder.Verify(t.Context(), to, larder.VerifyOptions{}); err != nil || !v.OK {
		t.Errorf("Verify() = %+v, %v, want ok", v, err)
	}
}

func TestExportShedsTheOldestRecordsAtBuildKitsLimit(t *testing.T) {
	big := manyRecords(t, 6000)
	to := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest}), Ref: "main"}
	report := export(t, big, to)
	if got := degradations(report); !slices.Equal(got, []larder.DegradationKind{larder.RecordsShed}) {
		t.Errorf("Export() reports %v, want one %s", got, larder.RecordsShed)
	}
	found := inspect(t, to)
	if found.Totals.Results == 0 || found.Totals.Results == 6000 {
		t.Fatalf("the ref has %d results, want fewer than 6000", found.Totals.Results)
	}
	newest := big.Records[len(big.Records)-1].Digest
	if !slices.ContainsFunc(found.Manifest.Records, func(r manifest.Record) bool { return r.Digest == newest }) {
		t.Errorf("the newest record is gone")
	}
	flat := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, big, flat)
	if got := inspect(t, flat).Totals.Results; got != 6000 {
		t.Errorf("the flat form has %d results, want all 6000", got)
	}
	_, err := larder.Export(t.Context(), big.Manifest, big, []larder.Target{to}, larder.ExportOptions{Strict: true, Overwrite: true})
	if !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("strict Export() = %v, want %v", err, backend.ErrTooLarge)
	}
}

// manyRecords returns a cache whose config exceeds BuildKit's limit: n records
// with the same layer.
func manyRecords(tb testing.TB, n int) *cache {
	tb.Helper()
	c := cacheOf(tb, "base")
	for i := range n - 1 {
		c.Records = append(c.Records, manifest.Record{
			Digest:  blob.Describe("", fmt.Appendf(nil, "record %d", i)).Digest,
			Inputs:  [][]manifest.Link{{{Record: 0, Selector: fmt.Sprintf("/some/long/path/that/is/selected/%d", i)}}},
			Results: []manifest.Result{{Layer: 0, CreatedAt: epoch.Add(time.Duration(i+1) * time.Second)}},
		})
	}
	return c
}

// farEnd is a store that checks what arrives, and is fastest with files.
type farEnd struct {
	backend.Backend
	files *int
}

func (f farEnd) Info() backend.Info {
	info := f.Backend.Info()
	info.VerifiesPut = true
	return info
}

func (f farEnd) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	return f.Backend.Put(ctx, d, blob.SourceFunc(func(ctx context.Context) (io.ReadCloser, error) {
		r, err := src.Open(ctx)
		if _, ok := r.(*os.File); ok {
			*f.files++
		}
		return r, err
	}))
}

func TestExportHandsFilesToStoresThatCheckThem(t *testing.T) {
	c := cacheOf(t, "base")
	path := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(path, c.blobs[c.layer(0)], 0o600); err != nil {
		t.Fatal(err)
	}
	content := larder.ContentFunc(func(blob.Descriptor) blob.Source { return blob.File(path) })
	for _, verifies := range []bool{false, true} {
		files, moved := 0, int64(0)
		to := larder.Target{Backend: mem.New(), Ref: "main"}
		if verifies {
			to.Backend = farEnd{to.Backend, &files}
		}
		watch := func(s larder.Step) {
			if s.Kind == larder.StepMoved {
				moved += s.Bytes
			}
		}
		if _, err := larder.Export(t.Context(), c.Manifest, content, []larder.Target{to}, larder.ExportOptions{Progress: watch}); err != nil {
			t.Fatalf("Export() = %v", err)
		}
		if (files == 1) != verifies || moved != c.Layers[0].Size {
			t.Errorf("verifies %t: Export() handed over %d files and reported %d bytes, want %d bytes", verifies, files, moved, c.Layers[0].Size)
		}
	}
}

func TestExportEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := cacheOf(t, "base")
	report, err := larder.Export(ctx, c.Manifest, c, []larder.Target{{Backend: mem.New(), Ref: "main"}}, larder.ExportOptions{})
	if !errors.Is(err, context.Canceled) || report.Targets[0].Outcome != larder.Failed {
		t.Errorf("Export() = %s, %v, want failed, %v", report.Targets[0].Outcome, err, context.Canceled)
	}
}

func TestExportRefusesBadArguments(t *testing.T) {
	c := cacheOf(t, "base")
	tests := []struct {
		name string
		to   []larder.Target
	}{
		{"no target", nil},
		{"no backend", []larder.Target{{Ref: "main"}}},
		{"no ref", []larder.Target{{Backend: mem.New()}}},
		{"path as ref", []larder.Target{{Backend: mem.New(), Ref: "../main"}}},
		{"digest as ref", []larder.Target{{Backend: mem.New(), Ref: string(c.layer(0))}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := larder.Export(t.Context(), c.Manifest, c, tt.to, larder.ExportOptions{}); !errors.Is(err, backend.ErrInvalid) {
				t.Errorf("Export() = %v, want %v", err, backend.ErrInvalid)
			}
		})
	}
	broken := cacheOf(t, "base")
	broken.Layers[0].Parent = 7
	if _, err := larder.Export(t.Context(), broken.Manifest, broken, []larder.Target{{Backend: mem.New(), Ref: "main"}}, larder.ExportOptions{}); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("Export(looping manifest) = %v, want %v", err, backend.ErrInvalid)
	}
}

// readImported reads a blob of an import to its end.
func readImported(tb testing.TB, c *larder.Imported, d blob.Descriptor) []byte {
	tb.Helper()
	r, err := c.Open(tb.Context(), d)
	if err != nil {
		tb.Fatalf("Open(%s) = %v", d.Digest, err)
	}
	defer r.Close()
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(r); err != nil {
		tb.Fatalf("read of %s = %v", d.Digest, err)
	}
	return buf.Bytes()
}

// TestExportGoesOnWithoutTheRightToAsk exports to stores that refuse what an
// export can do without.
func TestExportGoesOnWithoutTheRightToAsk(t *testing.T) {
	tests := []struct {
		name  string
		fault faulty.Fault
		want  []larder.DegradationKind
	}{
		{"questions denied", faulty.Fault{Op: faulty.Stat, Err: backend.ErrDenied, Times: -1}, nil},
		{"conditions refused when they are met", faulty.Fault{Op: faulty.PutRef, Err: backend.ErrUnsupported, Times: 1}, []larder.DegradationKind{larder.UnguardedPublish}},
	}
	for _, tt := range tests {
		to := larder.Target{Backend: faulty.New(mem.New(), tt.fault), Ref: "main"}
		report := export(t, cacheOf(t, "base", "deps"), to)
		var got []larder.DegradationKind
		for _, d := range report.Targets[0].Degradations {
			got = append(got, d.Kind)
		}
		if !slices.Equal(got, tt.want) || inspect(t, to).Totals.Results != 2 {
			t.Errorf("%s: degradations are %v, want %v", tt.name, got, tt.want)
		}
	}
}
