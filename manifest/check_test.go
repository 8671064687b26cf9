package manifest

import (
	"errors"
	"strings"
	"testing"

	"github.com/larder-build/larder/blob"
)

// two returns a manifest of two layers and two records that passes Check.
func two() *Manifest {
	return &Manifest{
		Layers: []Layer{layer("a", NoParent), layer("b", 0)},
		Records: []Record{
			{Digest: sum("root")},
			{Digest: sum("step"), Inputs: [][]Link{links(0)}, Results: []Result{top(1, 1)}},
		},
	}
}

func TestCheckAccepts(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Manifest)
	}{
		{"a sound manifest", func(*Manifest) {}},
		{"nothing", func(m *Manifest) { *m = Manifest{} }},
		{"an unknown diffID", func(m *Manifest) { m.Layers[0].DiffID = "" }},
		{"an unknown media type", func(m *Manifest) { m.Layers[0].MediaType = "" }},
		{"an opaque record digest", func(m *Manifest) { m.Records[0].Digest = "any text, été" }},
		{"a parent that comes later", func(m *Manifest) { m.Layers[0].Parent, m.Layers[1].Parent = 1, NoParent }},
		{"a link to a later record", func(m *Manifest) { m.Records[0].Inputs, m.Records[1].Inputs = [][]Link{links(1)}, nil }},
		{"a chain in any order", func(m *Manifest) { m.Records[1].Results[0] = chain(1, 1, 0, 1) }},
		{"two links to one record", func(m *Manifest) { m.Records[1].Inputs = [][]Link{links(0, 0), links(0)} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := two()
			tt.change(m)
			if err := m.Check(); err != nil {
				t.Errorf("Check = %v, want nil", err)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Manifest)
		want   string
	}{
		{"a layer digest that is a path", func(m *Manifest) { m.Layers[1].Digest = "sha256:../../etc" }, `layers[1].digest is "sha256:../../etc"`},
		{"a malformed diffID", func(m *Manifest) { m.Layers[0].DiffID = "sha256:12" }, `layers[0].diffID is "sha256:12"`},
		{"a negative size", func(m *Manifest) { m.Layers[0].Size = -1 }, "layers[0].size is -1, want 0 or more"},
		{"a parent out of range", func(m *Manifest) { m.Layers[1].Parent = 2 }, "layers[1].parent is 2, want -1 to 1"},
		{"a parent below none", func(m *Manifest) { m.Layers[1].Parent = -2 }, "layers[1].parent is -2, want -1 to 1"},
		{"a layer on itself", func(m *Manifest) { m.Layers[0].Parent = 0 }, "layers[0].parent leads back to layers[0]"},
		{"a loop of parents", func(m *Manifest) { m.Layers[0].Parent = 1 }, "leads back to"},
		{"an empty record digest", func(m *Manifest) { m.Records[0].Digest = "" }, `records[0].digest is "", want printable text`},
		{"a line break in a record digest", func(m *Manifest) { m.Records[0].Digest = "a\nb" }, `records[0].digest is "a\nb"`},
		{"a record digest that is not text", func(m *Manifest) { m.Records[0].Digest = "\xff" }, `records[0].digest is "\xff"`},
		{"an input without alternative", func(m *Manifest) { m.Records[1].Inputs[0] = nil }, "records[1].inputs[0] has no alternative"},
		{"a link out of range", func(m *Manifest) { m.Records[1].Inputs[0][0].Record = 2 }, "records[1].inputs[0][0].record is 2, want 0 to 1"},
		{"a negative link", func(m *Manifest) { m.Records[1].Inputs[0][0].Record = -1 }, "records[1].inputs[0][0].record is -1, want 0 to 1"},
		{"a selector that is not text", func(m *Manifest) { m.Records[1].Inputs[0][0].Selector = "\xff" }, `inputs[0][0].selector is "\xff"`},
		{"a result out of range", func(m *Manifest) { m.Records[1].Results[0].Layer = 2 }, "records[1].results[0].layer is 2, want 0 to 1"},
		{"a negative result", func(m *Manifest) { m.Records[1].Results[0].Layer = -1 }, "records[1].results[0].layer is -1, want 0 to 1"},
		{"a result where there are no layers", func(m *Manifest) { m.Layers = nil }, "records[1].results[0].layer is 1, but there are none"},
		{"an empty chain", func(m *Manifest) { m.Records[1].Results[0] = Result{Chain: []int{}} }, "records[1].results[0].chain has no layer"},
		{"a chain out of range", func(m *Manifest) { m.Records[1].Results[0] = chain(1, 0, -1) }, "records[1].results[0].chain[1] is -1, want 0 to 1"},
		{"a record that needs itself", func(m *Manifest) { m.Records[0].Inputs = [][]Link{links(0)} }, "records[0].inputs lead back to records[0]"},
		{"a loop of records", func(m *Manifest) { m.Records[0].Inputs = [][]Link{links(1)} }, "lead back to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := two()
			tt.change(m)
			err := m.Check()
			if !errors.Is(err, blob.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check = %v, want an ErrInvalid with %q", err, tt.want)
			}
		})
	}
}

// A record that only leads to a loop is not the one to name.
func TestCheckNamesARecordOfTheLoop(t *testing.T) {
	m := &Manifest{Records: []Record{
		{Digest: "after", Inputs: [][]Link{links(1)}},
		{Digest: "middle", Inputs: [][]Link{links(3), links(2)}},
		{Digest: "loop", Inputs: [][]Link{links(2)}},
		{Digest: "root"},
	}}
	want := "invalid: records[2].inputs lead back to records[2]"
	if err := m.Check(); err == nil || err.Error() != want {
		t.Errorf("Check = %v, want %s", err, want)
	}
}
