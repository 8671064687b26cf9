package larder_test

import (
	"archive/tar"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
)

// TestRestoreStaysInside has caches whose directories are called what leads out of
// the one that is restored to. Only the caller may say that.
func TestRestoreStaysInside(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "parent")
	into, outside := filepath.Join(parent, "into"), filepath.Join(parent, "outside")
	layer := tarball(t, file("f", "x"))
	link := tarball(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "../../outside"})
	tests := []struct {
		name   string
		dirs   []kept
		asked  []string
		want   error
		writes string
	}{
		{"inside", []kept{{name: "d/e", layers: [][]byte{layer}}}, nil, nil, "into/d/e/f"},
		{"itself", []kept{{name: ".", layers: [][]byte{layer}}}, nil, nil, "into/f"},
		{"a link that stays", []kept{{name: "in/e", layers: [][]byte{layer}}}, nil, nil, "into/real/e/f"},
		{"above", []kept{{name: "../outside", layers: [][]byte{layer}}}, nil, backend.ErrInvalid, ""},
		{"above, asked for", []kept{{name: "../outside", layers: [][]byte{layer}}}, []string{"../outside/"}, nil, "outside/f"},
		{"absolute", []kept{{name: outside, layers: [][]byte{layer}}}, nil, backend.ErrInvalid, ""},
		{"absolute, asked for", []kept{{name: outside, layers: [][]byte{layer}}}, []string{outside}, nil, "outside/f"},
		{"a link that leads out", []kept{{name: "out/e", layers: [][]byte{layer}}}, nil, backend.ErrInvalid, ""},
		{"a link that leads out, asked for", []kept{{name: "out/e", layers: [][]byte{layer}}}, []string{"out/e"}, nil, "outside/e/f"},
		{"a link by the way", []kept{{name: "d", layers: [][]byte{link}}, {name: "d/x", layers: [][]byte{layer}}}, nil, backend.ErrInvalid, ""},
		{"a link by the way, asked for", []kept{{name: "d", layers: [][]byte{link}}, {name: "d/x", layers: [][]byte{layer}}}, []string{"d", "d/x"}, backend.ErrInvalid, ""},
		{"one of two", []kept{{name: "d", layers: [][]byte{layer}}, {name: "e", layers: [][]byte{layer}}}, []string{"e"}, nil, "into/e/f"},
		{"twice", []kept{{name: "d", layers: [][]byte{layer}}}, []string{"d", "./d"}, nil, "into/d/f"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := errors.Join(os.RemoveAll(parent), os.MkdirAll(filepath.Join(into, "real"), 0o755), os.Mkdir(outside, 0o755),
				os.Symlink("../outside", filepath.Join(into, "out")), os.Symlink("real", filepath.Join(into, "in"))); err != nil {
				t.Fatal(err)
			}
			from := tempTarget(t)
			keep(t, from, "k", epoch, tt.dirs...)
			got, err := larder.Restore(t.Context(), "k", []larder.Target{from}, larder.RestoreOptions{Into: into, Directories: tt.asked})
			if !errors.Is(err, tt.want) || err == nil && !got.Hit {
				t.Errorf("Restore() = %+v, %v, want %v", got.Found, err, tt.want)
			}
			var written []string
			for _, at := range filesIn(t, parent) {
				if filepath.Base(at) == "f" {
					written = append(written, at)
				}
			}
			if joined := strings.Join(written, " "); joined != tt.writes {
				t.Errorf("Restore() wrote %s, want %s", joined, tt.writes)
			}
		})
	}
}

// TestRestoreTakesKeysWithAllThatIsAskedFor has a newer key with less.
func TestRestoreTakesKeysWithAllThatIsAskedFor(t *testing.T) {
	from, layer := tempTarget(t), [][]byte{tarball(t, file("f", "x"))}
	keep(t, from, "deps-1", epoch, kept{name: "a", layers: layer}, kept{name: "b", layers: layer})
	keep(t, from, "deps-2", epoch.Add(time.Hour), kept{name: "a", layers: layer})
	tests := []struct {
		asked, want string
		missing     bool
	}{
		{"", "deps-2", false},
		{"a", "deps-2", false},
		{"b", "deps-1", true},
		{"b a", "deps-1", true},
		{"c", "", true},
	}
	for _, tt := range tests {
		opts := larder.RestoreOptions{Prefixes: []string{"deps-"}, Directories: strings.Fields(tt.asked), Into: t.TempDir()}
		found, err := larder.Lookup(t.Context(), "deps-2", []larder.Target{from}, opts)
		restored, restoreErr := larder.Restore(t.Context(), "deps-2", []larder.Target{from}, opts)
		if err != nil || restoreErr != nil || found.Key != tt.want || restored.Key != tt.want {
			t.Errorf("%q: found %q, %v, restored %q, %v, want %q", tt.asked, found.Key, err, restored.Key, restoreErr, tt.want)
		}
		if got := slices.Contains(degradations(found.Report), larder.DirectoryMissing); got != tt.missing {
			t.Errorf("%q: reports %v, want %s: %t", tt.asked, degradations(found.Report), larder.DirectoryMissing, tt.missing)
		}
		var names []string
		for _, d := range restored.Directories {
			names = append(names, d.Name)
		}
		if want := strings.Fields(tt.asked); len(want) > 0 && tt.want != "" {
			slices.Sort(want)
			if diff := cmp.Diff(want, names); diff != "" {
				t.Errorf("%q: restored (-want +got)\n%s", tt.asked, diff)
			}
		}
	}
	if _, err := larder.Lookup(t.Context(), "deps-2", []larder.Target{from}, larder.RestoreOptions{Directories: []string{""}}); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("Lookup(a directory without name) = %v, want %v", err, backend.ErrInvalid)
	}
}

// TestSaveRefusesDirectoriesInEachOther would save what Restore does not restore.
func TestSaveRefusesDirectoriesInEachOther(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	putFile(t, here, "a/b/f", "x")
	putFile(t, here, "ab/f", "x")
	to := tempTarget(t)
	for paths, want := range map[string]string{
		"a a": "same directory", "a ./a/": "same directory", "a " + here + "/a": "same directory", "a a/b": `"a/b" is in "a"`, "ab/.. a": `"a" is in "."`,
		"a ab": "", "a/b ab": "", "none": `"none"`, "a/b/f": "no directory",
	} {
		var dirs []larder.Directory
		for path := range strings.FieldsSeq(paths) {
			dirs = append(dirs, larder.Directory{Path: path})
		}
		_, err := larder.Save(t.Context(), "k", dirs, []larder.Target{to}, larder.SaveOptions{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Save(%s) = %v, want %q in it", paths, err, want)
		}
	}
}
