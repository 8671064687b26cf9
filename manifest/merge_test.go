package manifest

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/larder-build/larder/blob"
)

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := manifests(true)
		a, b, c := gen.Draw(t, "a"), gen.Draw(t, "b"), gen.Draw(t, "c")
		ab := Merge(a, b)
		requireEqual(t, "Merge(b, a)", Merge(b, a), ab)
		requireEqual(t, "Merge(ab, a)", Merge(ab, a), ab)
		requireEqual(t, "Merge(a, nil, b, a, b)", Merge(a, nil, b, a, b), ab)
		all := Merge(a, b, c)
		requireEqual(t, "Merge(ab, c)", Merge(ab, c), all)
		requireEqual(t, "Merge(a, bc)", Merge(a, Merge(b, c)), all)
		requireEqual(t, "Canonical of a merge", all.Canonical(), all)
	})
}

// Of layers that are described in different ways, only the description may
// depend on the order of merging.
func TestMergeLawsOfLayersInDispute(t *testing.T) {
	undisputed := func(m *Manifest) *Manifest {
		m = m.Canonical()
		for i, l := range m.Layers {
			m.Layers[i] = Layer{Digest: l.Digest, Parent: l.Parent}
		}
		return m
	}
	rapid.Check(t, func(t *rapid.T) {
		gen := manifests(false)
		a, b, c := gen.Draw(t, "a"), gen.Draw(t, "b"), gen.Draw(t, "c")
		ab := Merge(a, b)
		requireEqual(t, "Merge(b, a)", Merge(b, a), ab)
		requireEqual(t, "Merge(ab, ab)", Merge(ab, ab), ab)
		requireEqual(t, "(a, b), c and a, (b, c)", undisputed(Merge(ab, c)), undisputed(Merge(a, Merge(b, c))))
	})
}

// As long as no result is superseded, disputes do not matter either.
func TestUnionLaws(t *testing.T) {
	union := func(ms ...*Manifest) *Manifest {
		u := newUnion(greater)
		for _, m := range ms {
			u.add(m)
		}
		return u.canonical()
	}
	rapid.Check(t, func(t *rapid.T) {
		gen := manifests(false)
		a, b, c := gen.Draw(t, "a"), gen.Draw(t, "b"), gen.Draw(t, "c")
		ab, all := union(a, b), union(a, b, c)
		requireEqual(t, "b, a", union(b, a), ab)
		requireEqual(t, "ab, a", union(ab, a), ab)
		requireEqual(t, "ab, c", union(ab, c), all)
		requireEqual(t, "a, bc", union(a, union(b, c)), all)
	})
}

func TestMergeKeepsEveryRecordAndTheNewestResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := manifests(false)
		ms := []*Manifest{gen.Draw(t, "a"), gen.Draw(t, "b"), gen.Draw(t, "c")}
		merged := Merge(ms...)
		if err := merged.Check(); err != nil {
			t.Fatalf("Check = %v", err)
		}
		at := positionsOf(merged.recordKeys())
		for _, m := range ms {
			for i, k := range m.recordKeys() {
				j, found := at[k]
				if !found {
					t.Fatalf("record %d is lost", i)
				}
				checkNewest(t, merged.Records[j], m.Records[i])
			}
		}
		for i, is := range merged.usedLayers() {
			if !is {
				t.Errorf("layer %d serves nothing", i)
			}
		}
	})
}

func checkNewest(t *rapid.T, merged, r Record) {
	switch {
	case len(merged.Results) > 1:
		t.Errorf("record has %d results, want 1 at most", len(merged.Results))
	case len(r.Results) == 0:
	case len(merged.Results) == 0:
		t.Error("the result is lost")
	case merged.newest().Before(r.newest()):
		t.Errorf("result is of %v, want %v or newer", merged.newest(), r.newest())
	}
}

func TestMergeLeavesItsArgumentsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := manifests(false).Draw(t, "a"), manifests(false).Draw(t, "b")
		before, err := json.Marshal([]*Manifest{a, b})
		if err != nil {
			t.Fatal(err)
		}
		Merge(a, b)
		Overlay(a, b)
		a.Canonical()
		after, err := json.Marshal([]*Manifest{a, b})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(before), string(after)); diff != "" {
			t.Errorf("-before +after:\n%s", diff)
		}
	})
}

func TestMerge(t *testing.T) {
	one := func(name string, seconds int, extra Fields) *Manifest {
		return &Manifest{
			Layers:  []Layer{layer(name, NoParent)},
			Records: []Record{{Digest: "step", Results: []Result{top(0, seconds)}, Extra: extra}},
		}
	}
	tests := []struct {
		name string
		ms   []*Manifest
		want *Manifest
	}{
		{"nothing", nil, &Manifest{}},
		{"only nil", []*Manifest{nil, nil}, &Manifest{}},
		{"the newest result wins", []*Manifest{one("old", 1, nil), one("new", 2, nil)}, one("new", 2, nil)},
		{"whichever comes first", []*Manifest{one("new", 2, nil), one("old", 1, nil)}, one("new", 2, nil)},
		{
			"unknown fields are joined",
			[]*Manifest{one("a", 1, Fields{"x": []byte("1")}), one("a", 1, Fields{"y": []byte("2")})},
			one("a", 1, Fields{"x": []byte("1"), "y": []byte("2")}),
		},
		{
			"the greater of two values of a field is kept",
			[]*Manifest{one("a", 1, Fields{"x": []byte("1")}), one("a", 1, Fields{"x": []byte("2")})},
			one("a", 1, Fields{"x": []byte("2")}),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireEqual(t, "Merge", Merge(tt.ms...), tt.want)
		})
	}
}

func TestMergeJoinsTheFieldsOfTheDocument(t *testing.T) {
	x, y := Fields{"x": []byte("1")}, Fields{"y": []byte("2")}
	got := Merge(&Manifest{Extra: x, Envelope: y}, &Manifest{Extra: y})
	want := &Manifest{Extra: Fields{"x": []byte("1"), "y": []byte("2")}, Envelope: y}
	requireEqual(t, "Merge", got, want)
}

// At equal times the choice must not depend on who comes first, even if two
// results have the same blobs.
func TestMergeSettlesTies(t *testing.T) {
	layers := []Layer{layer("a", NoParent), layer("b", 0), layer("b", NoParent)}
	results := []Result{top(1, 1), top(0, 1), chain(1, 0, 1), chain(1, 0, 2), chain(1, 1, 0)}
	with := func(r Result) *Manifest {
		return &Manifest{Layers: layers, Records: []Record{{Digest: "step", Results: []Result{r}}}}
	}
	for i, a := range results {
		for j, b := range results {
			requireEqual(t, fmt.Sprint("results ", i, " and ", j), Merge(with(a), with(b)), Merge(with(b), with(a)))
		}
	}
}

// Two builds of one step from other sources stay two records, as BuildKit has
// them.
func TestMergeTellsRecordsApartByTheirInputs(t *testing.T) {
	build := func(source, name string) *Manifest {
		return &Manifest{
			Layers: []Layer{layer(name, NoParent)},
			Records: []Record{
				{Digest: blob.Digest(source)},
				{Digest: "step", Inputs: [][]Link{links(0)}, Results: []Result{top(0, 1)}},
			},
		}
	}
	got := Merge(build("source 1", "a"), build("source 2", "b"))
	if len(got.Records) != 4 || len(got.Layers) != 2 {
		t.Fatalf("Merge has %d records and %d layers, want 4 and 2", len(got.Records), len(got.Layers))
	}
	x := NewIndex(got)
	for source, name := range map[blob.Digest]string{"source 1": "a", "source 2": "b"} {
		steps := x.Query("step", LinksTo("", x.Roots(source)...))
		if len(steps) != 1 {
			t.Fatalf("Query from %s = %v, want one record", source, steps)
		}
		if d := got.BlobsOf(steps...)[0].Digest; d != sum(name) {
			t.Errorf("the result from %s is %s, want that of %s", source, d, name)
		}
	}
}
