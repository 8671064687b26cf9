package larder_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/blob"
)

// smallDisk mounts a file system of so many bytes, and returns where it is and
// what makes it larger.
func smallDisk(t *testing.T, size int) (dir string, enlarge func()) {
	t.Helper()
	dir = t.TempDir()
	mount := func(flags uintptr, size int) error {
		return unix.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("size=%d,mode=0777", size))
	}
	if err := mount(0, size); err != nil {
		if os.Getenv("LARDER_TEST_REQUIRE") == "1" {
			t.Fatalf("mount: %v, and LARDER_TEST_REQUIRE asks for every test", err)
		}
		t.Skipf("a small disk takes the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, func() {
		t.Helper()
		if err := mount(unix.MS_REMOUNT, 64<<20); err != nil {
			t.Fatal(err)
		}
	}
}

// noise makes a directory of n files of 100 kB that do not compress.
func noise(tb testing.TB, n int) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "tree")
	seed := blob.Describe("", []byte("seed")).Digest
	for i := range n {
		var content []byte
		for len(content) < 100_000 {
			seed = blob.Describe("", []byte(seed)).Digest
			content = append(content, seed.Encoded()...)
		}
		putFile(tb, dir, fmt.Sprintf("d%d/file%02d", i%3, i), string(content))
	}
	return dir
}

func TestRestoreToAFullDisk(t *testing.T) {
	s, dir := newSaver(t, larder.SaveOptions{PackSize: 200_000}), noise(t, 30)
	disk, enlarge := smallDisk(t, 2<<20)
	if _, err := s.saveTree(t, "k", dir); err != nil {
		t.Fatal(err)
	}
	putFile(t, disk, "tree/d1/old", "what was there")
	restore := func() error {
		_, err := larder.Restore(t.Context(), "k", []larder.Target{s.Target}, larder.RestoreOptions{Into: disk, Exact: true, Snapshots: t.TempDir()})
		return err
	}
	before := filesIn(t, disk)
	if err := restore(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Restore() = %v, want %v", err, unix.ENOSPC)
	}
	if diff := cmp.Diff(before, filesIn(t, disk)); diff != "" {
		t.Errorf("the directory has changed (-before +after)\n%s", diff)
	}
	enlarge()
	if err := restore(); err != nil {
		t.Fatalf("Restore() with room = %v", err)
	}
	trees(t, dir, filepath.Join(disk, "tree"))
}

// filesIn returns the files and directories below a directory.
func filesIn(tb testing.TB, dir string) []string {
	tb.Helper()
	var names []string
	if err := fs.WalkDir(os.DirFS(dir), ".", func(at string, _ fs.DirEntry, err error) error {
		names = append(names, at)
		return err
	}); err != nil {
		tb.Fatal(err)
	}
	return names
}

func TestSaveToAFullDisk(t *testing.T) {
	disk, enlarge := smallDisk(t, 2<<20)
	s, small, large := newSaver(t, larder.SaveOptions{PackSize: 200_000}), noise(t, 5), noise(t, 60)
	s.Target = larder.Target{Backend: directory(t, filepath.Join(disk, "store")), Ref: "main"}
	if _, err := s.saveTree(t, "small", small); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.saveTree(t, "large", large); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("Save() = %v, want %v", err, unix.ENOSPC)
		}
	}
	at := larder.Target{Backend: s.Backend, Ref: "main.dirs"}
	if v := verify(t, at, larder.VerifyOptions{}); !v.OK || s.keys(t, "small", "large") != "small" {
		t.Errorf("after a failure the store is sound: %t, and has the keys %q", v.OK, s.keys(t, "small", "large"))
	}
	enlarge()
	if _, err := s.saveTree(t, "large", large); err != nil {
		t.Fatalf("Save() with room = %v", err)
	}
	if v := verify(t, at, larder.VerifyOptions{}); !v.OK || s.keys(t, "small", "large") != "small large" {
		t.Errorf("in the end the store is sound: %t, and has the keys %q", v.OK, s.keys(t, "small", "large"))
	}
	into := t.TempDir()
	if _, err := larder.Restore(t.Context(), "large", []larder.Target{s.Target}, larder.RestoreOptions{Into: into}); err != nil {
		t.Fatal(err)
	}
	trees(t, large, filepath.Join(into, "tree"))
}

// TestSaveByAFullDisk has no room for layers on their way, nor for what is to be
// remembered.
func TestSaveByAFullDisk(t *testing.T) {
	disk, enlarge := smallDisk(t, 1<<20)
	s, dir := newSaver(t, larder.SaveOptions{TempDir: disk}), t.TempDir()
	putFile(t, dir, "small", "s")
	putFile(t, dir, "z", string(make([]byte, 45<<20)))
	s.opts.Compression = "uncompressed"
	if _, err := s.saveTree(t, "k", dir); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Save() = %v, want %v", err, unix.ENOSPC)
	}
	if left := filesIn(t, disk); len(left) != 1 || s.keys(t, "k") != "" {
		t.Errorf("left behind: %v, and the key %q", left, s.keys(t, "k"))
	}
	enlarge()
	if _, err := s.saveTree(t, "k", dir); err != nil || len(filesIn(t, disk)) != 1 {
		t.Errorf("Save() with room = %v, left %v", err, filesIn(t, disk))
	}
}

func TestRestoreWhereNothingMayBeWritten(t *testing.T) {
	asNobody(t)
	s, dir, into := newSaver(t, larder.SaveOptions{}), t.TempDir(), t.TempDir()
	putFile(t, dir, "file", "content")
	if _, err := s.saveTree(t, "k", dir); err != nil {
		t.Fatal(err)
	}
	restore := func() error {
		_, err := larder.Restore(t.Context(), "k", []larder.Target{s.Target}, larder.RestoreOptions{Into: into})
		return err
	}
	if err := os.Chmod(into, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := restore(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Restore() = %v, want %v", err, fs.ErrPermission)
	}
	if err := os.Chmod(into, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := restore(); err != nil {
		t.Errorf("Restore() = %v", err)
	}
	trees(t, dir, filepath.Join(into, "tree"))
}
