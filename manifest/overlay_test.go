package manifest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestOverlay(t *testing.T) {
	step := func(results ...Result) []Record {
		return []Record{{Digest: "root"}, {Digest: "step", Inputs: [][]Link{links(0)}, Results: results}}
	}
	linksOnly := &Manifest{Records: step()}
	older := &Manifest{Layers: []Layer{layer("x", NoParent), layer("a", NoParent)}, Records: step(top(1, 1))}
	newer := &Manifest{Layers: []Layer{layer("a", NoParent), layer("b", 0)}, Records: step(top(1, 2), top(0, 2))}
	tests := []struct {
		name    string
		ms      []*Manifest
		want    *Manifest
		origins Origins
	}{
		{"nothing", nil, &Manifest{}, Origins{}},
		{"only nil", []*Manifest{nil, nil}, &Manifest{}, Origins{}},
		{
			"the first source comes first, though it is older",
			[]*Manifest{older, newer},
			&Manifest{
				Layers:  []Layer{layer("x", NoParent), layer("a", NoParent), layer("b", 1)},
				Records: step(top(1, 1), top(2, 2)),
			},
			Origins{Records: []int{0, 0}, Layers: [][]int{{0}, {0, 1}, {1}}},
		},
		{
			"a source without a result serves nothing",
			[]*Manifest{linksOnly, nil, newer},
			newer,
			Origins{Records: []int{0, 2}, Layers: [][]int{{2}, {2}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, origins := Overlay(tt.ms...)
			requireEqual(t, "Overlay", got, tt.want)
			if diff := cmp.Diff(tt.origins, origins); diff != "" {
				t.Errorf("origins: -want +got:\n%s", diff)
			}
		})
	}
}

func TestOverlaySettlesFactsByTheFirstUsable(t *testing.T) {
	with := func(change func(*Layer)) *Manifest {
		l := layer("a", NoParent)
		change(&l)
		return &Manifest{Layers: []Layer{l}}
	}
	noDiffID := with(func(l *Layer) { l.DiffID = ""; l.Annotations = map[string]string{"x": "first", "y": "first"} })
	second := with(func(l *Layer) { l.Size = 2; l.Annotations = map[string]string{"x": "second", "z": "second"} })
	third := with(func(l *Layer) { l.Size = 3; l.CreatedAt = at(9) })
	got, _ := Overlay(noDiffID, second, third)
	want := with(func(l *Layer) {
		l.Size = 2
		l.Annotations = map[string]string{"x": "first", "y": "first", "z": "second"}
	})
	requireEqual(t, "Overlay", got, want)
}

func TestOverlayHasEveryResultInTheOrderOfTheSources(t *testing.T) {
	none := func(int) bool { return false }
	rapid.Check(t, func(t *rapid.T) {
		gen := manifests(false)
		ms := []*Manifest{gen.Draw(t, "a"), nil, gen.Draw(t, "b")}
		got, origins := Overlay(ms...)
		if err := got.Check(); err != nil {
			t.Fatalf("Check = %v", err)
		}
		want := slices.Concat(stacks(ms[0], none), stacks(ms[2], none))
		distinct := func(all []string) []string { return slices.Compact(slices.Sorted(slices.Values(all))) }
		if diff := cmp.Diff(distinct(want), distinct(stacks(got, none))); diff != "" {
			t.Errorf("results: -want +got:\n%s", diff)
		}
		checkOrigins(t, ms, got, origins)
	})
}

// checkOrigins finds the origins again by looking for each key in each source.
func checkOrigins(t *rapid.T, ms []*Manifest, got *Manifest, origins Origins) {
	var want Origins
	all := got.keyed()
	for _, k := range all.layerKeys {
		var holders []int
		for s, m := range ms {
			if m != nil && slices.Contains(m.layerKeys(), k) {
				holders = append(holders, s)
			}
		}
		want.Layers = append(want.Layers, holders)
	}
	for _, k := range all.recordKeys {
		want.Records = append(want.Records, firstToServe(ms, k))
	}
	if diff := cmp.Diff(want, origins); diff != "" {
		t.Errorf("origins: -want +got:\n%s", diff)
	}
}

func firstToServe(ms []*Manifest, k key) int {
	first := -1
	for s, m := range ms {
		if m == nil {
			continue
		}
		for i, other := range m.recordKeys() {
			switch {
			case other != k:
			case len(m.Records[i].Results) > 0:
				return s
			case first < 0:
				first = s
			}
		}
	}
	return first
}
