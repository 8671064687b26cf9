package s3_test

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/internal/fixtures"
	"github.com/larder-build/larder/internal/s3test"
)

// TestCacheOfBuildKit reads what BuildKit has written, under its keys, and
// writes the same bytes under the same keys elsewhere.
func TestCacheOfBuildKit(t *testing.T) {
	s := newFake(t, s3test.Options{})
	objects, err := fs.Sub(fixtures.FS(t, "buildkit/s3"), "objects")
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(objects, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(objects, name)
		s.Set(cache, name, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	written := s.Keys(cache)
	from := openFake(t, s, nil)
	to := openFake(t, s, func(o *s3.Options) { o.Prefix = "copy/" })
	var refs []string
	for r, err := range from.ListRefs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, r.Name)
	}
	slices.Sort(refs)
	if !slices.Contains(refs, "main") || len(refs) < 3 {
		t.Errorf("ListRefs() = %q, want those of BuildKit", refs)
	}
	for _, ref := range refs {
		source, target := larder.Target{Backend: from, Ref: ref}, larder.Target{Backend: to, Ref: ref}
		if _, err := larder.Copy(t.Context(), source, []larder.Target{target}, larder.CopyOptions{}); err != nil {
			t.Fatalf("Copy(%s) = %v, want nil", ref, err)
		}
	}
	copied := 0
	for _, key := range written {
		want, _, _ := s.Object(cache, key)
		got, _, ok := s.Object(cache, "copy/"+key)
		if !ok && strings.HasPrefix(key, "blobs/") {
			continue // no manifest has it any more
		}
		copied++
		if !ok || !bytes.Equal(got, want) {
			t.Errorf("the copy of %s has %d bytes, want the %d that BuildKit wrote", key, len(got), len(want))
		}
	}
	if copied < 20 {
		t.Errorf("%d objects were copied, want at least 20", copied)
	}
}
