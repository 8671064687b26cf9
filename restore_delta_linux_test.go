package larder_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
)

// opens returns the layers that were opened at a target, since the last call.
func (b *bed) opens() int {
	opened := int(b.count.Stats().Calls["open"])
	defer func() { b.opened = opened }()
	return opened - b.opened
}

// TestRestoreOfDeltasFetchesWhatLives removes a large file, whose pack has nothing
// then that lives. Restoring counts what is asked for.
func TestRestoreOfDeltasFetchesWhatLives(t *testing.T) {
	b, dir, into := newBed(t), project(t), t.TempDir()
	save := func(key string) *larder.SavedDirectory {
		t.Helper()
		report, err := larder.Save(t.Context(), key, []larder.Directory{{Path: dir, Name: "node_modules"}}, []larder.Target{b.target}, larder.SaveOptions{PackSize: 200_000, Snapshots: b.snapshots})
		if err != nil {
			t.Fatal(err)
		}
		return report.Directories[0]
	}
	large := strings.Repeat("a large file that has a pack of its own\n", 20_000)
	putFile(t, dir, "pkg05/large", large)
	first := save("deps-1")
	dead := largestLayer(t, b.target)
	putFile(t, dir, "pkg03/file060", "changed")
	if err := os.Remove(filepath.Join(dir, "pkg05", "large")); err != nil {
		t.Fatal(err)
	}
	second := save("deps-2")
	if !second.Delta || second.Layers != first.Layers {
		t.Fatalf("saved %+v after %+v, want one delta in place of one pack", second, first)
	}
	drop(t, b.target.Backend, dead)
	b.opens()

	if d := b.restore(t, "deps-2", into).Directories[0]; b.opens() != second.Layers || d.Fetched.Blobs != second.Layers {
		t.Errorf("an empty directory fetched %+v of %d layers", d.Fetched, second.Layers)
	}
	trees(t, dir, filepath.Join(into, "node_modules"))
	if d := b.restore(t, "deps-2", into).Directories[0]; b.opens() != 0 || d.Present.Blobs != second.Layers {
		t.Errorf("the same tree fetched %+v", d.Fetched)
	}
}

// largestLayer returns the layer with the largest tar.
func largestLayer(tb testing.TB, t larder.Target) (largest blob.Digest) {
	tb.Helper()
	var most int64
	for _, l := range inspect(tb, larder.Target{Backend: t.Backend, Ref: t.Ref + ".dirs"}).Layers {
		r, err := t.Backend.Open(tb.Context(), blob.Descriptor{Digest: l.Digest, Size: l.Size}, 0, -1)
		if err != nil {
			tb.Fatal(err)
		}
		_, size, err := compress.DiffID(r, compress.Options{})
		if err := errors.Join(err, r.Close()); err != nil {
			tb.Fatal(err)
		}
		if size > most {
			largest, most = l.Digest, size
		}
	}
	return largest
}

// TestRestoreBetweenDeltas goes back and forth between states that share most of
// their layers, and counts the layers that are fetched.
func TestRestoreBetweenDeltas(t *testing.T) {
	b, dir, into := newBed(t), project(t), t.TempDir()
	copies := make([]string, 4)
	for i := range copies {
		if i > 0 {
			putFile(t, dir, fmt.Sprintf("pkg%02d/file%03d", 3*i, 60*i), "changed")
			if err := os.RemoveAll(filepath.Join(dir, fmt.Sprintf("pkg%02d", 15+i), fmt.Sprintf("file%03d", (15+i)*20))); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.save(t, fmt.Sprint("deps-", i), dir).Directories[0]; got.Delta != (i > 0) {
			t.Fatalf("state %d was saved as %+v", i, got)
		}
		copies[i] = filepath.Join(t.TempDir(), "node_modules")
		if err := os.CopyFS(copies[i], os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}
	restore := func(i int) larder.Count {
		t.Helper()
		d := b.restore(t, fmt.Sprint("deps-", i), into).Directories[0]
		if got := b.opens(); got != d.Fetched.Blobs {
			t.Errorf("state %d: %d layers were opened, %d fetched", i, got, d.Fetched.Blobs)
		}
		if diff := cmp.Diff(contents(t, copies[i]), contents(t, filepath.Join(into, "node_modules"))); diff != "" {
			t.Errorf("state %d (-saved +restored)\n%s", i, diff)
		}
		return d.Fetched
	}
	restore(0)
	for i := 1; i < len(copies); i++ { // each brings one delta, and nothing else
		if got := restore(i); got.Blobs != 1 {
			t.Errorf("state %d after the one before it fetched %+v", i, got)
		}
		if got := restore(i); got.Blobs != 0 {
			t.Errorf("state %d again fetched %+v", i, got)
		}
	}
	// An older state needs what deltas had replaced.
	all := b.save(t, "deps-0", copies[0]).Directories[0].Layers
	for _, i := range []int{1, 0, 2} {
		if got := restore(i); got.Blobs == 0 || got.Blobs > all+i {
			t.Errorf("state %d after a later one fetched %+v", i, got)
		}
	}
}

// TestRestoreOfADeltaInPlaceOfAnother changes the same file again and again, so
// that each delta takes the place of the one before it, and then another file of
// another copy of the tree, whose delta does not.
func TestRestoreOfADeltaInPlaceOfAnother(t *testing.T) {
	b, dir, into := newBed(t), project(t), t.TempDir()
	b.save(t, "deps-0", dir)
	elsewhere := t.TempDir()
	b.restore(t, "deps-0", elsewhere)
	other := filepath.Join(elsewhere, "node_modules")
	for i := range 3 {
		putFile(t, dir, "pkg03/file060", fmt.Sprint("changed ", i))
		if i == 1 { // a directory in place of a file
			if err := os.Remove(filepath.Join(dir, "pkg05", "file100")); err != nil {
				t.Fatal(err)
			}
			putFile(t, dir, "pkg05/file100/file", "below")
		}
		saved := b.save(t, "deps-1", dir).Directories[0]
		b.opens()
		d := b.restore(t, "deps-1", into).Directories[0]
		trees(t, dir, filepath.Join(into, "node_modules"))
		if i > 0 && (d.Fetched.Blobs != 1 || b.opens() > 2) {
			t.Errorf("change %d: fetched %+v of %d layers, want one", i, d.Fetched, saved.Layers)
		}
	}
	putFile(t, other, "pkg07/file140", "changed")
	if saved := b.save(t, "other", other).Directories[0]; !saved.Delta {
		t.Fatalf("the other copy was saved as %+v, want a delta", saved)
	}
	b.restore(t, "other", into)
	trees(t, other, filepath.Join(into, "node_modules"))
}

// contents returns the files of a tree with their content.
func contents(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	found := make(map[string]string)
	for _, name := range filesIn(tb, dir) {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			found[name] = string(data)
		}
	}
	return found
}

// TestHardLinksFollowTheirFile changes a file that has another name in another
// pack, which stays as it is if the times do: a tar says of it only whose name it
// is.
func TestHardLinksFollowTheirFile(t *testing.T) {
	for _, remembered := range []bool{false, true} {
		b, dir, into := newBed(t), project(t), t.TempDir()
		first, second := filepath.Join(dir, "pkg00", "file000"), filepath.Join(dir, "pkg19", "z-link")
		if err := os.Link(first, second); err != nil {
			t.Fatal(err)
		}
		b.save(t, "deps-1", dir)
		for i := range 10 { // so many that packs are written anew
			name := filepath.Join(dir, "pkg00", fmt.Sprintf("file%03d", i))
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.WriteFile(name, []byte("changed in place"), 0), os.Chtimes(name, time.Time{}, info.ModTime())); err != nil {
				t.Fatal(err)
			}
		}
		b.save(t, "deps-2", dir)
		for _, key := range []string{"deps-1", "deps-2"} {
			opts := larder.RestoreOptions{Into: into, Exact: true}
			if remembered {
				opts.Snapshots = b.snapshots
			}
			if _, err := larder.Restore(t.Context(), key, []larder.Target{b.target}, opts); err != nil {
				t.Fatal(err)
			}
		}
		trees(t, dir, filepath.Join(into, "node_modules"))
		a, errA := os.Stat(filepath.Join(into, "node_modules", "pkg00", "file000"))
		z, errZ := os.Stat(filepath.Join(into, "node_modules", "pkg19", "z-link"))
		if errA != nil || errZ != nil || !os.SameFile(a, z) {
			t.Errorf("remembered %t: the names are not of one file: %v, %v", remembered, errA, errZ)
		}
	}
}
