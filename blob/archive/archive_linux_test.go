package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
)

// writeFile makes a file with a time of its own.
func writeFile(tb testing.TB, dir, name, content string) {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// torture makes a directory of everything that a tree can hold.
func torture(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	writeFile(tb, dir, "plain", "content")
	writeFile(tb, dir, "empty", "")
	writeFile(tb, dir, "dir/nested/file", strings.Repeat("x", 100_000))
	writeFile(tb, dir, "block", strings.Repeat("b", 512))
	writeFile(tb, dir, "ünïcödé/文件", "names in UTF-8")
	writeFile(tb, dir, "bytes-\xff\xfe", "a name in no encoding")
	writeFile(tb, dir, "new\nline and space ", "odd")
	writeFile(tb, dir, "a=b", "record-like")
	writeFile(tb, dir, "-dash", "")
	writeFile(tb, dir, "..dots", "")
	long := strings.Repeat("long/", 60) + strings.Repeat("n", 200)
	writeFile(tb, dir, long, "long path")
	writeFile(tb, dir, strings.Repeat("p", 120)+"/"+strings.Repeat("q", 99), "prefix and name")
	writeFile(tb, dir, strings.Repeat("p", 99)+"/"+strings.Repeat("q", 100), "a path of 200")
	must(tb, os.Mkdir(filepath.Join(dir, "emptydir"), 0o700))
	must(tb, os.Symlink("plain", filepath.Join(dir, "link")))
	must(tb, os.Symlink("/nowhere/"+strings.Repeat("t", 150), filepath.Join(dir, "dangling")))
	must(tb, os.Symlink("bytes-\xff\xfe", filepath.Join(dir, "bytelink")))
	must(tb, os.Link(filepath.Join(dir, "plain"), filepath.Join(dir, "zhard")))
	must(tb, os.Link(filepath.Join(dir, "plain"), filepath.Join(dir, "dir", "hard")))
	must(tb, os.Chmod(filepath.Join(dir, "empty"), 0o400))
	must(tb, os.Chmod(filepath.Join(dir, "block"), 0o755))
	must(tb, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o640))
	sparse(tb, filepath.Join(dir, "sparse"), 1<<20, map[int64]string{200_000: "in the middle"})
	sparse(tb, filepath.Join(dir, "sparse-end"), 1<<20, map[int64]string{0: "at the start", 1<<20 - 7: "the end"})
	sparse(tb, filepath.Join(dir, "all-hole"), 3<<20+1, nil)
	// Times before 1970, far ahead, and to the nanosecond.
	for name, at := range map[string]time.Time{
		"plain": time.Unix(1_700_000_000, 123_456_789), "empty": time.Unix(-3, 0), "block": time.Unix(1<<33+5, 1),
		"dir/nested": time.Unix(1_600_000_000, 7), "emptydir": time.Unix(0, 0), ".": time.Unix(1_650_000_000, 100),
	} {
		must(tb, os.Chtimes(filepath.Join(dir, name), at, at))
	}
	must(tb, os.Chmod(filepath.Join(dir, "dir", "nested"), 0o555))
	tb.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "dir", "nested"), 0o755) })
	return dir
}

// sparse makes a file with holes.
func sparse(tb testing.TB, name string, size int64, data map[int64]string) {
	tb.Helper()
	f, err := os.Create(name)
	must(tb, err)
	defer f.Close()
	must(tb, f.Truncate(size))
	for at, content := range data {
		_, err := f.WriteAt([]byte(content), at)
		must(tb, err)
	}
}

// walk lists a directory without what differs between equal trees.
func walk(tb testing.TB, dir string) []archive.Entry {
	tb.Helper()
	entries, err := archive.Walk(tb.Context(), dir, archive.WalkOptions{})
	must(tb, err)
	return entries
}

// sameTree is for comparing the lists of two directories.
var sameTree = cmp.Options{cmpopts.IgnoreFields(archive.Entry{}, "Stat"), cmpopts.EquateEmpty()}

// tars returns the directory as layers of about size bytes.
func tars(tb testing.TB, dir string, size int64, opts archive.WriteOptions) []archive.Layer {
	tb.Helper()
	entries := walk(tb, dir)
	var layers []archive.Layer
	start := 0
	for _, end := range archive.Split(entries, size) {
		var buf bytes.Buffer
		must(tb, archive.Write(tb.Context(), &buf, dir, entries[start:end], opts))
		layers = append(layers, layerOf(buf.Bytes(), true))
		start = end
	}
	return layers
}

func layerOf(data []byte, disjoint bool) archive.Layer {
	return archive.Layer{Disjoint: disjoint, Open: func(ctx context.Context) (io.ReadCloser, error) { return blob.Bytes(data).Open(ctx) }}
}

func TestRoundTripKeepsEverything(t *testing.T) {
	dir := torture(t)
	for _, size := range []int64{1, 50_000, 1 << 30} {
		into := filepath.Join(t.TempDir(), "made", "by", "it")
		got, err := archive.Extract(t.Context(), into, tars(t, dir, size, archive.WriteOptions{}), archive.ExtractOptions{})
		if err != nil {
			t.Fatalf("packs of %d: Extract() = %v", size, err)
		}
		if diff := cmp.Diff(walk(t, dir), walk(t, into), sameTree); diff != "" {
			t.Errorf("packs of %d: tree differs (-saved +restored)\n%s", size, diff)
		}
		if diff := cmp.Diff(walk(t, into), got.Entries, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("packs of %d: Extracted.Entries differ from the tree (-tree +entries)\n%s", size, diff)
		}
		compareContent(t, dir, into)
		if left, _ := filepath.Glob(filepath.Join(into, ".larder*")); left != nil {
			t.Errorf("left behind: %q", left)
		}
	}
}

func compareContent(tb testing.TB, a, b string) {
	tb.Helper()
	for _, e := range walk(tb, a) {
		if !e.Mode.IsRegular() {
			continue
		}
		want, err := os.ReadFile(filepath.Join(a, e.Path))
		must(tb, err)
		if got, err := os.ReadFile(filepath.Join(b, e.Path)); err != nil || !bytes.Equal(got, want) {
			tb.Errorf("%q reads as %d bytes, %v, want %d", e.Path, len(got), err, len(want))
		}
	}
}

// TestHolesStayHoles restores a file of 4 GiB with a few bytes here and there, which
// takes hardly more than those.
func TestHolesStayHoles(t *testing.T) {
	const size, pieces = int64(4 << 30), 64
	data := make(map[int64]string)
	for i := range int64(pieces) {
		data[i*(size/pieces)+i*1000] = "data"
	}
	dir, into := t.TempDir(), t.TempDir()
	sparse(t, filepath.Join(dir, "image"), size, data)
	if _, err := archive.Extract(t.Context(), into, tars(t, dir, 0, archive.WriteOptions{}), archive.ExtractOptions{}); err != nil {
		t.Fatal(err)
	}
	was, is := walk(t, dir)[1], walk(t, into)[1]
	if is.Size != size || is.Stat.Blocks > 2*was.Stat.Blocks {
		t.Errorf("the restored file has %d bytes in %d blocks, want %d in about %d", is.Size, is.Stat.Blocks, size, was.Stat.Blocks)
	}
	f, err := os.Open(filepath.Join(into, "image"))
	must(t, err)
	defer f.Close()
	for at, want := range data {
		got := make([]byte, len(want))
		if _, err := f.ReadAt(got, at); err != nil || string(got) != want {
			t.Errorf("at %d there is %q, %v, want %q", at, got, err, want)
		}
	}
}

// TestSparseFilesKeepTheirContent has data and holes begin and end at, before and
// behind the borders of blocks and buffers.
func TestSparseFilesKeepTheirContent(t *testing.T) {
	dir, into := t.TempDir(), t.TempDir()
	for i, border := range []int64{4 << 10, 32 << 10, 64 << 10, 256 << 10} {
		for off := int64(-1); off <= 1; off++ {
			for _, length := range []int{1, 4095, 4096, 4097, 40_000} {
				name := fmt.Sprintf("%d%+d,%d", i, off, length)
				piece := strings.Repeat("x", length)
				size := border + off + int64(length)
				sparse(t, filepath.Join(dir, name), size+1<<20, map[int64]string{border + off: piece, size + 300_000: piece})
				sparse(t, filepath.Join(dir, "end"+name), size, map[int64]string{border + off: piece})
			}
		}
	}
	if _, err := archive.Extract(t.Context(), into, tars(t, dir, 0, archive.WriteOptions{}), archive.ExtractOptions{}); err != nil {
		t.Fatal(err)
	}
	compareContent(t, dir, into)
}

// TestOtherProgramsReadTheLayers lets independent programs extract the tars and
// compare the trees.
func TestOtherProgramsReadTheLayers(t *testing.T) {
	dir := torture(t)
	programs := map[string][]string{
		"tar":    {"tar", "--xattrs", "-xpf", "-", "-C"},
		"bsdtar": {"bsdtar", "-xpf", "-", "-C"},
	}
	for name, command := range programs {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(name); err != nil {
				if os.Getenv("LARDER_TEST_REQUIRE") != "" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			into := t.TempDir()
			var buf bytes.Buffer
			must(t, archive.Write(t.Context(), &buf, dir, walk(t, dir), archive.WriteOptions{}))
			cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], into)...)
			cmd.Stdin = &buf
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", command, err, out)
			}
			// The times of the directory itself are not for bsdtar to set.
			if diff := cmp.Diff(walk(t, dir)[1:], walk(t, into)[1:], sameTree); diff != "" {
				t.Errorf("tree differs (-saved +extracted)\n%s", diff)
			}
			compareContent(t, dir, into)
		})
	}
}

func TestOthersLayersAreRead(t *testing.T) {
	dir := torture(t)
	for _, format := range []string{"gnu", "pax"} {
		cmd := exec.CommandContext(t.Context(), "tar", "--format="+format, "--sparse", "-cf", "-", "-C", dir, ".")
		data, err := cmd.Output()
		must(t, err)
		into := t.TempDir()
		if _, err := archive.Extract(t.Context(), into, []archive.Layer{layerOf(data, false)}, archive.ExtractOptions{}); err != nil {
			t.Fatal(err)
		}
		opts := append(cmp.Options{}, sameTree...)
		if format == "gnu" {
			opts = append(opts, cmp.Comparer(func(a, b time.Time) bool { return a.Unix() == b.Unix() }))
		}
		if diff := cmp.Diff(walk(t, dir), walk(t, into), opts); diff != "" {
			t.Errorf("%s: tree differs (-saved +restored)\n%s", format, diff)
		}
		compareContent(t, dir, into)
	}
}

func TestTimesBefore1970KeepTheirFraction(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "old", "")
	at := time.Unix(-3, 500_000_000)
	must(t, os.Chtimes(filepath.Join(dir, "old"), at, at))
	into := t.TempDir()
	_, err := archive.Extract(t.Context(), into, tars(t, dir, 0, archive.WriteOptions{}), archive.ExtractOptions{})
	must(t, err)
	if got := walk(t, into)[1].ModTime; !got.Equal(at) {
		t.Errorf("restored time is %v, want %v", got, at)
	}
}

func TestDeterministicLayersOfEqualTrees(t *testing.T) {
	var outputs [2]bytes.Buffer
	for i := range outputs {
		dir := t.TempDir()
		writeFile(t, dir, "a/b", "content")
		must(t, os.Chtimes(filepath.Join(dir, "a", "b"), time.Now(), time.Unix(int64(i), 5)))
		must(t, archive.Write(t.Context(), &outputs[i], dir, walk(t, dir), archive.WriteOptions{Deterministic: true}))
	}
	if !bytes.Equal(outputs[0].Bytes(), outputs[1].Bytes()) {
		t.Error("equal trees give different layers")
	}
}

func TestWriteNoticesChanges(t *testing.T) {
	changes := map[string]func(path string) error{
		"gone":       os.Remove,
		"grown":      func(p string) error { return os.WriteFile(p, []byte("longer than before"), 0o644) },
		"same size":  func(p string) error { return os.WriteFile(p, []byte("CONTENT"), 0o644) },
		"other mode": func(p string) error { return os.Chmod(p, 0o600) },
		"a symlink": func(p string) error {
			return errors.Join(os.Rename(p, p+".old"), os.Symlink(p+".old", p))
		},
		"a pipe": func(p string) error { return errors.Join(os.Remove(p), unix.Mkfifo(p, 0o644)) },
	}
	for name, change := range changes {
		dir := t.TempDir()
		writeFile(t, dir, "file", "content")
		entries := walk(t, dir)
		must(t, change(filepath.Join(dir, "file")))
		err := archive.Write(t.Context(), io.Discard, dir, entries, archive.WriteOptions{})
		if !errors.Is(err, archive.ErrChanged) || !strings.Contains(err.Error(), "file") {
			t.Errorf("%s: Write() = %v, want %v and the name", name, err, archive.ErrChanged)
		}
	}
}

func TestWalkSkipsAndReports(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"keep/a", "drop/b", "keep/c.tmp"} {
		writeFile(t, dir, name, "x")
	}
	entries, err := archive.Walk(t.Context(), dir, archive.WalkOptions{Skip: func(path string, isDir bool) bool {
		return path == "drop" && isDir || strings.HasSuffix(path, ".tmp")
	}})
	var got []string
	for _, e := range entries {
		got = append(got, e.Path)
	}
	if diff := cmp.Diff([]string{".", "keep", "keep/a"}, got); diff != "" || err != nil {
		t.Errorf("Walk() = %v (-want +got)\n%s", err, diff)
	}
	if _, err := archive.Walk(t.Context(), filepath.Join(dir, "none"), archive.WalkOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Walk(none) = %v, want %v", err, fs.ErrNotExist)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Walk(ended, dir, archive.WalkOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Walk() with an ended context = %v", err)
	}
}

func TestSplitMovesOnlyCutsNextToAChange(t *testing.T) {
	var entries []archive.Entry
	for i := range 20_000 {
		entries = append(entries, archive.Entry{Path: fmt.Sprintf("dir%03d/file%05d", i/100, i), Size: int64(i * 7919 % 30_000)})
	}
	packs := func(entries []archive.Entry) map[string]bool {
		set := make(map[string]bool)
		start := 0
		for _, end := range archive.Split(entries, 1<<20) {
			set[fmt.Sprint(entries[start].Path, " ", end-start)] = true
			start = end
		}
		if start != len(entries) {
			t.Fatalf("packs end at %d of %d", start, len(entries))
		}
		return set
	}
	before := packs(entries)
	if n := len(before); n < 200 || n > 600 {
		t.Errorf("%d packs of about 1 MiB for 300 MB", n)
	}
	for _, at := range []int{0, 1234, 10_000, 19_999} {
		changed := append(append(append([]archive.Entry{}, entries[:at]...), archive.Entry{Path: entries[at].Path + "+", Size: 5000}), entries[at+1:]...)
		var moved int
		for pack := range packs(changed) {
			if !before[pack] {
				moved++
			}
		}
		if moved > 8 {
			t.Errorf("a change at %d changes %d packs", at, moved)
		}
	}
}

func TestSplitGivesLargeFilesTheirOwnPack(t *testing.T) {
	entries := []archive.Entry{{Path: "a", Size: 10}, {Path: "b", Size: 5 << 20}, {Path: "c", Size: 10}}
	if diff := cmp.Diff([]int{1, 2, 3}, archive.Split(entries, 1<<20)); diff != "" {
		t.Errorf("Split() (-want +got)\n%s", diff)
	}
	if got := archive.Split(nil, 0); len(got) != 0 {
		t.Errorf("Split(nil) = %v", got)
	}
}
