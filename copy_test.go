package larder_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

func copyTo(tb testing.TB, from larder.Target, opts larder.CopyOptions, to ...larder.Target) *larder.Report {
	tb.Helper()
	report, err := larder.Copy(tb.Context(), from, to, opts)
	if err != nil {
		tb.Fatalf("Copy() = %v", err)
	}
	return report
}

func document(tb testing.TB, t larder.Target) backend.Document {
	tb.Helper()
	ref, err := t.Backend.GetRef(tb.Context(), t.Ref)
	if err != nil {
		tb.Fatalf("GetRef(%s) = %v", t, err)
	}
	return ref.Document
}

func TestCopyIsExactBetweenLikeStores(t *testing.T) {
	for _, encoding := range encodings {
		from := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: encoding}), Ref: "main"}
		to := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: encoding}), Ref: "copy"}
		export(t, cacheOf(t, "base", "deps"), from)
		export(t, cacheOf(t, "other"), to)
		report := copyTo(t, from, larder.CopyOptions{}, to)
		if got := report.Targets[0]; got.Outcome != larder.Published || got.Sent.Blobs != 2 {
			t.Errorf("%s: Copy() = %s with %d sent, want published, 2", encoding, got.Outcome, got.Sent.Blobs)
		}
		if diff := cmp.Diff(document(t, from), document(t, to)); diff != "" {
			t.Errorf("%s: the copy's document differs (-source +copy):\n%s", encoding, diff)
		}
		if v, err := larder.Verify(t.Context(), to, larder.VerifyOptions{}); err != nil || !v.OK {
			t.Errorf("%s: Verify() of the copy = %+v, %v, want ok", encoding, v, err)
		}
		if got := copyTo(t, from, larder.CopyOptions{}, to).Targets[0]; got.Outcome != larder.Unchanged || got.Reused.Blobs != 2 {
			t.Errorf("%s: copying again = %s with %d reused, want unchanged, 2", encoding, got.Outcome, got.Reused.Blobs)
		}
	}
}

func TestCopyConvertsBetweenUnlikeStoresAndBack(t *testing.T) {
	c := cacheOf(t, "base", "deps", "build")
	oci := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest}), Ref: "main"}
	flat := larder.Target{Backend: mem.New(), Ref: "main"}
	back := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest}), Ref: "main"}
	export(t, c, oci)
	copyTo(t, oci, larder.CopyOptions{}, flat)
	if got := inspect(t, flat).Encoding; got != buildkit.Flat {
		t.Errorf("the copy has encoding %s, want %s", got, buildkit.Flat)
	}
	copyTo(t, flat, larder.CopyOptions{}, back)
	if diff := cmp.Diff(document(t, oci), document(t, back)); diff != "" {
		t.Errorf("there and back again, the document differs (-source +copy):\n%s", diff)
	}
}

func TestCopyReadsEachBlobOnce(t *testing.T) {
	// In a bubble no member is late because the machine is busy.
	synctest.Test(t, func(t *testing.T) {
		b := faulty.New(mem.New())
		from := larder.Target{Backend: b, Ref: "main"}
		export(t, cacheOf(t, "base", "deps", "build"), from)
		before := b.Calls(faulty.Open)
		copyTo(t, from, larder.CopyOptions{},
			larder.Target{Backend: mem.New(), Ref: "a"},
			larder.Target{Backend: mem.New(), Ref: "b"},
			larder.Target{Backend: mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest}), Ref: "c"})
		if got := b.Calls(faulty.Open) - before; got != 3 {
			t.Errorf("Copy() of 3 layers to 3 targets opened %d blobs, want 3", got)
		}
	})
}

func TestCopyStoresBlobsOnceForSeveralRefsOfABackend(t *testing.T) {
	from := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, cacheOf(t, "base", "deps"), from)
	b := faulty.New(mem.New())
	report := copyTo(t, from, larder.CopyOptions{}, larder.Target{Backend: b, Ref: "a"}, larder.Target{Backend: b, Ref: "b"})
	if got := b.Calls(faulty.Put); got != 2 {
		t.Errorf("Copy() of 2 blobs to 2 refs put %d blobs, want 2", got)
	}
	if first, second := report.Targets[0], report.Targets[1]; first.Sent.Blobs != 2 || second.Sent.Blobs != 0 || second.Reused.Blobs != 2 {
		t.Errorf("Copy() sent %d for the first ref, %d for the second and reused %d, want 2, 0, 2", first.Sent.Blobs, second.Sent.Blobs, second.Reused.Blobs)
	}
	for _, ref := range []string{"a", "b"} {
		if v := verify(t, larder.Target{Backend: b, Ref: ref}, larder.VerifyOptions{}); !v.OK {
			t.Errorf("Verify(%s) = %+v, want ok", ref, v)
		}
	}
	b.Inject(faulty.Fault{Op: faulty.Put, Err: backend.ErrDenied, Times: -1})
	export(t, cacheOf(t, "other"), from)
	failed, err := larder.Copy(t.Context(), from, []larder.Target{{Backend: b, Ref: "a"}, {Backend: b, Ref: "b"}}, larder.CopyOptions{})
	if !errors.Is(err, backend.ErrDenied) || failed.Targets[0].Outcome != larder.Failed || failed.Targets[1].Outcome != larder.Failed {
		t.Errorf("Copy() to a store that refuses = %v, want both refs to fail with %v", err, backend.ErrDenied)
	}
}

func TestCopyMerges(t *testing.T) {
	from, to := larder.Target{Backend: mem.New(), Ref: "main"}, larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, cacheOf(t, "base", "deps"), from)
	export(t, cacheOf(t, "base", "assets"), to)
	copyTo(t, from, larder.CopyOptions{Merge: true}, to)
	if got := steps(inspect(t, to).Manifest, "base", "deps", "assets"); len(got) != 3 {
		t.Errorf("the merged ref has %v, want all three steps", got)
	}
}

func TestCopyOfABrokenCache(t *testing.T) {
	from := larder.Target{Backend: mem.New(), Ref: "main"}
	c := cacheOf(t, "base", "deps")
	export(t, c, from)
	drop(t, from.Backend, c.layer(1))
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	if _, err := larder.Copy(t.Context(), from, []larder.Target{to}, larder.CopyOptions{}); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Copy() = %v, want %v", err, backend.ErrNotFound)
	}
	if _, err := to.Backend.GetRef(t.Context(), to.Ref); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("after a failed copy GetRef() = %v, want %v", err, backend.ErrNotFound)
	}
	report := copyTo(t, from, larder.CopyOptions{SkipBroken: true}, to)
	if got := degradations(report); !slices.Equal(got, []larder.DegradationKind{larder.BlobLost}) {
		t.Errorf("Copy(skip broken) reports %v, want one %s", got, larder.BlobLost)
	}
	if got := steps(inspect(t, to).Manifest, "base", "deps"); !slices.Equal(got, []string{"base"}) {
		t.Errorf("the copy has %v, want base", got)
	}
}

func TestCopyOfWhatIsNotThere(t *testing.T) {
	to := []larder.Target{{Backend: mem.New(), Ref: "main"}}
	report, err := larder.Copy(t.Context(), larder.Target{Backend: mem.New(), Ref: "main"}, to, larder.CopyOptions{})
	if !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Copy() = %v, want %v", err, backend.ErrNotFound)
	}
	if got := report.Targets[0]; got.Outcome != larder.Failed || !errors.Is(got.Err, backend.ErrNotFound) {
		t.Errorf("Copy() reports %q, %v, want failed, %v", got.Outcome, got.Err, backend.ErrNotFound)
	}
}

func TestCopyReportsProgress(t *testing.T) {
	from, to := larder.Target{Backend: mem.New(), Ref: "main"}, larder.Target{Backend: mem.New(), Ref: "main"}
	c := cacheOf(t, "base", "deps", "build")
	export(t, c, from)
	export(t, cacheOf(t, "base"), to)
	steps := make(chan larder.Step, 1000)
	copyTo(t, from, larder.CopyOptions{Progress: func(s larder.Step) { steps <- s }}, to)
	close(steps)
	bytes := make(map[larder.StepKind]int64)
	for s := range steps {
		bytes[s.Kind] += s.Bytes
	}
	fresh := c.Layers[1].Size + c.Layers[2].Size
	want := map[larder.StepKind]int64{
		larder.StepPlanned: fresh, larder.StepMoved: fresh, larder.StepSent: fresh, larder.StepReused: c.Layers[0].Size,
	}
	if diff := cmp.Diff(want, bytes); diff != "" {
		t.Errorf("bytes by kind of step (-want +got):\n%s", diff)
	}
}

func TestMergeGathersSeveralCaches(t *testing.T) {
	a, b := larder.Target{Backend: mem.New(), Ref: "a"}, larder.Target{Backend: mem.New(), Ref: "b"}
	to := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest}), Ref: "all"}
	first, second := cacheOf(t, "base", "deps"), cacheOf(t, "base", "assets")
	export(t, first, a)
	export(t, second, b)
	report, err := larder.Merge(t.Context(), []larder.Target{a, b}, []larder.Target{to}, larder.ExportOptions{})
	if err != nil {
		t.Fatalf("Merge() = %v", err)
	}
	if got := report.Targets[0].Sent.Blobs; got != 3 {
		t.Errorf("Merge() sent %d blobs, want 3", got)
	}
	want := manifest.Merge(first.Manifest, second.Manifest)
	if diff := cmp.Diff(want, inspect(t, to).Manifest); diff != "" {
		t.Errorf("the merged cache differs (-want +got):\n%s", diff)
	}
}

func TestMergeFailsIfASourceCannotBeRead(t *testing.T) {
	a, to := larder.Target{Backend: mem.New(), Ref: "a"}, larder.Target{Backend: mem.New(), Ref: "all"}
	export(t, cacheOf(t, "base"), a)
	from := []larder.Target{a, {Backend: mem.New(), Ref: "absent"}}
	if _, err := larder.Merge(t.Context(), from, []larder.Target{to}, larder.ExportOptions{}); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Merge() = %v, want %v", err, backend.ErrNotFound)
	}
	if _, err := to.Backend.GetRef(t.Context(), "all"); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("after a failed merge GetRef() = %v, want %v", err, backend.ErrNotFound)
	}
}

func TestMergeSkipsMissingSources(t *testing.T) {
	opts := larder.ExportOptions{SkipMissing: true}
	a, to := larder.Target{Backend: mem.New(), Ref: "a"}, larder.Target{Backend: mem.New(), Ref: "all"}
	absent, torn := larder.Target{Backend: mem.New(), Ref: "absent"}, larder.Target{Backend: mem.New(), Ref: "torn"}
	export(t, cacheOf(t, "base"), a)
	if _, err := torn.Backend.PutRef(t.Context(), torn.Ref, backend.Document{Data: []byte("{")}, backend.Always); err != nil {
		t.Fatal(err)
	}
	if _, err := larder.Merge(t.Context(), []larder.Target{a, torn, absent}, []larder.Target{to}, opts); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("Merge() with a broken source = %v, want %v", err, backend.ErrInvalid)
	}
	if _, err := larder.Merge(t.Context(), []larder.Target{absent, absent}, []larder.Target{to}, opts); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Merge() without any source = %v, want %v", err, backend.ErrNotFound)
	}
	report, err := larder.Merge(t.Context(), []larder.Target{absent, a}, []larder.Target{to}, opts)
	if err != nil {
		t.Fatalf("Merge() = %v, want nil", err)
	}
	if got := degradations(report); !slices.Equal(got, []larder.DegradationKind{larder.SourceMissing}) {
		t.Errorf("Merge() reports %v, want the missing source", got)
	}
	if got := steps(inspect(t, to).Manifest, "base"); !slices.Equal(got, []string{"base"}) {
		t.Errorf("the merged cache has %v, want base", got)
	}
}

// A document of a megabyte can have each of thousands of records on top of
// thousands of layers.
func TestInspectRefusesToListHostileStacks(t *testing.T) {
	const n = 4000
	m := &manifest.Manifest{}
	layer := cacheOf(t, "base").Layers[0]
	for i := range n {
		layer.Parent = i - 1
		m.Layers = append(m.Layers, layer)
		m.Records = append(m.Records, manifest.Record{
			Digest:  blob.Describe("", fmt.Appendf(nil, "record %d", i)).Digest,
			Results: []manifest.Result{{Layer: n - 1, CreatedAt: epoch}, {Layer: i, CreatedAt: epoch}},
		})
	}
	doc, err := buildkit.Encode(m, buildkit.Flat, buildkit.EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	if _, err := to.Backend.PutRef(t.Context(), to.Ref, backend.Document{Data: doc.Data}, backend.Always); err != nil {
		t.Fatal(err)
	}
	if _, err := larder.Inspect(t.Context(), to, larder.InspectOptions{}); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("Inspect() = %v, want %v", err, backend.ErrTooLarge)
	}
}

func TestDiffComparesTwoCaches(t *testing.T) {
	a, b := larder.Target{Backend: mem.New(), Ref: "a"}, larder.Target{Backend: mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest}), Ref: "b"}
	export(t, cacheOf(t, "base", "deps"), a)
	export(t, cacheOf(t, "base", "assets"), b)
	d, err := larder.Diff(t.Context(), a, b, larder.DiffOptions{})
	if err != nil {
		t.Fatalf("Diff() = %v", err)
	}
	if d.IsEmpty() {
		t.Errorf("Diff() of different caches says they are equal")
	}
	same, err := larder.Diff(t.Context(), a, a, larder.DiffOptions{})
	if err != nil || !same.IsEmpty() {
		t.Errorf("Diff() of a cache with itself = %+v, %v, want equal", same, err)
	}
	_, err = larder.Diff(t.Context(), a, larder.Target{Backend: b.Backend, Ref: "absent"}, larder.DiffOptions{})
	if !errors.Is(err, backend.ErrNotFound) || !bytes.Contains([]byte(err.Error()), []byte("second")) {
		t.Errorf("Diff() with a missing cache = %v, want %v naming the second", err, backend.ErrNotFound)
	}
}
