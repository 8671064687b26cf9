package local

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// listed returns the refs of a listing with their versions.
func listed(t *testing.T, b *Backend) map[string]backend.Version {
	t.Helper()
	refs := map[string]backend.Version{}
	for info, err := range b.ListRefs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, again := refs[info.Name]; again {
			t.Errorf("ListRefs() yields %s twice", info.Name)
		}
		refs[info.Name] = info.Version
	}
	return refs
}

// TestListRefsCoversTheWholeIndex shows that whoever marks what refs reach
// misses nothing that index.json mentions.
func TestListRefsCoversTheWholeIndex(t *testing.T) {
	const app = "docker.io/library/app:latest"
	b := testLayout(t, indexJSON(
		entryJSON("main", "main", ""), entryJSON("shadowed", "main", ""), entryJSON("image", "latest", app),
		entryJSON("odd", "a,b", ""), entryJSON("unnamed", "", ""), entryJSON("unnamed", "", ""), entryJSON("gone", "gone", ""),
	))
	version := func(content string) backend.Version { return backend.Version(doc(content).Digest) }
	want := map[string]backend.Version{"main": version("main"), app: version("image"), "gone": ""}
	for _, content := range []string{"shadowed", "odd", "unnamed"} {
		want[string(version(content))] = version(content)
	}
	for _, content := range []string{"main", "shadowed", "image", "odd", "unnamed"} {
		plant(t, b, content)
	}
	got := listed(t, b)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ListRefs() differs (-want +got):\n%s", diff)
	}
	maps.DeleteFunc(got, func(_ string, v backend.Version) bool { return v == "" })
	for name, version := range got {
		if r, err := b.GetRef(t.Context(), name); err != nil || r.Version != version {
			t.Errorf("GetRef(%s) = %s, %v, want %s", name, r.Version, err, version)
		}
	}
}

// TestImagesByTheirShortName follows an image that a build exported to the
// same directory.
func TestImagesByTheirShortName(t *testing.T) {
	const app = "docker.io/library/app:latest"
	b := testLayout(t, indexJSON(entryJSON("image", "latest", app)))
	plant(t, b, "image")
	wantRef := func(name, content string) {
		t.Helper()
		if r, err := b.GetRef(t.Context(), name); err != nil || string(r.Data) != content {
			t.Errorf("GetRef(%s) = %q, %v, want %s", name, r.Data, err, content)
		}
	}
	wantRef(app, "image")
	wantRef("latest", "image")
	if err := b.DeleteRef(t.Context(), "latest", backend.Always); !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), app) {
		t.Errorf("DeleteRef(latest) = %v, want %v that names the image", err, backend.ErrInvalid)
	}
	if _, err := b.PutRef(t.Context(), "latest", backend.Document{Data: []byte("cache")}, backend.Always); err != nil {
		t.Fatal(err)
	}
	wantRef("latest", "cache")
	wantRef(app, "image")
	if err := b.DeleteRef(t.Context(), app, backend.Always); err != nil {
		t.Fatal(err)
	}
	wantRef("latest", "cache")
	if diff := cmp.Diff(map[string]backend.Version{"latest": backend.Version(doc("cache").Digest)}, listed(t, b)); diff != "" {
		t.Errorf("ListRefs() differs (-want +got):\n%s", diff)
	}
}

// TestRefWithoutDocumentIsAbsent keeps an exporter from reading "not found" and
// then failing for ever to create what is said to be there.
func TestRefWithoutDocumentIsAbsent(t *testing.T) {
	b := testLayout(t, indexJSON(entryJSON("lost", "main", "")))
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("GetRef(main) = %v, want %v", err, backend.ErrNotFound)
	}
	match := backend.Match(backend.Version(doc("lost").Digest))
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("1")}, match); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("PutRef(main, match) = %v, want %v", err, backend.ErrConflict)
	}
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("1")}, backend.Absent); err != nil {
		t.Errorf("PutRef(main, absent) = %v, want nil", err)
	}
}

// TestPutRefRepairsTheDocument has a document on disk that is broken, although
// it has the right name and size.
func TestPutRefRepairsTheDocument(t *testing.T) {
	b := testLayout(t, indexJSON(entryJSON("good", "main", "")))
	writeFile(t, b.blobPath(doc("good").Digest), "gold")
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrCorrupt) {
		t.Errorf("GetRef(main) = %v, want %v", err, backend.ErrCorrupt)
	}
	media := doc("good").MediaType
	if _, err := b.PutRef(t.Context(), "main", backend.Document{MediaType: media, Data: []byte("good")}, backend.Always); err != nil {
		t.Fatal(err)
	}
	if r, err := b.GetRef(t.Context(), "main"); err != nil || string(r.Data) != "good" {
		t.Errorf("GetRef(main) = %q, %v, want good", r.Data, err)
	}
}

func TestUnchangedRefIsNotWrittenAgain(t *testing.T) {
	b := testLayout(t, "{}")
	var before os.FileInfo
	for range 2 {
		if err := putOne(t, b); err != nil {
			t.Fatal(err)
		}
		now, err := os.Stat(b.indexPath())
		if err != nil || before != nil && !os.SameFile(before, now) {
			t.Errorf("index.json was replaced, %v, want it left alone", err)
		}
		before = now
	}
}

func TestMediaTypeOfDocuments(t *testing.T) {
	const typed = `{"mediaType":"a/b"}`
	for _, test := range []struct{ name, given, data, want string }{
		{"given", "x/y", typed, "x/y"},
		{"in the document", "", typed, "a/b"},
		{"unknown", "", "{}", ""},
		{"no JSON", "", "\x00", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := testLayout(t, "{}")
			v, err := b.PutRef(t.Context(), "main", backend.Document{MediaType: test.given, Data: []byte(test.data)}, backend.Always)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"main", string(v)} {
				if r, err := b.GetRef(t.Context(), name); err != nil || r.MediaType != test.want {
					t.Errorf("GetRef(%s) has media type %q, %v, want %q", name, r.MediaType, err, test.want)
				}
			}
		})
	}
}

// TestHugeDocumentsAreNotRead keeps a layout whose ref points to a large blob
// from filling the memory.
func TestHugeDocumentsAreNotRead(t *testing.T) {
	d := doc("x").Digest
	b := testLayout(t, indexJSON(entryJSON("x", "main", "")))
	writeFile(t, b.blobPath(d), "")
	if err := os.Truncate(b.blobPath(d), backend.MaxDocumentSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("GetRef(main) = %v, want %v", err, backend.ErrTooLarge)
	}
	if err := os.Truncate(b.indexPath(), maxIndexSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("GetRef(main) with a huge index = %v, want %v", err, backend.ErrTooLarge)
	}
}

// TestConflictLeavesNothing shows that a lost race stores no document.
func TestConflictLeavesNothing(t *testing.T) {
	b := testLayout(t, "{}")
	if err := putOne(t, b); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("2")}, backend.Absent); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("PutRef(main, absent) = %v, want %v", err, backend.ErrConflict)
	}
	if found, err := b.Stat(t.Context(), blob.Describe("", []byte("2")).Digest); err != nil || len(found) > 0 {
		t.Errorf("Stat(2) = %v, %v, want nothing", found, err)
	}
}
