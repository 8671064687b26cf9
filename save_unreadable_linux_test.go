package larder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/blob/archive"
)

// saveTree saves a directory as "tree".
func (s *saver) saveTree(tb testing.TB, key, dir string) (*larder.SavedDirectory, error) {
	tb.Helper()
	report, err := larder.Save(tb.Context(), key, []larder.Directory{{Path: dir, Name: "tree"}}, []larder.Target{s.Target}, s.opts)
	if err != nil {
		return nil, err
	}
	return report.Directories[0], nil
}

// restoreTree returns the names that a key has, with the content of files.
func (s *saver) restoreTree(tb testing.TB, key string) map[string]string {
	tb.Helper()
	into := tb.TempDir()
	if restored, err := larder.Restore(tb.Context(), key, []larder.Target{s.Target}, larder.RestoreOptions{Into: into}); err != nil || !restored.Hit {
		tb.Fatalf("Restore(%s) = %+v, %v", key, restored, err)
	}
	got := make(map[string]string)
	err := fs.WalkDir(os.DirFS(filepath.Join(into, "tree")), ".", func(at string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(into, "tree", at))
		got[at] = string(data)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// meanwhile returns a Skip that, while a directory is listed, does something to a
// file which was listed already: the first times, or each time if below zero.
func meanwhile(times int, do func()) func(string, bool) bool {
	return func(at string, _ bool) bool {
		if at == "z" && times != 0 {
			times--
			do()
		}
		return false
	}
}

func TestSaveWhileFilesVanish(t *testing.T) {
	s, dir := newSaver(t, larder.SaveOptions{}), t.TempDir()
	putFile(t, dir, "a", "a")
	putFile(t, dir, "z", "z")
	s.opts.Skip = meanwhile(1, func() { _ = os.Remove(filepath.Join(dir, "a")) })
	if _, err := s.saveTree(t, "k", dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"z": "z"}, s.restoreTree(t, "k")); diff != "" {
		t.Errorf("restored (-want +got)\n%s", diff)
	}
}

func TestSaveWhileFilesChange(t *testing.T) {
	dir := t.TempDir()
	putFile(t, dir, "z", "z")
	length := 0
	grow := func() {
		length++
		putFile(t, dir, "log", strings.Repeat("x", length))
	}
	grow()

	once := newSaver(t, larder.SaveOptions{Skip: meanwhile(1, grow)})
	if _, err := once.saveTree(t, "k", dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"z": "z", "log": "xx"}, once.restoreTree(t, "k")); diff != "" {
		t.Errorf("restored after one change (-want +got)\n%s", diff)
	}

	always := newSaver(t, larder.SaveOptions{Skip: meanwhile(-1, grow)})
	if _, err := always.saveTree(t, "k", dir); !errors.Is(err, archive.ErrChanged) || !strings.Contains(err.Error(), `"log"`) {
		t.Errorf("Save() = %v, want %v and the name", err, archive.ErrChanged)
	}
	if got := always.keys(t, "k"); got != "" {
		t.Errorf("after a failure there is the key %q", got)
	}

	always.opts.SkipUnreadable = true
	got, err := always.saveTree(t, "k", dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Skipped) != 1 || got.Skipped[0].Path != "log" || !strings.Contains(got.Skipped[0].Reason, "changed") {
		t.Errorf("skipped %+v, want the log", got.Skipped)
	}
	if diff := cmp.Diff(map[string]string{"z": "z"}, always.restoreTree(t, "k")); diff != "" {
		t.Errorf("restored without the log (-want +got)\n%s", diff)
	}
}

// TestSaveOfUnreadableFiles has files and a directory that only another user may
// read. The superuser may read everything, and runs the test as somebody else.
func TestSaveOfUnreadableFiles(t *testing.T) {
	asNobody(t)
	dir := t.TempDir()
	for _, name := range []string{"a", "secret", "closed/file", "z", "token"} {
		putFile(t, dir, name, name)
	}
	for name, mode := range map[string]fs.FileMode{"secret": 0, "token": 0o200, "closed": 0o300} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, name), 0o700) })
	}
	s := newSaver(t, larder.SaveOptions{})
	_, err := s.saveTree(t, "k", dir)
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Save() = %v, want %v and a name", err, fs.ErrPermission)
	}
	s.opts.SkipUnreadable = true
	got, err := s.saveTree(t, "k", dir)
	if err != nil {
		t.Fatal(err)
	}
	var skipped []string
	for _, f := range got.Skipped {
		skipped = append(skipped, f.Path)
		if !strings.Contains(f.Reason, "permission denied") {
			t.Errorf("%s was skipped because %q", f.Path, f.Reason)
		}
	}
	if diff := cmp.Diff([]string{"closed", "secret", "token"}, skipped); diff != "" {
		t.Errorf("skipped (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "a", "z": "z"}, s.restoreTree(t, "k")); diff != "" {
		t.Errorf("restored (-want +got)\n%s", diff)
	}
}

// nobody is the user whose rights are nobody's.
const nobody = 65534

// asNobody takes the superuser's rights away until the test ends, but those to
// the temporary directories of the test.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(filepath.Dir(t.TempDir()), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	become := func(user int) {
		if err := syscall.Setresuid(-1, user, -1); err != nil {
			t.Fatal(err)
		}
	}
	become(nobody)
	t.Cleanup(func() { become(0) })
}
