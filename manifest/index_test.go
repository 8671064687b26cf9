package manifest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/larder-build/larder/blob"
)

func TestQuery(t *testing.T) {
	m := &Manifest{Records: []Record{
		{Digest: "root"},
		{Digest: "root"},
		{Digest: "other"},
		{Digest: "step", Inputs: [][]Link{links(0)}},
		{Digest: "step", Inputs: [][]Link{{{Record: 0, Selector: "/a"}}}},
		{Digest: "step", Inputs: [][]Link{links(1, 2), links(2)}},
		{Digest: "step"},
		{Digest: "pair", Inputs: [][]Link{links(1), links(2)}},
		{Digest: "pair", Inputs: [][]Link{links(0), links(2)}},
	}}
	x := NewIndex(m)
	tests := []struct {
		name   string
		digest blob.Digest
		inputs [][]Link
		want   []int
	}{
		{"roots", "root", nil, []int{0, 1}},
		{"a root beside steps", "step", nil, []int{6}},
		{"an unknown digest", "none", [][]Link{links(0)}, nil},
		{"by input", "step", [][]Link{links(0)}, []int{3}},
		{"by any of the records", "step", [][]Link{links(2, 1, 0)}, []int{3}},
		{"by selector", "step", [][]Link{LinksTo("/a", 0)}, []int{4}},
		{"another selector", "step", [][]Link{LinksTo("/b", 0)}, nil},
		{"fewer inputs than the record has", "step", [][]Link{links(1)}, nil},
		{"two inputs", "step", [][]Link{links(1), links(2)}, []int{5}},
		{"two inputs by another alternative", "step", [][]Link{links(2), links(2)}, []int{5}},
		{"two inputs by both alternatives", "step", [][]Link{links(2, 1), links(2)}, []int{5}},
		{"several records in order", "pair", [][]Link{links(0, 1), links(2)}, []int{7, 8}},
		{"two inputs the wrong way round", "step", [][]Link{links(2), links(1)}, nil},
		{"an input that nothing satisfies", "step", [][]Link{links(1), nil}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := x.Query(tt.digest, tt.inputs...)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff([]int{3, 4, 5, 6}, x.ByDigest("step")); diff != "" {
		t.Errorf("ByDigest: -want +got:\n%s", diff)
	}
}

// Whatever way is taken through its alternatives, every record is found.
func TestQueryFindsEveryRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := manifests(true).Draw(t, "m")
		x := NewIndex(m)
		for i, r := range m.Records {
			var inputs [][]Link
			for _, input := range r.Inputs {
				inputs = append(inputs, []Link{rapid.SampledFrom(input).Draw(t, "alternative")})
			}
			if got := x.Query(r.Digest, inputs...); !slices.Contains(got, i) {
				t.Errorf("Query for record %d = %v", i, got)
			}
		}
	})
}
