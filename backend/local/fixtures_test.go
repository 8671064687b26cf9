package local

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/fixtures"
)

// expectation is the part of a fixture's expected.json that concerns the store.
type expectation struct {
	Refs map[string]struct {
		Manifest ocispec.Descriptor
		Blobs    map[blob.Digest]struct{ Size int64 }
	}
}

// TestLayoutsOfRealTools reads what BuildKit and the buildpacks lifecycle
// wrote, and adds and removes a ref without touching theirs.
func TestLayoutsOfRealTools(t *testing.T) {
	count := 0
	for _, name := range append(fixtures.Names("buildkit/"), fixtures.Names("cnb/")...) {
		dir := fixtures.Extract(t, name)
		b := testOpen(t, filepath.Join(dir, "layout"))
		if isLayout, err := b.isLayout(); err != nil || !isLayout {
			continue
		}
		count++
		t.Run(name, func(t *testing.T) {
			var want expectation
			if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, "expected.json"))), &want); err != nil {
				t.Fatal(err)
			}
			checkRefs(t, b, want)
			checkRewrite(t, b)
		})
	}
	if count < 10 {
		t.Errorf("%d fixtures are layouts, want at least 10", count)
	}
}

// checkRefs compares refs and blobs with what the fixture says.
func checkRefs(t *testing.T, b *Backend, want expectation) {
	t.Helper()
	listed := map[string]bool{}
	for info, err := range b.ListRefs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		listed[info.Name] = true
	}
	if len(listed) != len(want.Refs) || len(want.Refs) == 0 {
		t.Errorf("ListRefs() has %v, want the %d refs of expected.json", listed, len(want.Refs))
	}
	for name, ref := range want.Refs {
		r, err := b.GetRef(t.Context(), name)
		if err != nil || r.Version != backend.Version(ref.Manifest.Digest) || r.MediaType != ref.Manifest.MediaType || !listed[name] {
			t.Errorf("GetRef(%s) = %s of %q, %v, want %s of %s", name, r.Version, r.MediaType, err, ref.Manifest.Digest, ref.Manifest.MediaType)
		}
		for d, info := range ref.Blobs {
			found, err := b.Stat(t.Context(), d)
			if err != nil || found[d].Size != info.Size {
				t.Errorf("Stat(%s) = %v, %v, want %d bytes", d, found, err, info.Size)
			}
		}
	}
}

// checkRewrite adds a ref and removes it again: index.json is as before.
func checkRewrite(t *testing.T, b *Backend) {
	t.Helper()
	before := readFile(t, b.indexPath())
	if _, err := b.PutRef(t.Context(), "added", backend.Document{MediaType: "m", Data: []byte("1")}, backend.Absent); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteRef(t.Context(), "added", backend.Always); err != nil {
		t.Fatal(err)
	}
	var compact strings.Builder
	if err := json.NewEncoder(&compact).Encode(json.RawMessage(before)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(compact.String()), compacted(t, readFile(t, b.indexPath()))); diff != "" {
		t.Errorf("index.json differs (-want +got):\n%s", diff)
	}
}

func compacted(t *testing.T, data string) string {
	t.Helper()
	out, err := json.Marshal(json.RawMessage(data))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestBrokenLayouts says what becomes of broken layouts here; what is broken in
// the documents themselves is the business of their codecs.
func TestBrokenLayouts(t *testing.T) {
	for _, test := range []struct {
		fixture string
		want    error
	}{
		{"broken/buildkit/index-json-torn", backend.ErrCorrupt},
		{"broken/buildkit/manifest-digest-wrong", backend.ErrCorrupt},
		{"broken/buildkit/blob-missing", nil},
		{"broken/buildkit/descriptor-size-wrong", nil},
	} {
		t.Run(test.fixture, func(t *testing.T) {
			b := testOpen(t, filepath.Join(fixtures.Extract(t, test.fixture), "layout"))
			if _, err := b.GetRef(t.Context(), "latest"); !errors.Is(err, test.want) {
				t.Errorf("GetRef(latest) = %v, want %v", err, test.want)
			}
		})
	}
}
