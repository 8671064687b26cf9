package manifest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/blob"
)

// described returns the descriptor of the layer of that name.
func described(name string) blob.Descriptor { return layer(name, NoParent).Descriptor() }

func TestBuilder(t *testing.T) {
	b := NewBuilder()
	b.Layer(described("unused"), sum("diff of unused"), at(1), LayerHandle{})
	base := b.Layer(described("base"), sum("diff of base"), at(1), LayerHandle{})
	app := b.Layer(described("app"), sum("diff of app"), at(1), base)
	source := b.Record("source")
	other := b.RecordDigest("opaque")
	compile := b.Record("compile", AnyOf(source).Select("/src"), append(AnyOf(other), AnyOf(source)...))
	b.Result(compile, at(2), app)
	b.Chain(other, time.Time{}, app, base)
	got, err := b.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Check(); err != nil {
		t.Errorf("Check = %v", err)
	}
	want := &Manifest{
		Layers: []Layer{layer("base", NoParent), layer("app", 0), layer("unused", NoParent)},
		Records: []Record{
			{Digest: KeyDigest("source"), Extra: Fields{FieldLarder: []byte(`{"key":"source"}`)}},
			{Digest: "opaque", Results: []Result{{Chain: []int{1, 0}}}},
			{
				Digest:  KeyDigest("compile"),
				Inputs:  [][]Link{{{Record: 0, Selector: "/src"}}, {{Record: 1}, {Record: 0}}},
				Results: []Result{top(1, 2)},
				Extra:   Fields{FieldLarder: []byte(`{"key":"compile"}`)},
			},
		},
	}
	requireEqual(t, "Manifest", got, want.Canonical())
}

func TestBuilderNotesMistakes(t *testing.T) {
	none := LayerHandle{}
	good := func(b *Builder) LayerHandle { return b.Layer(described("a"), sum("diff"), at(1), none) }
	foreign := NewBuilder()
	tests := []struct {
		name  string
		build func(b *Builder)
		want  []string
	}{
		{"a layer digest", func(b *Builder) { b.Layer(blob.Descriptor{Digest: "sha256:1"}, sum("diff"), at(1), none) }, []string{`layer "sha256:1": digest is "sha256:1", want sha256:`}},
		{"no diffID", func(b *Builder) { b.Layer(described("a"), "", at(1), none) }, []string{"diffID is unknown"}},
		{"a malformed diffID", func(b *Builder) { b.Layer(described("a"), "x", at(1), none) }, []string{`diffID is "x"`}},
		{"a media type", func(b *Builder) {
			d := described("a")
			d.MediaType = "application/octet-stream"
			b.Layer(d, sum("diff"), at(1), none)
		}, []string{`media type is "application/octet-stream"`}},
		{"a size", func(b *Builder) {
			d := described("a")
			d.Size = 0
			b.Layer(d, sum("diff"), at(1), none)
		}, []string{"size is 0, want more than 0"}},
		{"a parent of another builder", func(b *Builder) { b.Layer(described("a"), sum("diff"), at(1), good(foreign)) }, []string{"parent is of another builder"}},
		{"an empty key", func(b *Builder) { b.Record("") }, []string{`record "": key is not text`}},
		{"a key that is not text", func(b *Builder) { b.Record("\xff") }, []string{`record "\xff": key is not text`}},
		{"an empty record digest", func(b *Builder) { b.RecordDigest("") }, []string{`record "": digest is ""`}},
		{"an empty input", func(b *Builder) { b.Record("k", AnyOf()) }, []string{`record "k": inputs[0] has no alternative`}},
		{"a selector", func(b *Builder) { b.Record("k", AnyOf(b.Record("s")).Select("\xff")) }, []string{`record "k": inputs[0][0].selector is "\xff"`}},
		{"an input that is no handle", func(b *Builder) { b.Record("k", AnyOf(RecordHandle{})) }, []string{`record "k": input 0 is the zero handle`}},
		{"an input of another builder", func(b *Builder) { b.Record("k", AnyOf(foreign.Record("x"))) }, []string{`record "k": input 0 is of another builder`}},
		{"a result without a record", func(b *Builder) { b.Result(RecordHandle{}, at(1), good(b)) }, []string{"result: record is the zero handle"}},
		{"a result without a layer", func(b *Builder) { b.Result(b.Record("k"), at(1), none) }, []string{"result: layer is the zero handle"}},
		{"a chain without layers", func(b *Builder) { b.Chain(b.Record("k"), at(1)) }, []string{"chain: there are no layers"}},
		{"a chain of another builder", func(b *Builder) { b.Chain(b.Record("k"), at(1), good(b), good(foreign)) }, []string{"chain: layer 1 is of another builder"}},
		{"all mistakes, but not what follows from them", func(b *Builder) {
			bad := b.Record("")
			b.Result(b.Record("k", AnyOf(bad)), at(1), b.Layer(described("a"), "", at(1), none))
		}, []string{`record "": key`, "diffID is unknown"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBuilder()
			tt.build(b)
			m, err := b.Manifest()
			if m != nil || !errors.Is(err, blob.ErrInvalid) {
				t.Fatalf("Manifest = %v, %v, want an ErrInvalid", m, err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("Manifest = %q, want %d errors", lines, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], "invalid: ") || !strings.Contains(lines[i], want) {
					t.Errorf("error %d = %q, want %q", i, lines[i], want)
				}
			}
		})
	}
}

func TestName(t *testing.T) {
	named := func(key, notes string) Record {
		return Record{Digest: KeyDigest(key), Extra: Fields{FieldLarder: []byte(notes)}}
	}
	tests := []struct {
		name string
		r    Record
		want string
	}{
		{"of the builder", named("compile", `{"key":"compile"}`), "compile"},
		{"beside other notes", named("compile", `{"other":1,"key":"compile"}`), "compile"},
		{"none", Record{Digest: KeyDigest("compile")}, ""},
		{"of another record", named("compile", `{"key":"link"}`), ""},
		{"of another form", named("compile", `["compile"]`), ""},
		{"not JSON", named("compile", `{"key":`), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.r.Name()); diff != "" {
				t.Errorf("Name: -want +got:\n%s", diff)
			}
		})
	}
}
