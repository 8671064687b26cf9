package larder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/larder-build/larder"
)

// seal takes the right to write away from all in a directory, itself included, as
// Go does with its modules; unseal gives it back.
func seal(tb testing.TB, dir string) {
	tb.Helper()
	setModes(tb, dir, 0o555, 0o444)
}

func unseal(tb testing.TB, dir string) {
	tb.Helper()
	setModes(tb, dir, 0o755, 0o644)
}

func setModes(tb testing.TB, dir string, dirs, files fs.FileMode) {
	tb.Helper()
	if err := filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error {
		mode := files
		if e.IsDir() {
			mode = dirs
		}
		return errors.Join(err, os.Chmod(at, mode))
	}); err != nil {
		tb.Fatal(err)
	}
}

// TestRestoreOverWhatMayNotBeWritten restores one state of a read-only tree over
// another, by a user who owns it.
func TestRestoreOverWhatMayNotBeWritten(t *testing.T) {
	asNobody(t)
	s, dir, into := newSaver(t, larder.SaveOptions{}), t.TempDir(), t.TempDir()
	tree := filepath.Join(into, "tree")
	save := func(key string, change func()) {
		unseal(t, dir)
		change()
		seal(t, dir)
		if _, err := s.saveTree(t, key, dir); err != nil {
			t.Fatal(err)
		}
	}
	save("old", func() {
		for _, name := range []string{"kept/f", "changed/f", "removed/deep/f", "removed/f", "partly/gone", "partly/stays", "became-file/x/y", "f"} {
			putFile(t, dir, name, "old")
		}
	})
	save("new", func() {
		for _, name := range []string{"removed", "partly/gone", "became-file"} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		putFile(t, dir, "changed/f", "new")
		putFile(t, dir, "added/f", "new")
		putFile(t, dir, "became-file", "new")
	})
	t.Cleanup(func() { unseal(t, dir); unseal(t, tree) })
	for _, key := range []string{"old", "new", "old", "new"} {
		if _, err := larder.Restore(t.Context(), key, []larder.Target{s.Target}, larder.RestoreOptions{Into: into, Exact: true, Snapshots: s.opts.Snapshots}); err != nil {
			t.Fatalf("Restore(%s) = %v", key, err)
		}
		if key == "new" {
			trees(t, dir, tree)
		}
	}
	keep(t, s.Target, "bad", s.now, kept{name: "tree", layers: [][]byte{[]byte("not a tar")}})
	if got, err := larder.Restore(t.Context(), "bad", []larder.Target{s.Target}, larder.RestoreOptions{Into: into}); err != nil || got.Hit {
		t.Errorf("Restore(bad) = %+v, %v, want a miss", got.Found, err)
	}
	if info, err := os.Stat(tree); err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("after that the directory has mode %v, %v, want what it was", info.Mode(), err)
	}
}
