package archive_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/blob/archive"
)

const packSize = 1 << 20

// manyFiles returns the entries of a tree of 10,000 files in 100 directories.
func manyFiles() []archive.Entry {
	var entries []archive.Entry
	for i := range 10_000 {
		if i%100 == 0 {
			entries = append(entries, archive.Entry{Path: fmt.Sprintf("dir%03d", i/100), Mode: 0o20000000755})
		}
		entries = append(entries, archive.Entry{Path: fmt.Sprintf("dir%03d/file%05d", i/100, i), Mode: 0o644, Size: int64(i * 7919 % 10_000)})
	}
	return entries
}

// saved returns the snapshot after a plan was carried out. A layer takes half
// of what its files take.
func saved(before *archive.Snapshot, now []archive.Entry, packs []archive.Pack) *archive.Snapshot {
	s := &archive.Snapshot{Entries: now, Of: make([]int, len(now))}
	at := make(map[string]int)
	for i := range now {
		at[now[i].Path] = i
	}
	for i, pack := range packs {
		layer := archive.StackLayer{Entries: len(pack.Entries), Delta: pack.Delta}
		entries := pack.Entries
		if pack.Reuse >= 0 {
			layer = before.Layers[pack.Reuse]
			if entries == nil {
				for j, of := range before.Of {
					if of == pack.Reuse {
						entries = append(entries, before.Entries[j])
					}
				}
			}
		}
		for j := range entries {
			if k, ok := at[entries[j].Path]; ok && !entries[j].Removed {
				s.Of[k] = i
			}
			if pack.Reuse < 0 {
				layer.Size += entries[j].Size / 2
			}
		}
		s.Layers = append(s.Layers, layer)
	}
	return s
}

// written are the packs of a plan that are not taken over.
func writtenPacks(packs []archive.Pack) (written []archive.Pack) {
	for _, p := range packs {
		if p.Reuse < 0 {
			written = append(written, p)
		}
	}
	return written
}

func touch(entries []archive.Entry, positions ...int) []archive.Entry {
	out := slices.Clone(entries)
	for _, i := range positions {
		out[i].ModTime = out[i].ModTime.Add(time.Hour)
	}
	return out
}

func TestPlanOfANewTreeCutsIt(t *testing.T) {
	tree := manyFiles()
	packs := archive.Plan(nil, tree, packSize)
	var all []archive.Entry
	for _, p := range packs {
		if p.Reuse >= 0 || p.Delta {
			t.Errorf("pack %+v is taken over from nothing", p)
		}
		all = append(all, p.Entries...)
	}
	if diff := cmp.Diff(tree, all); diff != "" {
		t.Errorf("packs do not have the tree (-want +got)\n%s", diff)
	}
}

func TestPlanOfAnUnchangedTreeWritesNothing(t *testing.T) {
	tree := manyFiles()
	before := saved(nil, tree, archive.Plan(nil, tree, packSize))
	packs := archive.Plan(before, tree, packSize)
	if got := writtenPacks(packs); got != nil || len(packs) != len(before.Layers) {
		t.Errorf("Plan() writes %d of %d packs", len(got), len(packs))
	}
}

func TestPlanOfScatteredChangesIsADelta(t *testing.T) {
	tree := manyFiles()
	before := saved(nil, tree, archive.Plan(nil, tree, packSize))
	var changed []int
	for i := 50; i < len(tree); i += 101 { // one file of each directory
		changed = append(changed, i)
	}
	now := slices.Delete(touch(tree, changed...), 7, 8)
	got := writtenPacks(archive.Plan(before, now, packSize))
	if len(got) != 1 || !got[0].Delta || len(got[0].Entries) != len(changed)+1 || !got[0].Entries[0].Removed || got[0].Entries[0].Path != tree[7].Path {
		t.Fatalf("Plan() writes %d packs, want a delta of %d changes and a removal", len(got), len(changed))
	}
}

func TestPlanOfARemovedDirectoryRemovesItOnce(t *testing.T) {
	tree := manyFiles()
	before := saved(nil, tree, archive.Plan(nil, tree, 100*packSize))
	got := writtenPacks(archive.Plan(before, slices.Delete(slices.Clone(tree), 101, 202), 100*packSize))
	if len(got) != 1 || len(got[0].Entries) != 1 || got[0].Entries[0].Path != "dir001" || !got[0].Entries[0].Removed {
		t.Errorf("Plan() = %+v, want one removal", got)
	}
}

func TestPlanOfClusteredChangesWritesTheirPacks(t *testing.T) {
	tree := manyFiles()
	before := saved(nil, tree, archive.Plan(nil, tree, packSize))
	var changed []int
	for i := 5000; i < 5100; i++ {
		changed = append(changed, i)
	}
	packs := archive.Plan(before, touch(tree, changed...), packSize)
	got := writtenPacks(packs)
	for _, p := range got {
		if p.Delta {
			t.Errorf("a delta of %d files", len(p.Entries))
		}
	}
	if len(got) == 0 || len(got) > 3 || len(packs) != len(before.Layers) {
		t.Errorf("Plan() writes %d of %d packs", len(got), len(packs))
	}
}

func TestPlanRepacksWhenDeltasGrow(t *testing.T) {
	tree := manyFiles()
	snapshot := saved(nil, tree, archive.Plan(nil, tree, packSize))
	deltas, repacked := 0, false
	for round := range 100 {
		var changed []int
		for i := round % 100; i < len(tree); i += 101 {
			changed = append(changed, i)
		}
		tree = touch(tree, changed...)
		packs := archive.Plan(snapshot, tree, packSize)
		snapshot = saved(snapshot, tree, packs)
		var size, delta int64
		deltas = 0
		for _, l := range snapshot.Layers {
			size += l.Size
			if l.Delta {
				deltas++
				delta += l.Size
			}
		}
		repacked = repacked || deltas == 0
		if delta > size/3 {
			t.Fatalf("round %d: deltas take %d of %d bytes", round, delta, size)
		}
	}
	if !repacked {
		t.Errorf("after 100 rounds there are %d deltas, and there was never a repack", deltas)
	}
}

func TestSame(t *testing.T) {
	file := archive.Entry{
		Path: "file", Mode: 0o644, Size: 4096, ModTime: time.Unix(1, 2), UID: 3, GID: 4,
		Stat: archive.Stat{ChangeTime: 5, Inode: 6, Device: 7, Links: 1, Blocks: 8},
	}
	for _, test := range []struct {
		name   string
		change func(*archive.Entry)
		want   bool
	}{
		{"nothing", func(*archive.Entry) {}, true},
		{"blocks, for they are allocated late", func(e *archive.Entry) { e.Stat.Blocks += 8 }, true},
		{"mode", func(e *archive.Entry) { e.Mode = 0o755 }, false},
		{"size", func(e *archive.Entry) { e.Size++ }, false},
		{"time", func(e *archive.Entry) { e.ModTime = e.ModTime.Add(1) }, false},
		{"owner", func(e *archive.Entry) { e.UID++ }, false},
		{"group", func(e *archive.Entry) { e.GID++ }, false},
		{"link", func(e *archive.Entry) { e.Link = "other" }, false},
		{"time of change", func(e *archive.Entry) { e.Stat.ChangeTime++ }, false},
		{"inode", func(e *archive.Entry) { e.Stat.Inode++ }, false},
		{"device", func(e *archive.Entry) { e.Stat.Device++ }, false},
		{"links", func(e *archive.Entry) { e.Stat.Links++ }, false},
	} {
		other := file
		test.change(&other)
		if got := file.Same(&other); got != test.want {
			t.Errorf("Same() = %t after a change of %s, want %t", got, test.name, test.want)
		}
	}
}
