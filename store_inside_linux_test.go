package larder_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/wrap"
)

// TestStoreInTheDirectoryThatIsSaved keeps the cache of a tree in the tree, also by
// way of a symbolic link: it is neither saved nor removed.
func TestStoreInTheDirectoryThatIsSaved(t *testing.T) {
	parent := t.TempDir()
	tree, link := filepath.Join(parent, "tree"), filepath.Join(parent, "link")
	putFile(t, tree, "src/f", "x")
	if err := os.Symlink("tree", link); err != nil {
		t.Fatal(err)
	}
	to := larder.Target{Backend: directory(t, filepath.Join(link, "var", "store")), Ref: "main"}
	from := larder.Target{Backend: wrap.ReadOnly(to.Backend), Ref: "main"}
	save := func(key string, opts larder.SaveOptions) *larder.SavedDirectory {
		t.Helper()
		report, err := larder.Save(t.Context(), key, []larder.Directory{{Path: tree, Name: "tree"}}, []larder.Target{to}, opts)
		if err != nil {
			t.Fatal(err)
		}
		return report.Directories[0]
	}
	save("first", larder.SaveOptions{})
	second := save("second", larder.SaveOptions{})
	if want := []larder.SkippedFile{{Path: "var/store", Reason: "it is the cache itself"}}; second.Files != 4 || !cmp.Equal(second.Skipped, want) {
		t.Errorf("saved %+v, want src, src/f and var, without %v", second, want)
	}
	quiet := save("excluded", larder.SaveOptions{Skip: func(path string, _ bool) bool { return path == "var" }})
	if quiet.Files != 3 || len(quiet.Skipped) != 0 {
		t.Errorf("saved %+v, want no word of what is left out anyway", quiet)
	}
	putFile(t, tree, "var/other", "x")
	putFile(t, tree, "extra", "x")
	for _, key := range []string{"second", "excluded"} {
		got, err := larder.Restore(t.Context(), key, []larder.Target{from}, larder.RestoreOptions{Into: parent, Exact: true})
		if err != nil || !got.Hit {
			t.Fatalf("Restore(%s) = %+v, %v", key, got.Found, err)
		}
		if removed := got.Directories[0].Removed; slices.Contains(removed, "var") || slices.Contains(removed, "var/store") {
			t.Errorf("Restore(%s) removed %v", key, removed)
		}
	}
	if _, err := os.Stat(filepath.Join(tree, "extra")); err == nil {
		t.Error("what was not saved is there")
	}
	if found, err := larder.Lookup(t.Context(), "first", []larder.Target{from}, larder.RestoreOptions{}); err != nil || !found.Hit {
		t.Errorf("after that Lookup() = %+v, %v", found, err)
	}
}
