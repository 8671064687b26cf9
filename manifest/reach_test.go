package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/larder-build/larder/blob"
)

func TestBlobsOf(t *testing.T) {
	m := tree()
	m.Layers = append(m.Layers, layer("a", 3))
	m.Records = append(m.Records, Record{Digest: "again", Results: []Result{chain(1, 4, 0)}})
	tests := []struct {
		name    string
		records []int
		want    []string
	}{
		{"none", nil, nil},
		{"a link", []int{0}, nil},
		{"a layer with its parents", []int{1}, []string{"a", "b"}},
		{"a chain without the parents of its layers", []int{3}, []string{"c", "d"}},
		{"several records share blobs", []int{1, 2, 1}, []string{"a", "b", "c"}},
		{"a blob in two layers", []int{4}, []string{"a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []blob.Digest
			for _, b := range m.BlobsOf(tt.records...) {
				got = append(got, b.Digest)
			}
			if diff := cmp.Diff(sums(tt.want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestCompact(t *testing.T) {
	m := &Manifest{
		Layers: []Layer{layer("unused", NoParent), layer("a", NoParent), layer("b", 1), layer("above", 2)},
		Records: []Record{
			{Digest: "idle root"},
			{Digest: "idle", Inputs: [][]Link{links(0, 2)}},
			{Digest: "root"},
			{Digest: "step", Inputs: [][]Link{links(2)}, Results: []Result{top(2, 1)}},
		},
	}
	want := &Manifest{
		Layers: []Layer{layer("a", NoParent), layer("b", 0)},
		Records: []Record{
			{Digest: "root"},
			{Digest: "step", Inputs: [][]Link{links(0)}, Results: []Result{top(1, 1)}},
		},
	}
	requireEqual(t, "Compact", m.Compact(), want)
}

func TestCompactLosesNoResult(t *testing.T) {
	none := func(int) bool { return false }
	rapid.Check(t, func(t *rapid.T) {
		m := manifests(false).Draw(t, "m")
		got := m.Compact()
		if err := got.Check(); err != nil {
			t.Fatalf("Check = %v", err)
		}
		if diff := cmp.Diff(stacks(m, none), stacks(got, none)); diff != "" {
			t.Errorf("results: -want +got:\n%s", diff)
		}
		requireEqual(t, "Compact of a compact one", got.Compact(), got)
	})
}
