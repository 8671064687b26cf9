package manifest

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/larder-build/larder/blob"
)

func TestDiff(t *testing.T) {
	a := &Manifest{
		Layers: []Layer{layer("both", NoParent), layer("only a", 0)},
		Records: []Record{
			{Digest: "root"},
			{Digest: "step", Inputs: [][]Link{links(0)}, Results: []Result{top(1, 1)}},
			{Digest: "gone"},
		},
	}
	b := &Manifest{
		Layers: []Layer{layer("only b, longer", NoParent), layer("both", NoParent)},
		Records: []Record{
			{Digest: "step", Inputs: [][]Link{links(1)}, Results: []Result{chain(2, 1, 0)}},
			{Digest: "root"},
		},
	}
	got := Diff(a, b)
	keyOf := func(m *Manifest, layer, record int) blob.Digest {
		if layer >= 0 {
			return m.layerKeys()[layer].digest()
		}
		return m.recordKeys()[record].digest()
	}
	onTop := &Manifest{Layers: []Layer{layer("both", NoParent), layer("only b, longer", 0)}}
	want := Difference{
		A: Part{
			Layers:  []Named{{Key: keyOf(a, 1, -1), Digest: sum("only a")}},
			Records: []Named{{Key: keyOf(a, -1, 2), Digest: "gone"}},
			Blobs:   []blob.Digest{sum("only a")},
			Bytes:   106,
		},
		B: Part{
			Layers: []Named{{Key: keyOf(b, 0, -1), Digest: sum("only b, longer")}},
			Blobs:  []blob.Digest{sum("only b, longer")},
			Bytes:  114,
		},
		Common: Count{Layers: 1, Records: 2, Blobs: 1, Bytes: 104},
		Changed: []Change{{
			Named: Named{Key: keyOf(a, -1, 1), Digest: "step"},
			A:     &Stack{Key: keyOf(a, 1, -1), Top: sum("only a"), Layers: 2},
			B:     &Stack{Key: keyOf(onTop, 1, -1), Top: sum("only b, longer"), Layers: 2},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// One blob on two parents is two layers, but no bytes to move.
func TestDiffTellsLayersFromBlobs(t *testing.T) {
	a := &Manifest{Layers: []Layer{layer("base", NoParent), layer("x", NoParent)}}
	b := &Manifest{Layers: []Layer{layer("base", NoParent), layer("x", 0)}}
	got := Diff(a, b)
	if len(got.A.Layers) != 1 || len(got.B.Layers) != 1 || len(got.A.Blobs)+len(got.B.Blobs) != 0 {
		t.Errorf("Diff = %+v, want one layer and no blob on either side", got)
	}
}

// A chain and a layer with its parents are the same result if their blobs are,
// and having no result is another than having one.
func TestDiffOfResults(t *testing.T) {
	with := func(results ...Result) *Manifest {
		return &Manifest{
			Layers:  []Layer{layer("a", NoParent), layer("b", 0)},
			Records: []Record{{Digest: "step", Results: results}},
		}
	}
	tests := []struct {
		name    string
		a, b    *Manifest
		changed bool
	}{
		{"none", with(), with(), false},
		{"another time", with(top(1, 1)), with(top(1, 2)), false},
		{"another form", with(top(1, 1)), with(chain(1, 0, 1)), false},
		{"another stack", with(top(1, 1)), with(top(0, 1)), true},
		{"another order", with(chain(1, 0, 1)), with(chain(1, 1, 0)), true},
		{"a result lost", with(top(1, 1)), with(), true},
		{"a result gained", with(), with(top(1, 1)), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Diff(tt.a, tt.b); (len(got.Changed) == 1) != tt.changed || got.IsEmpty() == tt.changed {
				t.Errorf("Diff = %+v, want changed %v", got, tt.changed)
			}
		})
	}
}

func TestDiffJSON(t *testing.T) {
	b := NewBuilder()
	b.Record("compile")
	m, err := b.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(Diff(m, &Manifest{}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"a":{"records":[{"key":"` + m.recordKeys()[0].digest().String() + `","digest":"` + KeyDigest("compile").String() +
		`","name":"compile"}],"bytes":0},"b":{"bytes":0},"common":{"layers":0,"records":0,"blobs":0,"bytes":0}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDiffProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := manifests(true)
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		if d := Diff(a, shuffled(t, a)); !d.IsEmpty() {
			t.Errorf("Diff of one thing = %+v, want nothing", d)
		}
		ab, ba := Diff(a, b), Diff(b, a)
		if diff := cmp.Diff(ab.A, ba.B); diff != "" {
			t.Errorf("the sides are not symmetric:\n%s", diff)
		}
		if ab.Common != ba.Common {
			t.Errorf("Common = %+v one way and %+v the other", ab.Common, ba.Common)
		}
		if d := Diff(a, Merge(a, b)); len(d.A.Records) > 0 {
			t.Errorf("records %v are not in the merge", d.A.Records)
		}
	})
}
