package larder_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/blob/compress"
)

// project makes a directory of 400 files in 20 directories.
func project(tb testing.TB) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "node_modules")
	for i := range 400 {
		putFile(tb, dir, fmt.Sprintf("pkg%02d/file%03d", i/20, i), strings.Repeat(fmt.Sprintf("line %d\n", i), 100+i))
	}
	return dir
}

func putFile(tb testing.TB, dir, name, content string) {
	tb.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		tb.Fatal(err)
	}
}

// trees compares two directories, with the content of their files.
func trees(tb testing.TB, want, got string) {
	tb.Helper()
	list := func(dir string) []archive.Entry {
		entries, err := archive.Walk(tb.Context(), dir, archive.WalkOptions{})
		if err != nil {
			tb.Fatal(err)
		}
		return entries
	}
	a := list(want)
	if diff := cmp.Diff(a, list(got), cmpopts.IgnoreFields(archive.Entry{}, "Stat")); diff != "" {
		tb.Errorf("trees differ (-want +got)\n%s", diff)
		return
	}
	for _, e := range a {
		if !e.Mode.IsRegular() {
			continue
		}
		x, errX := os.ReadFile(filepath.Join(want, e.Path))
		y, errY := os.ReadFile(filepath.Join(got, e.Path))
		if errX != nil || errY != nil || string(x) != string(y) {
			tb.Errorf("%s differs: %v, %v", e.Path, errX, errY)
		}
	}
}

// bed is a place to save to, with a count of what is asked of it.
type bed struct {
	target    larder.Target
	count     *wrap.Counter
	snapshots string
	// opened is how often a blob has been opened, at the last look.
	opened int
}

func newBed(tb testing.TB) *bed {
	tb.Helper()
	b := &bed{count: &wrap.Counter{}, snapshots: tb.TempDir()}
	store := wrap.Observe(mem.New(), b.count.Observer())
	tb.Cleanup(func() { _ = store.Close() })
	b.target = larder.Target{Backend: store, Ref: "main"}
	return b
}

func (b *bed) save(tb testing.TB, key, dir string) *larder.SaveReport {
	tb.Helper()
	report, err := larder.Save(tb.Context(), key, []larder.Directory{{Path: dir, Name: "node_modules"}}, []larder.Target{b.target}, larder.SaveOptions{PackSize: 32 << 10, Snapshots: b.snapshots})
	if err != nil {
		tb.Fatalf("Save(%s) = %v", key, err)
	}
	return report
}

func (b *bed) restore(tb testing.TB, key, into string, prefixes ...string) *larder.Restored {
	tb.Helper()
	restored, err := larder.Restore(tb.Context(), key, []larder.Target{b.target}, larder.RestoreOptions{Into: into, Prefixes: prefixes, Exact: true, Snapshots: b.snapshots})
	if err != nil {
		tb.Fatalf("Restore(%s) = %v", key, err)
	}
	return restored
}

func TestSaveAndRestore(t *testing.T) {
	b, dir, into := newBed(t), project(t), t.TempDir()
	report := b.save(t, "deps-1", dir)
	if got := report.Directories[0]; got.Files != 421 || got.Layers < 5 || got.Written.Blobs != got.Layers {
		t.Errorf("saved %+v", got)
	}
	restored := b.restore(t, "deps-1", into)
	trees(t, dir, filepath.Join(into, "node_modules"))
	if d := restored.Directories[0]; !restored.Hit || !restored.Exact || d.Files != 421 || d.Fetched.Blobs != report.Directories[0].Layers {
		t.Errorf("restored %+v: %+v", restored.Found, d)
	}
}

func TestSaveOfAnUnchangedTreeSendsNothing(t *testing.T) {
	b, dir := newBed(t), project(t)
	b.save(t, "deps-1", dir)
	before := b.count.Stats().Calls
	report := b.save(t, "deps-1", dir)
	if got := report.Directories[0].Written.Blobs; got != 0 || report.Targets[0].Outcome != larder.Unchanged {
		t.Errorf("%d layers were written, the outcome is %s", got, report.Targets[0].Outcome)
	}
	after := b.count.Stats().Calls
	if after["put"] != before["put"] || after["put ref"] != before["put ref"] || before["put"] == 0 || before["put ref"] == 0 {
		t.Errorf("calls went from %v to %v", before, after)
	}
}

func TestSaveOfAChangeSendsLittle(t *testing.T) {
	for name, positions := range map[string][]int{"clustered": {100, 101, 102, 103}, "scattered": {3, 107, 211, 396}} {
		b, dir, into := newBed(t), project(t), t.TempDir()
		full := b.save(t, "deps-1", dir).Directories[0]
		b.restore(t, "deps-1", into)
		for _, i := range positions {
			putFile(t, dir, fmt.Sprintf("pkg%02d/file%03d", i/20, i), "changed")
		}
		if err := os.Remove(filepath.Join(dir, "pkg07", "file150")); err != nil {
			t.Fatal(err)
		}
		got := b.save(t, "deps-2", dir).Directories[0]
		if got.Written.Bytes*4 > full.Written.Bytes {
			t.Errorf("%s: %d bytes were written of %d", name, got.Written.Bytes, full.Written.Bytes)
		}
		restored := b.restore(t, "deps-2", into)
		trees(t, dir, filepath.Join(into, "node_modules"))
		if d := restored.Directories[0]; d.Fetched.Bytes != got.Written.Bytes && d.Present.Blobs == 0 {
			t.Errorf("%s: fetched %+v, present %+v, want what was written: %+v", name, d.Fetched, d.Present, got.Written)
		}
		fresh := newBed(t)
		fresh.target = b.target
		empty := t.TempDir()
		fresh.restore(t, "deps-2", empty)
		trees(t, dir, filepath.Join(empty, "node_modules"))
		b.restore(t, "deps-1", into)
		fresh.snapshots = t.TempDir()
		again := t.TempDir()
		fresh.restore(t, "deps-1", again)
		trees(t, filepath.Join(again, "node_modules"), filepath.Join(into, "node_modules"))
	}
}

func TestRestoreRepairsATree(t *testing.T) {
	b, dir, into := newBed(t), project(t), t.TempDir()
	b.save(t, "deps", dir)
	b.restore(t, "deps", into)
	tree := filepath.Join(into, "node_modules")
	putFile(t, tree, "pkg03/file060", "edited")
	putFile(t, tree, "pkg03/extra", "not saved")
	if err := os.RemoveAll(filepath.Join(tree, "pkg10")); err != nil {
		t.Fatal(err)
	}
	d := b.restore(t, "deps", into).Directories[0]
	trees(t, dir, tree)
	if d.Present.Blobs == 0 || d.Fetched.Blobs == 0 || !cmp.Equal(d.Removed, []string{"pkg03/extra"}) {
		t.Errorf("restored %+v", d)
	}
	if d := b.restore(t, "deps", into).Directories[0]; d.Fetched.Blobs != 0 || d.Files != 0 {
		t.Errorf("a second restore fetched %+v and wrote %d files", d.Fetched, d.Files)
	}
}

func TestDamagedMemoryIsNone(t *testing.T) {
	b, dir, into := newBed(t), project(t), t.TempDir()
	b.save(t, "deps", dir)
	b.restore(t, "deps", into)
	files, err := os.ReadDir(b.snapshots)
	if err != nil || len(files) != 2 {
		t.Fatalf("snapshots are %v, %v", files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s, %v", f.Name(), info.Mode(), err)
		}
		if err := os.WriteFile(filepath.Join(b.snapshots, f.Name()), []byte("damage"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	putFile(t, filepath.Join(into, "node_modules"), "pkg03/file060", "edited")
	b.restore(t, "deps", into)
	trees(t, dir, filepath.Join(into, "node_modules"))
	if got := b.save(t, "deps", dir).Targets[0]; got.Outcome != larder.Unchanged {
		t.Errorf("an unchanged tree was published again: %+v", got)
	}
}

// TestRestoreReadsWhatItDoesNotRemember restores over trees of which nothing is
// remembered, or not to be relied on.
func TestRestoreReadsWhatItDoesNotRemember(t *testing.T) {
	for _, remembered := range []bool{false, true} {
		b, dir, into := newBed(t), project(t), t.TempDir()
		b.save(t, "deps-1", dir)
		putFile(t, dir, "pkg04/file080", "changed")
		putFile(t, dir, "pkg14/file280", "changed")
		if err := os.Remove(filepath.Join(dir, "pkg07", "file150")); err != nil {
			t.Fatal(err)
		}
		b.save(t, "deps-2", dir)
		b.restore(t, "deps-2", into)
		tree := filepath.Join(into, "node_modules")
		// The same size and time, and other content.
		path := filepath.Join(tree, "pkg11", "file220")
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		putFile(t, tree, "pkg11/file220", strings.Repeat("x", int(info.Size())))
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		opts := larder.RestoreOptions{Into: into, Exact: true, Check: remembered}
		if remembered {
			opts.Snapshots = b.snapshots
		}
		restored, err := larder.Restore(t.Context(), "deps-2", []larder.Target{b.target}, opts)
		if err != nil {
			t.Fatal(err)
		}
		trees(t, dir, tree)
		if d := restored.Directories[0]; d.Present.Blobs < 3 || d.Fetched.Blobs == 0 {
			t.Errorf("remembered %t: fetched %+v, kept %+v", remembered, d.Fetched, d.Present)
		}
	}
}

func TestRestoreFallsBackToPrefixes(t *testing.T) {
	older, newer := newBed(t), newBed(t)
	dir := project(t)
	for i, key := range []string{"deps-linux-1", "deps-linux-2", "deps-mac-1"} {
		putFile(t, dir, "which", fmt.Sprint(i))
		older.save(t, key, dir)
	}
	putFile(t, dir, "which", "newer")
	newer.save(t, "deps-linux-0", dir)
	from := []larder.Target{newer.target, older.target}
	tests := []struct {
		key      string
		prefixes []string
		want     string // "" is a miss
		exact    bool
	}{
		{"deps-linux-1", nil, "deps-linux-1", true},
		{"deps-linux-1", []string{"deps-linux-"}, "deps-linux-1", true},
		{"deps-linux-9", []string{"deps-linux-"}, "deps-linux-0", false},
		{"deps-linux-9", []string{"deps-linux-2", "deps-"}, "deps-linux-2", false},
		{"deps-linux-9", []string{"none-", "deps-mac"}, "deps-mac-1", false},
		{"deps-linux-9", nil, "", false},
		{"deps-linux-9", []string{"none"}, "", false},
	}
	for _, tt := range tests {
		found, err := larder.Lookup(t.Context(), tt.key, from, larder.RestoreOptions{Prefixes: tt.prefixes})
		if err != nil || found.Key != tt.want || found.Hit != (tt.want != "") || found.Exact != tt.exact {
			t.Errorf("Lookup(%s, %q) = %+v, %v, want %q", tt.key, tt.prefixes, found, err, tt.want)
		}
	}
	if found, err := larder.Lookup(t.Context(), "x", from[1:], larder.RestoreOptions{Prefixes: []string{"deps-linux-"}}); err != nil || found.Key != "deps-linux-2" {
		t.Errorf("Lookup() = %+v, %v, want the newest", found, err)
	}
}

func TestRestoreTakesTheNextBestWhenALayerIsLost(t *testing.T) {
	b, dir, into := newBed(t), project(t), t.TempDir()
	b.save(t, "deps-1", dir)
	putFile(t, dir, "pkg00/file000", "changed")
	b.save(t, "deps-2", dir)
	m, _, err := larder.Import(t.Context(), []larder.Target{{Backend: b.target.Backend, Ref: "main.dirs"}}, larder.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lost := layersOnlyIn(m, "deps-2", "deps-1")
	if err := b.target.Backend.Delete(t.Context(), lost...); err != nil || len(lost) == 0 {
		t.Fatalf("Delete(%v) = %v", lost, err)
	}
	restored := b.restore(t, "deps-2", into, "deps-")
	if !restored.Hit || restored.Key != "deps-1" || restored.Exact || len(restored.Degradations) == 0 {
		t.Errorf("restored %+v", restored.Found)
	}
}

// layersOnlyIn returns the layers of one key that another does not have.
func layersOnlyIn(c *larder.Imported, key, other string) []blob.Digest {
	layers := func(key string) map[blob.Digest]bool {
		set := make(map[blob.Digest]bool)
		for i, r := range c.Manifest.Records {
			for _, in := range r.Inputs {
				if c.Manifest.Records[in[0].Record].Name() == key {
					for _, b := range c.Manifest.BlobsOf(i) {
						set[b.Digest] = true
					}
				}
			}
		}
		return set
	}
	var only []blob.Digest
	others := layers(other)
	for d := range layers(key) {
		if !others[d] {
			only = append(only, d)
		}
	}
	return only
}

func TestOtherVerbsCarryDirectories(t *testing.T) {
	b, dir, into := newBed(t), project(t), t.TempDir()
	b.save(t, "deps", dir)
	elsewhere := mem.New()
	defer elsewhere.Close()
	from := larder.Target{Backend: b.target.Backend, Ref: "main.dirs"}
	if _, err := larder.Copy(t.Context(), from, []larder.Target{{Backend: elsewhere, Ref: "copy.dirs"}}, larder.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	restored, err := larder.Restore(t.Context(), "deps", []larder.Target{{Backend: elsewhere, Ref: "copy"}}, larder.RestoreOptions{Into: into})
	if err != nil || !restored.Hit {
		t.Fatalf("Restore() = %+v, %v", restored, err)
	}
	trees(t, dir, filepath.Join(into, "node_modules"))
}

func TestSeveralDirectoriesAndTargets(t *testing.T) {
	a, b, dir := newBed(t), newBed(t), project(t)
	other := filepath.Join(t.TempDir(), "other")
	putFile(t, other, "file", "content")
	dirs := []larder.Directory{{Path: dir, Name: "deep/node_modules"}, {Path: other, Name: "cache"}}
	if _, err := larder.Save(t.Context(), "k", dirs, []larder.Target{a.target, b.target}, larder.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, bed := range []*bed{a, b} {
		into := t.TempDir()
		bed.restore(t, "k", into)
		trees(t, dir, filepath.Join(into, "deep", "node_modules"))
		trees(t, other, filepath.Join(into, "cache"))
	}
}

func TestSaveRefusesBadInput(t *testing.T) {
	b, dir := newBed(t), project(t)
	good, to := []larder.Directory{{Path: dir}}, []larder.Target{b.target}
	tests := []struct {
		name string
		key  string
		dirs []larder.Directory
		to   []larder.Target
		opts larder.SaveOptions
		want error
	}{
		{"empty key", "", good, to, larder.SaveOptions{}, backend.ErrInvalid},
		{"key not UTF-8", "\xff", good, to, larder.SaveOptions{}, backend.ErrInvalid},
		{"no directory", "k", nil, to, larder.SaveOptions{}, backend.ErrInvalid},
		{"no path", "k", []larder.Directory{{}}, to, larder.SaveOptions{}, backend.ErrInvalid},
		{"no target", "k", good, nil, larder.SaveOptions{}, backend.ErrInvalid},
		{"unknown compression", "k", good, to, larder.SaveOptions{Compression: "lzma"}, blob.ErrInvalid},
		{"one directory twice", "k", []larder.Directory{{Path: dir}, {Path: dir + "/."}}, to, larder.SaveOptions{}, backend.ErrInvalid},
		{"negative age", "k", good, to, larder.SaveOptions{MaxAge: -1}, backend.ErrInvalid},
		{"negative number of keys", "k", good, to, larder.SaveOptions{MaxKeys: -1}, backend.ErrInvalid},
		{"no such directory", "k", []larder.Directory{{Path: filepath.Join(dir, "none")}}, to, larder.SaveOptions{}, fs.ErrNotExist},
	}
	for _, tt := range tests {
		if _, err := larder.Save(t.Context(), tt.key, tt.dirs, tt.to, tt.opts); !errors.Is(err, tt.want) {
			t.Errorf("%s: Save() = %v, want %v", tt.name, err, tt.want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := larder.Save(ended, "k", good, to, larder.SaveOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Save() with an ended context = %v", err)
	}
	if found, err := larder.Lookup(t.Context(), "k", to, larder.RestoreOptions{}); err != nil || found.Hit {
		t.Errorf("Lookup() after failures = %+v, %v", found, err)
	}
}

// TestRestoreFollowsDeltas goes from one state to the next, and back: forward
// only the new layer is fetched, whatever the layers before have replaced, and
// backward all that has been replaced comes back.
func TestRestoreFollowsDeltas(t *testing.T) {
	b, dir, into := newBed(t), project(t), t.TempDir()
	var states []string
	for i := range 4 {
		putFile(t, dir, "pkg03/file061", fmt.Sprintf("state %d\n", i))
		putFile(t, dir, fmt.Sprintf("pkg%02d/file%03d", i, 20*i), "replaced\n")
		copied := filepath.Join(t.TempDir(), "node_modules")
		if err := exec.CommandContext(t.Context(), "cp", "-a", dir, copied).Run(); err != nil {
			t.Fatal(err)
		}
		report := b.save(t, fmt.Sprint("deps-", i), dir)
		if i > 0 && !report.Directories[0].Delta {
			t.Fatalf("state %d is no delta: %+v", i, report.Directories[0])
		}
		states = append(states, copied)
	}
	at := -1
	for _, i := range []int{0, 1, 2, 3, 1, 3, 0} {
		restored := b.restore(t, fmt.Sprint("deps-", i), into)
		trees(t, states[i], filepath.Join(into, "node_modules"))
		if got := restored.Directories[0].Fetched.Blobs; t.Failed() || 0 <= at && at < i && got != i-at {
			t.Fatalf("from state %d to %d: fetched %d layers, want %d if that is forward", at, i, got, i-at)
		}
		at = i
	}
}

// TestRestoreOfEveryCompression also restores again, for which nothing is fetched,
// whether or not the state is remembered.
func TestRestoreOfEveryCompression(t *testing.T) {
	for _, compression := range []compress.Compression{compress.Uncompressed, compress.Gzip, compress.Zstd, compress.EStargz} {
		b, dir, into := newBed(t), project(t), t.TempDir()
		opts := larder.SaveOptions{Compression: compression, PackSize: 100_000, Snapshots: b.snapshots}
		if _, err := larder.Save(t.Context(), "k", []larder.Directory{{Path: dir, Name: "node_modules"}}, []larder.Target{b.target}, opts); err != nil {
			t.Fatal(err)
		}
		b.restore(t, "k", into)
		trees(t, dir, filepath.Join(into, "node_modules"))
		if d := b.restore(t, "k", into).Directories[0]; d.Fetched.Blobs > 0 {
			t.Errorf("%s: fetched %+v again", compression, d.Fetched)
		}
	}
}
