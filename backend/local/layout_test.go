package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

func testOpen(tb testing.TB, dir string) *Backend {
	tb.Helper()
	b, err := Open(dir, Options{NoSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

// tree returns the paths of all files and directories below dir.
func tree(tb testing.TB, dir string) (paths []string) {
	tb.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); rel != "." {
			paths = append(paths, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return paths
}

func putOne(tb testing.TB, b *Backend) error {
	tb.Helper()
	_, err := b.PutRef(tb.Context(), "main", backend.Document{MediaType: "m", Data: []byte("1")}, backend.Always)
	return err
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	for _, dir := range []string{"", file} {
		if _, err := Open(dir, Options{}); !errors.Is(err, backend.ErrInvalid) {
			t.Errorf("Open(%q) = %v, want %v", dir, err, backend.ErrInvalid)
		}
	}
}

func TestInfoHasALocation(t *testing.T) {
	dir := t.TempDir()
	if got, want := testOpen(t, dir).Info().Location, "type=local,src="+dir; got != want {
		t.Errorf("Info().Location = %s, want %s", got, want)
	}
}

func TestWritesCreateALayout(t *testing.T) {
	digest := doc("1").Digest.Encoded()
	want := []string{".larder", ".larder/lock", "blobs", "blobs/sha256", "blobs/sha256/" + digest, "index.json", "index.json.lock", "oci-layout"}
	b := testOpen(t, filepath.Join(t.TempDir(), "a", "b"))
	if err := putOne(t, b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, tree(t, b.Dir())); diff != "" {
		t.Errorf("files differ (-want +got):\n%s", diff)
	}
	if got, want := readFile(t, b.path(ocispec.ImageLayoutFile)), `{"imageLayoutVersion":"1.0.0"}`; got != want {
		t.Errorf("oci-layout = %s, want %s", got, want)
	}
	info, err := os.Stat(b.blobPath(doc("1").Digest))
	if err != nil || info.Mode().Perm() != blobMode {
		t.Errorf("mode of a blob = %v, %v, want %o", info.Mode(), err, blobMode)
	}
}

// TestReadsCreateNothing shows it for directories that are not there, and that
// are empty.
func TestReadsCreateNothing(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Join(dir, "missing")} {
		b := testOpen(t, d)
		if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("GetRef(main) = %v, want %v", err, backend.ErrNotFound)
		}
		if found, err := b.Stat(t.Context(), doc("1").Digest); err != nil || len(found) > 0 {
			t.Errorf("Stat() = %v, %v, want nothing", found, err)
		}
		for info, err := range b.List(t.Context()) {
			t.Errorf("List() yields %v, %v, want nothing", info, err)
		}
		for info, err := range b.ListRefs(t.Context()) {
			t.Errorf("ListRefs() yields %v, %v, want nothing", info, err)
		}
		if _, err := b.Open(t.Context(), doc("1"), 0, -1); !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("Open() = %v, want %v", err, backend.ErrNotFound)
		}
		// These would write, if there were anything to do.
		if err := b.DeleteRef(t.Context(), "main", backend.Always); err != nil {
			t.Errorf("DeleteRef(main) = %v, want nil", err)
		}
		if err := b.Delete(t.Context(), doc("1").Digest); err != nil {
			t.Errorf("Delete() = %v, want nil", err)
		}
		_, err := b.PutRef(t.Context(), "main", backend.Document{}, backend.Match("v"))
		if !errors.Is(err, backend.ErrConflict) {
			t.Errorf("PutRef(main, match v) = %v, want %v", err, backend.ErrConflict)
		}
	}
	if got := tree(t, dir); len(got) > 0 {
		t.Errorf("reading created %v, want nothing", got)
	}
}

func TestDirectoriesOfOthers(t *testing.T) {
	const index = `{"schemaVersion":2,"manifests":[]}`
	for _, test := range []struct {
		name  string
		files map[string]string
		want  error
	}{
		{"somebody's", map[string]string{"notes.txt": "x"}, backend.ErrInvalid},
		{"somebody's with an index.json", map[string]string{"notes.txt": "x", "index.json": index}, backend.ErrInvalid},
		{"later layout", map[string]string{"oci-layout": `{"imageLayoutVersion":"2.0.0"}`}, backend.ErrInvalid},
		{"empty volume", map[string]string{"lost+found/x": ""}, nil},
		{"BuildKit opening it", map[string]string{".fsverity-check-123/integrity": ""}, nil},
		{"interrupted first export", map[string]string{"blobs/sha256/x": "", "ingest/x/data": ""}, nil},
		{"without oci-layout", map[string]string{"index.json": index}, nil},
		{"oci-layout being written", map[string]string{"oci-layout": ""}, nil},
		{"layout with junk", map[string]string{"oci-layout": string(layoutContent), "notes.txt": "x", "blobs/sha512/x": "x", "blobs/sha256/README": "x"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := testOpen(t, t.TempDir())
			for name, content := range test.files {
				writeFile(t, b.path(name), content)
			}
			before := tree(t, b.Dir())
			err := putOne(t, b)
			if !errors.Is(err, test.want) {
				t.Fatalf("PutRef(main) = %v, want %v", err, test.want)
			}
			putErr := b.Put(t.Context(), doc("2"), blob.Bytes([]byte("2")))
			if !errors.Is(putErr, test.want) {
				t.Errorf("Put() = %v, want %v", putErr, test.want)
			}
			if err != nil {
				if diff := cmp.Diff(before, tree(t, b.Dir())); diff != "" {
					t.Errorf("a refused write changed files (-before +after):\n%s", diff)
				}
				return
			}
			if r, err := b.GetRef(t.Context(), "main"); err != nil || string(r.Data) != "1" {
				t.Errorf("GetRef(main) = %q, %v, want 1", r.Data, err)
			}
			for name, content := range test.files {
				if name != "index.json" && name != "oci-layout" && readFile(t, b.path(name)) != content {
					t.Errorf("%s has changed, want it untouched", name)
				}
			}
			for info, err := range b.List(t.Context()) {
				if err != nil || blob.CheckDigest(info.Digest) != nil {
					t.Errorf("List() yields %v, %v, want blobs only", info, err)
				}
			}
		})
	}
}

func TestReadingWhatIsNoLayout(t *testing.T) {
	b := testOpen(t, t.TempDir())
	writeFile(t, b.path("notes.txt"), "x")
	_, err := b.GetRef(t.Context(), "main")
	if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), "is not an OCI image layout") {
		t.Errorf("GetRef(main) = %v, want %v that says so", err, backend.ErrInvalid)
	}
}

func TestStaleFilesAreRemoved(t *testing.T) {
	b := testLayout(t, "{}")
	now := time.Now()
	for name, age := range map[string]time.Duration{tempPrefix + "old": staleAfter + time.Hour, tempPrefix + "new": staleAfter - time.Hour, "foreign": 2 * staleAfter} {
		writeFile(t, b.path(privateDir, name), "x")
		if err := os.Chtimes(b.path(privateDir, name), now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := putOne(t, b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"foreign", lockFile, tempPrefix + "new"}, tree(t, b.path(privateDir))); diff != "" {
		t.Errorf("files differ (-want +got):\n%s", diff)
	}
}

// TestDirectoryMayVanish has somebody clear the directory between two writes.
func TestDirectoryMayVanish(t *testing.T) {
	b := testOpen(t, filepath.Join(t.TempDir(), "layout"))
	for range 2 {
		if err := putOne(t, b); err != nil {
			t.Errorf("PutRef(main) = %v, want nil", err)
		}
		if err := os.RemoveAll(b.Dir()); err != nil {
			t.Fatal(err)
		}
	}
}
