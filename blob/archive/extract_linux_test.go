package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/blob/compress"
)

// entry is one entry of a tar made by tarOf.
type entry struct {
	name    string
	kind    byte
	content string // or the target of a link
}

func tarOf(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o755, ModTime: time.Unix(1_700_000_000, 0)}
		switch e.kind {
		case tar.TypeReg:
			h.Size = int64(len(e.content))
		case tar.TypeSymlink, tar.TypeLink:
			h.Linkname = e.content
		}
		must(tb, w.WriteHeader(h))
		if e.kind == tar.TypeReg {
			_, err := w.Write([]byte(e.content))
			must(tb, err)
		}
	}
	must(tb, w.Close())
	return buf.Bytes()
}

// tree returns the names in a directory with the content of files and the
// targets of links.
func tree(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	got := make(map[string]string)
	for _, e := range walk(tb, dir) {
		switch {
		case e.Path == ".":
		case e.Mode.IsRegular():
			data, err := os.ReadFile(filepath.Join(dir, e.Path))
			must(tb, err)
			got[e.Path] = string(data)
		case e.Mode.IsDir():
			got[e.Path] = "/"
		default:
			got[e.Path] = "->" + e.Link
		}
	}
	return got
}

func TestExtractAppliesStacks(t *testing.T) {
	base := []entry{{"d/", tar.TypeDir, ""}, {"d/a", tar.TypeReg, "a1"}, {"d/b", tar.TypeReg, "b1"}, {"f", tar.TypeReg, "f1"}, {"g/x", tar.TypeReg, "x1"}}
	tests := []struct {
		name   string
		layers [][]entry
		want   map[string]string
	}{
		{"one", [][]entry{base}, map[string]string{"d": "/", "d/a": "a1", "d/b": "b1", "f": "f1", "g": "/", "g/x": "x1"}},
		{"replaced", [][]entry{base, {{"d/a", tar.TypeReg, "a2"}}}, map[string]string{"d": "/", "d/a": "a2", "d/b": "b1", "f": "f1", "g": "/", "g/x": "x1"}},
		{"removed", [][]entry{base, {{"d/.wh.a", tar.TypeReg, ""}, {".wh.g", tar.TypeReg, ""}}}, map[string]string{"d": "/", "d/b": "b1", "f": "f1"}},
		{"removed and made again", [][]entry{base, {{".wh.d", tar.TypeReg, ""}}, {{"d/c", tar.TypeReg, "c3"}}}, map[string]string{"d": "/", "d/c": "c3", "f": "f1", "g": "/", "g/x": "x1"}},
		{"opaque", [][]entry{base, {{"d/.wh..wh..opq", tar.TypeReg, ""}, {"d/c", tar.TypeReg, "c2"}}}, map[string]string{"d": "/", "d/c": "c2", "f": "f1", "g": "/", "g/x": "x1"}},
		{"all opaque", [][]entry{base, {{".wh..wh..opq", tar.TypeReg, ""}, {"n", tar.TypeReg, "n2"}}}, map[string]string{"n": "n2"}},
		{"directory by file", [][]entry{base, {{"d", tar.TypeReg, "d2"}}}, map[string]string{"d": "d2", "f": "f1", "g": "/", "g/x": "x1"}},
		{"file by directory", [][]entry{base, {{"f/", tar.TypeDir, ""}, {"f/y", tar.TypeReg, "y2"}}}, map[string]string{"d": "/", "d/a": "a1", "d/b": "b1", "f": "/", "f/y": "y2", "g": "/", "g/x": "x1"}},
		{"directory by link", [][]entry{base, {{"d", tar.TypeSymlink, "g"}}}, map[string]string{"d": "->g", "f": "f1", "g": "/", "g/x": "x1"}},
		{"link to a lower layer", [][]entry{base, {{"h", tar.TypeLink, "d/a"}}}, map[string]string{"d": "/", "d/a": "a1", "d/b": "b1", "f": "f1", "g": "/", "g/x": "x1", "h": ""}},
		{"a name twice", [][]entry{{{"s", tar.TypeReg, "1"}, {"s/", tar.TypeDir, ""}, {"s/t", tar.TypeReg, "t"}, {"s", tar.TypeSymlink, "2"}, {"s", tar.TypeReg, "3"}}}, map[string]string{"s": "3"}},
		{"dots", [][]entry{{{"./", tar.TypeDir, ""}, {"./a/", tar.TypeDir, ""}, {"./a/b", tar.TypeReg, "b"}}}, map[string]string{"a": "/", "a/b": "b"}},
		{"no layers", nil, map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var layers []archive.Layer
			for _, l := range tt.layers {
				layers = append(layers, layerOf(tarOf(t, l...), false))
			}
			dir := t.TempDir()
			if _, err := archive.Extract(t.Context(), dir, layers, archive.ExtractOptions{}); err != nil {
				t.Fatal(err)
			}
			got := tree(t, dir)
			if target, ok := got["h"]; ok && target == "a1" {
				got["h"] = "" // the first name of a file is that which sorts first
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("tree (-want +got)\n%s", diff)
			}
		})
	}
}

func TestExtractOverATree(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "kept", "kept")
	writeFile(t, dir, "d/old", "old")
	writeFile(t, dir, "d/changed", "before")
	writeFile(t, dir, "was-dir/x", "x")
	writeFile(t, dir, "was-file", "y")
	must(t, os.Symlink("/etc", filepath.Join(dir, "was-link")))
	must(t, os.Chmod(filepath.Join(dir, "d"), 0o555))
	layer := tarOf(t, entry{"d/", tar.TypeDir, ""}, entry{"d/changed", tar.TypeReg, "after"}, entry{"d/new", tar.TypeReg, "new"}, entry{"was-dir", tar.TypeReg, "file"},
		entry{"was-file/", tar.TypeDir, ""}, entry{"was-file/z", tar.TypeReg, "z"}, entry{"was-link/hosts", tar.TypeReg, "inside"}, entry{"hard", tar.TypeLink, "kept"}, entry{"d/hard", tar.TypeLink, "d/changed"})
	if _, err := archive.Extract(t.Context(), dir, []archive.Layer{layerOf(layer, false)}, archive.ExtractOptions{}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"kept": "kept", "hard": "kept", "d": "/", "d/old": "old", "d/changed": "after", "d/hard": "after", "d/new": "new", "was-dir": "file",
		"was-file": "/", "was-file/z": "z", "was-link": "/", "was-link/hosts": "inside",
	}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("tree (-want +got)\n%s", diff)
	}
}

func TestExtractRefusesHostileLayers(t *testing.T) {
	tests := []struct {
		name  string
		layer []entry
		want  error
	}{
		{"absolute", []entry{{"/tmp/larder-canary", tar.TypeReg, "x"}}, blob.ErrInvalid},
		{"dot dot", []entry{{"../larder-canary", tar.TypeReg, "x"}}, blob.ErrInvalid},
		{"dot dot inside", []entry{{"a/../../larder-canary", tar.TypeReg, "x"}}, blob.ErrInvalid},
		{"empty part", []entry{{"a//b", tar.TypeReg, "x"}}, blob.ErrInvalid},
		{"through an absolute link", []entry{{"l", tar.TypeSymlink, "OUTSIDE"}, {"l/larder-canary", tar.TypeReg, "x"}}, blob.ErrInvalid},
		{"through a relative link", []entry{{"l", tar.TypeSymlink, "../../../../../../../../tmp"}, {"l/larder-canary", tar.TypeReg, "x"}}, blob.ErrInvalid},
		{"through two links", []entry{{"d/", tar.TypeDir, ""}, {"d/m", tar.TypeSymlink, ".."}, {"l", tar.TypeSymlink, "d/m/.."}, {"l/larder-canary", tar.TypeReg, "x"}}, blob.ErrInvalid},
		{"hard link by an absolute name", []entry{{"h", tar.TypeLink, "/etc/hostname"}}, blob.ErrInvalid},
		{"hard link by dot dot", []entry{{"h", tar.TypeLink, "../../etc/hostname"}}, blob.ErrInvalid},
		{"hard link through a link", []entry{{"l", tar.TypeSymlink, "/etc"}, {"h", tar.TypeLink, "l/hostname"}}, blob.ErrInvalid},
		{"hard link to nothing", []entry{{"h", tar.TypeLink, "nothing"}}, blob.ErrCorrupt},
		{"whiteout by dot dot", []entry{{"../.wh.canary", tar.TypeReg, ""}}, blob.ErrInvalid},
		{"device", []entry{{"null", tar.TypeChar, ""}}, blob.ErrInvalid},
		{"unknown type", []entry{{"odd", 'Z', ""}}, blob.ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			outside, dir := t.TempDir(), t.TempDir()
			writeFile(t, outside, "witness", "w")
			writeFile(t, dir, "mine", "m")
			for i := range tt.layer {
				tt.layer[i].content = strings.ReplaceAll(tt.layer[i].content, "OUTSIDE", outside)
			}
			_, err := archive.Extract(t.Context(), dir, []archive.Layer{layerOf(tarOf(t, tt.layer...), false)}, archive.ExtractOptions{})
			if !errors.Is(err, tt.want) {
				t.Errorf("Extract() = %v, want %v", err, tt.want)
			}
			if diff := cmp.Diff(map[string]string{"mine": "m"}, tree(t, dir)); diff != "" {
				t.Errorf("directory has changed (-before +after)\n%s", diff)
			}
			if diff := cmp.Diff(map[string]string{"witness": "w"}, tree(t, outside)); diff != "" {
				t.Errorf("outside has changed (-before +after)\n%s", diff)
			}
		})
	}
}

func TestExtractLeavesSetIDOut(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	must(t, w.WriteHeader(&tar.Header{Name: "su", Typeflag: tar.TypeReg, Mode: 0o6755}))
	must(t, w.Close())
	for _, keep := range []bool{false, true} {
		dir := t.TempDir()
		_, err := archive.Extract(t.Context(), dir, []archive.Layer{layerOf(buf.Bytes(), false)}, archive.ExtractOptions{SetID: keep})
		must(t, err)
		info, err := os.Stat(filepath.Join(dir, "su"))
		must(t, err)
		if got := info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0; got != keep {
			t.Errorf("SetID %t: mode is %s", keep, info.Mode())
		}
	}
}

func TestExtractBounds(t *testing.T) {
	dir := t.TempDir()
	sparse(t, filepath.Join(dir, "huge"), 1<<40, nil)
	zeros := tarOf(t, entry{"zeros", tar.TypeReg, strings.Repeat("\x00", 8<<20)})
	var compressed bytes.Buffer
	_, err := compress.Recompress(t.Context(), &compressed, bytes.NewReader(zeros), compress.Zstd, compress.Options{}, compress.WriterOptions{})
	must(t, err)
	for name, layer := range map[string]archive.Layer{"holes": tars(t, dir, 0, archive.WriteOptions{})[1], "zeros": layerOf(compressed.Bytes(), false)} {
		into := t.TempDir()
		if _, err := archive.Extract(t.Context(), into, []archive.Layer{layer}, archive.ExtractOptions{}); !errors.Is(err, blob.ErrTooLarge) {
			t.Errorf("%s: Extract() = %v, want %v", name, err, blob.ErrTooLarge)
		}
		if got := tree(t, into); len(got) != 0 {
			t.Errorf("%s: left %v", name, got)
		}
	}
}

func TestExtractFailsWhole(t *testing.T) {
	good := tarOf(t, entry{"a", tar.TypeReg, strings.Repeat("a", 100_000)}, entry{"b", tar.TypeReg, "b"})
	broken := errors.New("cable cut")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	desc := blob.Describe("", append(bytes.Clone(good), 1))
	tests := []struct {
		name string
		ctx  context.Context
		open func(context.Context) (io.ReadCloser, error)
		want error
	}{
		{"cannot be opened", t.Context(), func(context.Context) (io.ReadCloser, error) { return nil, broken }, broken},
		{"ends early", t.Context(), func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(good[:50_000])), nil
		}, blob.ErrCorrupt},
		{"fails", t.Context(), func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(good[:50_000]), iotest.ErrReader(broken))), nil
		}, broken},
		{"does not verify", t.Context(), func(context.Context) (io.ReadCloser, error) {
			return blob.NewReader(io.NopCloser(bytes.NewReader(append(bytes.Clone(good), 2))), desc), nil
		}, blob.ErrCorrupt},
		{"is no tar", t.Context(), func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(strings.Repeat("no tar ", 1000))), nil
		}, blob.ErrCorrupt},
		{"context ended", ended, layerOf(good, false).Open, context.Canceled},
	}
	for _, tt := range tests {
		for _, disjoint := range []bool{false, true} {
			dir := t.TempDir()
			writeFile(t, dir, "a", "old")
			layers := []archive.Layer{layerOf(good, true), {Open: tt.open, Disjoint: disjoint}}
			if _, err := archive.Extract(tt.ctx, dir, layers, archive.ExtractOptions{}); !errors.Is(err, tt.want) {
				t.Errorf("%s: Extract() = %v, want %v", tt.name, err, tt.want)
			}
			if diff := cmp.Diff(map[string]string{"a": "old"}, tree(t, dir)); diff != "" {
				t.Errorf("%s: directory has changed (-before +after)\n%s", tt.name, diff)
			}
		}
	}
}

func TestExtractKeepsWhatIsAskedFor(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("owners and devices take root")
	}
	dir := t.TempDir()
	writeFile(t, dir, "owned", "x")
	must(t, os.Chown(filepath.Join(dir, "owned"), 1234, 5678))
	must(t, os.Chmod(filepath.Join(dir, "owned"), os.ModeSetuid|0o755))
	must(t, unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	into := t.TempDir()
	_, err := archive.Extract(t.Context(), into, tars(t, dir, 0, archive.WriteOptions{Owners: true}), archive.ExtractOptions{Owners: true, Devices: true, SetID: true})
	must(t, err)
	if diff := cmp.Diff(walk(t, dir), walk(t, into), sameTree); diff != "" {
		t.Errorf("tree (-saved +restored)\n%s", diff)
	}
}

func TestExtractKeepsXattrs(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "file", "x")
	value := "value\x00with\nodd=bytes"
	if err := unix.Setxattr(filepath.Join(dir, "file"), "user.larder", []byte(value), 0); errors.Is(err, unix.ENOTSUP) {
		t.Skip("the file system has no extended attributes")
	}
	into := t.TempDir()
	_, err := archive.Extract(t.Context(), into, tars(t, dir, 0, archive.WriteOptions{Xattrs: true}), archive.ExtractOptions{Xattrs: true})
	must(t, err)
	got := make([]byte, 100)
	if n, err := unix.Getxattr(filepath.Join(into, "file"), "user.larder", got); err != nil || string(got[:n]) != value {
		t.Errorf("Getxattr() = %q, %v, want %q", got[:max(n, 0)], err, value)
	}
}

func FuzzExtract(f *testing.F) {
	f.Add(tarOf(f, entry{"a/b", tar.TypeReg, "x"}, entry{"l", tar.TypeSymlink, "/tmp"}, entry{"l/x", tar.TypeReg, "y"}, entry{"h", tar.TypeLink, "a/b"}))
	f.Add(tarOf(f, entry{"../a", tar.TypeReg, "x"}, entry{".wh.b", tar.TypeReg, ""}))
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		writeFile(t, parent, "witness", "w")
		dir := filepath.Join(parent, "dir")
		_, _ = archive.Extract(t.Context(), dir, []archive.Layer{layerOf(data, false)}, archive.ExtractOptions{Bounds: compress.Options{MaxSize: 1 << 20}})
		got, err := os.ReadDir(parent)
		if err != nil || len(got) != 2 && len(got) != 1 {
			t.Errorf("outside has %v, %v", got, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".larder*")); left != nil {
			t.Errorf("left behind: %q", left)
		}
	})
}
