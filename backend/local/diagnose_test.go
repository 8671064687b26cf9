package local

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
)

// findings returns "check: status" for each finding, and all of their text.
func findings(t *testing.T, dir string, o backend.DiagnoseOptions) (brief []string, text string) {
	t.Helper()
	b, err := Open(dir, Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	for f := range b.Diagnose(t.Context(), o) {
		// How much is free, and where, depends on the machine.
		if f.Check == "file system" && f.Status != backend.FindingFailed {
			f.Status = "any"
		}
		brief = append(brief, fmt.Sprintf("%s: %s", f.Check, f.Status))
		text += f.Detail + "\n" + f.Remedy + "\n"
	}
	return brief, text
}

func TestDiagnose(t *testing.T) {
	write := func(name, content string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name     string
		make     func(t *testing.T, dir string)
		readOnly bool
		want     []string
		text     string
	}{
		{"a cache", func(t *testing.T, dir string) {
			t.Helper()
			b, err := Open(dir, Options{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Always); err != nil {
				t.Fatal(err)
			}
		}, false, []string{"endpoint: ok", "file system: any", "layout: ok", "locks: ok"}, "1 entries"},
		{"an empty directory", func(*testing.T, string) {}, false, []string{"endpoint: ok", "file system: any", "layout: note", "locks: ok"}, "empty"},
		{"for reading", func(*testing.T, string) {}, true, []string{"endpoint: ok", "file system: any", "layout: note"}, "empty"},
		{"no directory", removeDir, false, []string{"endpoint: note", "file system: any", "write: skipped"}, "does not exist yet"},
		{"no directory, for reading", removeDir, true, []string{"endpoint: note", "file system: any"}, "does not exist yet"},
		{"something else", write("notes.txt", "mine"), false, []string{"endpoint: failed"}, "name an empty directory"},
		{"another version", write("oci-layout", `{"imageLayoutVersion":"2.0.0"}`), false, []string{"endpoint: failed"}, `"2.0.0"`},
		{"a broken index", func(t *testing.T, dir string) {
			t.Helper()
			write("oci-layout", string(layoutContent))(t, dir)
			write("index.json", "[]")(t, dir)
		}, true, []string{"endpoint: ok", "file system: any", "layout: failed"}, "restore index.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.make(t, dir)
			got, text := findings(t, dir, backend.DiagnoseOptions{ReadOnly: tt.readOnly})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Diagnose() (-want +got):\n%s\n%s", diff, text)
			}
			if !strings.Contains(text, tt.text) {
				t.Errorf("Diagnose() says\n%s\nwant %q in it", text, tt.text)
			}
			if tt.readOnly {
				if _, err := os.Stat(filepath.Join(dir, privateDir)); !os.IsNotExist(err) {
					t.Errorf("Diagnose() for reading has written: %v", err)
				}
			}
		})
	}
}

func removeDir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
}

func TestDiagnoseRemovesItsLock(t *testing.T) {
	dir := t.TempDir()
	findings(t, dir, backend.DiagnoseOptions{})
	entries, err := os.ReadDir(filepath.Join(dir, privateDir))
	if err != nil || len(entries) != 0 {
		t.Errorf("Diagnose() has left %v, %v, want nothing", entries, err)
	}
}

func TestDiagnoseWithoutPermission(t *testing.T) {
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		// Nobody refuses root anything, and Windows has no modes: the parent of
		// a missing directory is then a file.
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		got, text := findings(t, filepath.Join(file, "below"), backend.DiagnoseOptions{})
		if want := []string{"endpoint: failed"}; !cmp.Equal(got, want) {
			t.Errorf("Diagnose() = %q, want %q\n%s", got, want, text)
		}
		return
	}
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o500); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	got, text := findings(t, filepath.Join(parent, "new"), backend.DiagnoseOptions{})
	if want := []string{"endpoint: note", "file system: any", "write: failed"}; !cmp.Equal(got, want) {
		t.Errorf("Diagnose() = %q, want %q\n%s", got, want, text)
	}
}

func TestVolume(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "windows" {
		t.Skip("the other systems do not tell")
	}
	v, err := volumeOf(t.TempDir())
	if err != nil || v.kind == "" || v.free == 0 {
		t.Errorf("volumeOf() = %+v, %v, want a kind and free space", v, err)
	}
	if runtime.GOOS == "linux" {
		if shm, err := volumeOf("/dev/shm"); err != nil || !shm.inMemory {
			t.Errorf("volumeOf(/dev/shm) = %+v, %v, want one in memory", shm, err)
		}
	}
	if _, err := volumeOf(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("volumeOf() of nothing = nil, want an error")
	}
}
