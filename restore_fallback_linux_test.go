package larder_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
	"github.com/larder-build/larder/internal/faulty"
	"github.com/larder-build/larder/manifest"
)

// kept is a directory as it is put into a store by hand.
type kept struct {
	name   string
	layers [][]byte
	// tarSize, if not zero, is what the last layer declares.
	tarSize int
}

// keep puts directories under a key, with layers as they are.
func keep(tb testing.TB, to larder.Target, key string, at time.Time, dirs ...kept) {
	tb.Helper()
	b := manifest.NewBuilder()
	root := b.Record(key)
	sizes := make(map[blob.Digest]int)
	for _, d := range dirs {
		var chain []manifest.LayerHandle
		for i, data := range d.layers {
			desc := blob.Describe("application/vnd.oci.image.layer.v1.tar", data)
			if err := to.Backend.Put(tb.Context(), desc, blob.Bytes(data)); err != nil {
				tb.Fatal(err)
			}
			if i == len(d.layers)-1 && d.tarSize != 0 {
				sizes[desc.Digest] = d.tarSize
			}
			chain = append(chain, b.Layer(desc, desc.Digest, at, manifest.LayerHandle{}))
		}
		b.Chain(b.Record(d.name, manifest.AnyOf(root)), at, chain...)
	}
	m, err := b.Manifest()
	if err != nil {
		tb.Fatal(err)
	}
	for i, l := range m.Layers {
		if size, ok := sizes[l.Digest]; ok {
			m.Layers[i].Annotations = map[string]string{larder.AnnotationTarSize: strconv.Itoa(size)}
		}
	}
	to.Ref += larder.DirectorySuffix
	if _, err := larder.Export(tb.Context(), m, larder.ContentOf(to.Backend), []larder.Target{to}, larder.ExportOptions{}); err != nil {
		tb.Fatal(err)
	}
}

// tarball returns a tar of entries; the content of a link is where it leads.
func tarball(tb testing.TB, entries ...tar.Header) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range entries {
		h.Mode, h.ModTime = 0o755, epoch
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: content}
}

func compressed(tb testing.TB, data []byte, as compress.Compression) []byte {
	tb.Helper()
	var out bytes.Buffer
	if _, err := compress.Recompress(tb.Context(), &out, bytes.NewReader(data), as, compress.Options{}, compress.WriterOptions{}); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// tempTarget is a store in memory for the time of a test.
func tempTarget(tb testing.TB, faults ...faulty.Fault) larder.Target {
	tb.Helper()
	store := faulty.New(mem.New(), faults...)
	tb.Cleanup(func() { _ = store.Close() })
	return larder.Target{Backend: store, Ref: "main"}
}

// damagedLayers returns layers that have their digest and cannot be restored.
func damagedLayers(tb testing.TB) map[string]kept {
	tb.Helper()
	whole := tarball(tb, file("a", strings.Repeat("a", 3000)), file("b", "torn"))
	zipped, gzipped := compressed(tb, whole, compress.Zstd), compressed(tb, whole, compress.Gzip)
	one := func(data []byte) kept { return kept{name: "tree", layers: [][]byte{data}} }
	sized := func(data []byte, size int) kept { return kept{name: "tree", layers: [][]byte{data}, tarSize: size} }
	return map[string]kept{
		"text":                                 one([]byte(strings.Repeat("not a tar ", 200))),
		"gzip of nothing":                      one(compressed(tb, nil, compress.Gzip)),
		"gzip of text":                         one(compressed(tb, []byte(strings.Repeat("no tar ", 200)), compress.Gzip)),
		"zstd of nothing":                      one(compressed(tb, nil, compress.Zstd)),
		"tar that ends in a file":              one(whole[:2000]),
		"tar that ends in a header":            one(whole[:700]),
		"tar that ends between two":            sized(whole[:512+3072], len(whole)),
		"zstd cut off":                         one(zipped[:len(zipped)-9]),
		"zstd of a wrong beginning":            one([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
		"gzip cut off":                         one(gzipped[:len(gzipped)-9]),
		"gzip with a wrong checksum":           one(append(bytes.Clone(gzipped[:len(gzipped)-8]), 1, 2, 3, 4, 5, 6, 7, 8)),
		"tar that is larger than it declares":  sized(whole, len(whole)-512),
		"tar that is smaller than it declares": sized(whole, len(whole)+512),
		"expanding a thousandfold":             one(compressed(tb, tarball(tb, file("zeros", string(make([]byte, 8<<20)))), compress.Zstd)),
		"entry of no known type":               one(tarball(tb, file("a", "torn"), tar.Header{Typeflag: 'Z', Name: "odd"})),
		"hard link to nothing":                 one(tarball(tb, file("a", "torn"), tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "none"})),
		"on top of a good one":                 {name: "tree", layers: [][]byte{tarball(tb, file("a", "torn")), []byte("not a tar")}},
		"below a good one":                     {name: "tree", layers: [][]byte{[]byte("not a tar"), tarball(tb, file("a", "torn"))}},
	}
}

// TestRestorePassesOverDamagedLayers restores a key of which a layer is damaged:
// from the next source that has it, from the next key, or not at all.
func TestRestorePassesOverDamagedLayers(t *testing.T) {
	good := kept{name: "tree", layers: [][]byte{tarball(t, file("a", "good"), file("c", "good"))}}
	mine := map[string]string{"mine": "mine", "a": "old"}
	after := map[string]string{"mine": "mine", "a": "good", "c": "good"}
	for name, bad := range damagedLayers(t) {
		t.Run(name, func(t *testing.T) {
			first, second := tempTarget(t), tempTarget(t)
			keep(t, first, "deps-2", epoch.Add(time.Hour), bad)
			keep(t, second, "deps-2", epoch, good)
			older := tempTarget(t)
			keep(t, older, "deps-1", epoch, good)
			keep(t, older, "deps-2", epoch.Add(time.Hour), bad)
			tests := []struct {
				name     string
				from     []larder.Target
				key      string
				prefixes []string
				want     string // the key; "" is a miss
				tree     map[string]string
			}{
				{"next source", []larder.Target{first, second}, "deps-2", nil, "deps-2", after},
				{"next key", []larder.Target{older}, "deps-2", []string{"deps-"}, "deps-1", after},
				{"next of a prefix", []larder.Target{older}, "deps-3", []string{"deps-"}, "deps-1", after},
				{"nothing else", []larder.Target{first}, "deps-2", nil, "", mine},
			}
			for _, tt := range tests {
				into := t.TempDir()
				putFile(t, into, "tree/mine", "mine")
				putFile(t, into, "tree/a", "old")
				got, err := larder.Restore(t.Context(), tt.key, tt.from, larder.RestoreOptions{Into: into, Prefixes: tt.prefixes, Snapshots: t.TempDir()})
				if err != nil || got.Hit != (tt.want != "") || got.Key != tt.want {
					t.Errorf("%s: Restore() = %+v, %v, want the key %q", tt.name, got.Found, err, tt.want)
				}
				if diff := cmp.Diff(tt.tree, filesOf(t, filepath.Join(into, "tree"))); diff != "" {
					t.Errorf("%s: tree (-want +got)\n%s", tt.name, diff)
				}
				checkPassedOver(t, got.Report, "deps-2", bad)
			}
		})
	}
}

// checkPassedOver checks that a report says which layer was of no use.
func checkPassedOver(tb testing.TB, r *larder.Report, key string, bad kept) {
	tb.Helper()
	if len(r.Degradations) != 1 {
		tb.Errorf("Restore() reports %+v, want one loss", r.Degradations)
		return
	}
	var digests []blob.Digest
	for _, data := range bad.layers {
		digests = append(digests, blob.Describe("", data).Digest)
	}
	d := r.Degradations[0]
	if d.Kind != larder.BlobLost || !slices.Contains(digests, d.Blob) || !strings.Contains(d.Detail, string(d.Blob)) || !strings.Contains(d.Detail, key) || d.Target == "" {
		tb.Errorf("Restore() reports %+v, want %s of one of %v and the key %s", d, larder.BlobLost, digests, key)
	}
}

// filesOf returns the files in a directory, which has nothing else.
func filesOf(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	got := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		got[e.Name()] = string(data)
	}
	return got
}

// TestRestoreOfNothingLeavesNothing restores a damaged layer to where there is no
// directory yet.
func TestRestoreOfNothingLeavesNothing(t *testing.T) {
	from, into := tempTarget(t), t.TempDir()
	keep(t, from, "deps", epoch, kept{name: "a/b/tree", layers: [][]byte{[]byte("not a tar")}})
	if err := os.Mkdir(filepath.Join(into, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := larder.Restore(t.Context(), "deps", []larder.Target{from}, larder.RestoreOptions{Into: into}); err != nil || got.Hit {
		t.Errorf("Restore() = %+v, %v, want a miss", got.Found, err)
	}
	if diff := cmp.Diff([]string{".", "a"}, filesIn(t, into)); diff != "" {
		t.Errorf("the directory has changed (-want +got)\n%s", diff)
	}
}

// TestRestoreCompletesWhatItBegan restores two directories, the second of which
// is damaged under the first key: both are of the second key then.
func TestRestoreCompletesWhatItBegan(t *testing.T) {
	from, into := tempTarget(t), t.TempDir()
	dir := func(name string, files ...tar.Header) kept {
		return kept{name: name, layers: [][]byte{tarball(t, files...)}}
	}
	keep(t, from, "deps-1", epoch, dir("x", file("a", "1")), dir("y", file("b", "1")))
	keep(t, from, "deps-2", epoch.Add(time.Hour), dir("x", file("a", "2")), kept{name: "y", layers: [][]byte{[]byte("not a tar")}})
	got, err := larder.Restore(t.Context(), "deps-2", []larder.Target{from}, larder.RestoreOptions{Into: into, Prefixes: []string{"deps-"}})
	if err != nil || got.Key != "deps-1" {
		t.Fatalf("Restore() = %+v, %v, want deps-1", got.Found, err)
	}
	for name, want := range map[string]map[string]string{"x": {"a": "1"}, "y": {"b": "1"}} {
		if diff := cmp.Diff(want, filesOf(t, filepath.Join(into, name))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// TestRestoreStopsAtHostileLayers has a good key to fall back to, which is not
// taken, unless the hostile layer is but damage.
func TestRestoreStopsAtHostileLayers(t *testing.T) {
	hostile := tarball(t, file("a", "x"), file("../escape", "x"))
	from, into := tempTarget(t), t.TempDir()
	keep(t, from, "deps-1", epoch, kept{name: "tree", layers: [][]byte{tarball(t, file("a", "good"))}})
	keep(t, from, "deps-2", epoch, kept{name: "tree", layers: [][]byte{hostile}})
	restore := func(from larder.Target) (*larder.Restored, error) {
		return larder.Restore(t.Context(), "deps-2", []larder.Target{from}, larder.RestoreOptions{Into: into, Prefixes: []string{"deps-"}})
	}
	digest := blob.Describe("", hostile).Digest
	if _, err := restore(from); !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), string(digest)) {
		t.Errorf("Restore() = %v, want %v and the digest %s", err, backend.ErrInvalid, digest)
	}
	if left := filesIn(t, into); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	// The last byte of the tar, which means nothing, is another one.
	torn := larder.Target{Backend: faulty.New(from.Backend, faulty.Fault{Op: faulty.Open, Key: string(digest), Times: -1, FlipAt: int64(len(hostile) - 1)}), Ref: "main"}
	if got, err := restore(torn); err != nil || got.Key != "deps-1" {
		t.Errorf("Restore(damaged) = %+v, %v, want deps-1", got.Found, err)
	}
}

// TestRestoreGoesToTheNextSourceWhenOneFails has a store fail while layers are
// read: its other keys are not tried then.
func TestRestoreGoesToTheNextSourceWhenOneFails(t *testing.T) {
	away := &backend.Error{Op: "open", Backend: "mem", Kind: backend.ErrUnavailable}
	for name, fault := range map[string]faulty.Fault{"at once": {Op: faulty.Open, Times: -1, Err: away}, "on the way": {Op: faulty.Open, Times: -1, BreakAt: 700, Err: away}} {
		t.Run(name, func(t *testing.T) {
			store := faulty.New(mem.New(), fault)
			defer store.Close()
			first, second, into := larder.Target{Backend: store, Ref: "main"}, tempTarget(t), t.TempDir()
			layer := func(content string) kept { return kept{name: "tree", layers: [][]byte{tarball(t, file("a", content))}} }
			keep(t, first, "deps-2", epoch, layer("2"))
			keep(t, first, "deps-1", epoch, layer("1"))
			keep(t, second, "deps-0", epoch, layer("0"))
			opened := store.Calls(faulty.Open)
			opts := larder.RestoreOptions{Into: into, Prefixes: []string{"deps-1", "deps-"}}
			got, err := larder.Restore(t.Context(), "deps-2", []larder.Target{first, second}, opts)
			if err != nil || got.Key != "deps-0" {
				t.Errorf("Restore() = %+v, %v, want deps-0", got.Found, err)
			}
			if kinds := degradations(got.Report); !slices.Equal(kinds, []larder.DegradationKind{larder.SourceFailed}) {
				t.Errorf("Restore() reports %v, want one %s", kinds, larder.SourceFailed)
			}
			if n := store.Calls(faulty.Open) - opened; n != 1 {
				t.Errorf("the store was asked for %d layers, want 1", n)
			}
		})
	}
}

func TestRestoreEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	from, into := tempTarget(t, faulty.Fault{Op: faulty.Open, Times: -1, Before: cancel}), t.TempDir()
	keep(t, from, "deps", epoch, kept{name: "tree", layers: [][]byte{tarball(t, file("a", "x"))}})
	if _, err := larder.Restore(ctx, "deps", []larder.Target{from}, larder.RestoreOptions{Into: into}); !errors.Is(err, context.Canceled) {
		t.Errorf("Restore() = %v, want %v", err, context.Canceled)
	}
	if left := filesIn(t, into); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
