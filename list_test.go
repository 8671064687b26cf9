package larder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/internal/faulty"
)

// listed is what the tests compare of a ref in a list.
type listed struct {
	Ref     string
	Kind    larder.Kind
	Totals  string
	Newest  bool
	IsCache bool
}

func list(tb testing.TB, b backend.Backend, refs ...string) []listed {
	tb.Helper()
	found, err := larder.List(tb.Context(), b, larder.ListOptions{Refs: refs})
	if err != nil {
		tb.Fatalf("List() = %v", err)
	}
	var all []listed
	for _, f := range found {
		l := listed{Ref: f.Ref, Kind: f.Kind, Newest: f.Newest != nil, IsCache: f.Err == nil}
		if f.Totals != nil {
			l.Totals = fmt.Sprintf("%d layers, %d blobs, %d records", f.Totals.Layers, f.Totals.Blobs, f.Totals.Records)
		}
		all = append(all, l)
	}
	return all
}

func TestListTellsWhatRefsAre(t *testing.T) {
	b := imageStore()
	at := func(ref string) larder.Target { return larder.Target{Backend: b, Ref: ref} }
	c := cacheOf(t, "base", "deps")
	export(t, c, at("cache"))
	image := putImage(t, b, c)
	point(t, at("image"), image)
	point(t, at("index"), putIndex(t, b, image))
	inlined := at("inlined")
	point(t, inlined, image)
	if _, err := larder.AttachInline(t.Context(), c.Manifest, []larder.Target{inlined}, larder.ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	chart := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: put(t, b, "application/vnd.cncf.helm.config.v1+json", []byte("{}"))}
	chart.SchemaVersion = 2
	point(t, at("chart"), putJSON(t, b, chart.MediaType, chart))
	signature := chart
	signature.ArtifactType, signature.Config = "application/vnd.example.signature", put(t, b, ocispec.MediaTypeEmptyJSON, []byte("{}"))
	point(t, at("signature"), putJSON(t, b, signature.MediaType, signature))
	text := put(t, b, "text/plain", []byte(`"text"`))
	point(t, at("text"), text)
	lost := cacheOf(t, "lost")
	export(t, lost, at("lost"))
	drop(t, b, configOf(t, at("lost")).Digest)

	want := []listed{
		{"cache", larder.KindCache, "2 layers, 2 blobs, 2 records", true, true},
		{"chart", larder.KindOther, "", false, false},
		{"image", larder.KindImage, "2 layers, 3 blobs, 0 records", false, false},
		{"index", larder.KindImage, "", false, false},
		{"inlined", larder.KindInline, "2 layers, 2 blobs, 2 records", true, true},
		{"lost", larder.KindUnreadable, "", false, false},
		{"signature", larder.KindOther, "", false, false},
		{"text", larder.KindOther, "", false, false},
	}
	if diff := cmp.Diff(want, list(t, b)); diff != "" {
		t.Errorf("List() (-want +got):\n%s", diff)
	}
}

// configOf returns the config of a cache.
func configOf(tb testing.TB, t larder.Target) ocispec.Descriptor {
	tb.Helper()
	return fromJSON[ocispec.Manifest](tb, document(tb, t).Data).Config
}

func TestListOfNamedRefs(t *testing.T) {
	b := faulty.New(mem.New(), faulty.Fault{Op: faulty.ListRefs, Times: -1, Err: backend.ErrUnsupported})
	export(t, cacheOf(t, "base"), larder.Target{Backend: b, Ref: "main"})
	want := []listed{{Ref: "main", Kind: larder.KindCache, Totals: "1 layers, 1 blobs, 1 records", Newest: true, IsCache: true}, {Ref: "none", Kind: larder.KindUnreadable}}
	if diff := cmp.Diff(want, list(t, b, "none", "main")); diff != "" {
		t.Errorf("List(none, main) (-want +got):\n%s", diff)
	}
	found, err := larder.List(t.Context(), b, larder.ListOptions{Refs: []string{"none"}})
	if err != nil || !errors.Is(found[0].Err, backend.ErrNotFound) {
		t.Errorf("List(none) = %v, %v, want ErrNotFound of the ref", found, err)
	}
	if _, err := larder.List(t.Context(), b, larder.ListOptions{}); !errors.Is(err, backend.ErrUnsupported) {
		t.Errorf("List() of a store that lists nothing = %v, want ErrUnsupported", err)
	}
}

func TestListEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := faulty.New(mem.New(), faulty.Fault{Op: faulty.GetRef, Times: -1, Before: cancel})
	export(t, cacheOf(t, "base"), larder.Target{Backend: b.Backend, Ref: "main"})
	if found, err := larder.List(ctx, b, larder.ListOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("List() with a context that ends = %v, %v, want context.Canceled", found, err)
	}
}

// TestListKeepsLittle lists caches with large documents.
func TestListKeepsLittle(t *testing.T) {
	const refs, padding = 40, 1 << 20
	b := mem.New()
	target := larder.Target{Backend: b, Ref: "ref"}
	export(t, cacheOf(t, "base"), target)
	doc := document(t, target)
	data := slices.Concat(doc.Data, bytes.Repeat([]byte(" "), padding))
	for i := range refs {
		if _, err := b.PutRef(t.Context(), fmt.Sprint("ref", i), backend.Document{MediaType: doc.MediaType, Data: data}, backend.Always); err != nil {
			t.Fatal(err)
		}
	}
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	found, err := larder.List(t.Context(), b, larder.ListOptions{})
	if err != nil || len(found) != refs+1 {
		t.Fatalf("List() = %d refs, %v, want %d", len(found), err, refs+1)
	}
	if after := held(); after > before+padding {
		t.Errorf("List() of %d MiB of documents holds %d KiB, want less than one document", refs, (after-before)>>10)
	}
	runtime.KeepAlive(found)
}
