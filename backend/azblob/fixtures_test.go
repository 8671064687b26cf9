package azblob_test

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/fixtures"
)

// TestCacheOfBuildKit reads what BuildKit has written, under its keys, and
// writes the same bytes under the same keys elsewhere.
func TestCacheOfBuildKit(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	objects, err := fs.Sub(fixtures.FS(t, "buildkit/azblob"), "objects")
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(objects, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(objects, name)
		s.Put("cache", name, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	written := s.Names("cache")
	if len(written) != 23 {
		t.Fatalf("the fixture has %d objects, want 23", len(written))
	}

	from := open(t, opts)
	opts.Prefix = "copy"
	to := open(t, opts)
	for _, ref := range []string{"main", "v1.0", "feature-login"} {
		source, target := larder.Target{Backend: from, Ref: ref}, larder.Target{Backend: to, Ref: ref}
		if _, err := larder.Copy(t.Context(), source, []larder.Target{target}, larder.CopyOptions{}); err != nil {
			t.Fatalf("Copy(%s) = %v, want nil", ref, err)
		}
	}
	var blobs int
	for _, name := range written {
		want, _ := s.Get("cache", name)
		got, ok := s.Get("cache", "copy/"+name)
		if !ok && strings.HasPrefix(name, "blobs/") {
			continue // no manifest has it any more
		}
		blobs++
		if !ok || !bytes.Equal(got, want) {
			t.Errorf("the copy of %s has %d bytes, want the %d that BuildKit wrote", name, len(got), len(want))
		}
	}
	if blobs < 20 {
		t.Errorf("%d objects were copied, want at least 20", blobs)
	}
	var refs []string
	for r, err := range from.ListRefs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, r.Name)
	}
	slices.Sort(refs)
	if !slices.Equal(refs, []string{"feature-login", "main", "v1.0"}) {
		t.Errorf("ListRefs() = %q, want those of BuildKit", refs)
	}
}
