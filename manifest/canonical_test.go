package manifest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// spelled compares times by their spelling, as an encoder would.
var spelled = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Transformer("spelling", func(t time.Time) string { return t.Format(time.RFC3339Nano) }),
}

func requireEqual(t rapid.TB, what string, got, want *Manifest) {
	t.Helper()
	if diff := cmp.Diff(want, got, spelled); diff != "" {
		t.Fatalf("%s: -want +got:\n%s", what, diff)
	}
}

func TestCanonicalDependsOnContentAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := manifests(false).Draw(t, "m")
		canonical := m.Canonical()
		requireEqual(t, "Canonical of another order", shuffled(t, m).Canonical(), canonical)
		requireEqual(t, "Canonical of a canonical one", canonical.Canonical(), canonical)
		if err := canonical.Check(); err != nil {
			t.Fatalf("Check = %v", err)
		}
	})
}

func TestCanonicalKeepsEveryResult(t *testing.T) {
	none := func(int) bool { return false }
	rapid.Check(t, func(t *rapid.T) {
		m := manifests(false).Draw(t, "m")
		distinct := func(m *Manifest) []string { return slices.Compact(slices.Sorted(slices.Values(stacks(m, none)))) }
		if diff := cmp.Diff(distinct(m), distinct(m.Canonical())); diff != "" {
			t.Errorf("results: -want +got:\n%s", diff)
		}
	})
}

// The order is the one in which BuildKit's exporter writes.
func TestCanonicalOrder(t *testing.T) {
	record := func(digest string, inputs ...[]Link) Record { return Record{Digest: sum(digest), Inputs: inputs} }
	select1 := func(selector string, r int) []Link { return []Link{{Record: r, Selector: selector}} }
	sorted := []Layer{layer("a", NoParent), layer("b", NoParent), layer("c", NoParent)}
	slices.SortFunc(sorted, func(a, b Layer) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	onParents := slices.Concat(sorted[:2], []Layer{sorted[2], sorted[2], sorted[2]})
	onParents[3].Parent, onParents[4].Parent = 0, 1

	names := []string{"p", "q", "r"}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(string(sum(a)), string(sum(b))) })
	p, q, r := names[0], names[1], names[2]
	tests := []struct {
		name string
		want *Manifest
	}{
		{"layers by blob", &Manifest{Layers: sorted}},
		{"layers with one blob by parent", &Manifest{Layers: onParents}},
		{"records by digest", &Manifest{Records: []Record{record(p), record(q), record(r)}}},
		{"records by number of inputs", &Manifest{Records: []Record{
			record(p), record(q), record(q, links(0)), record(q, links(0), links(0)),
		}}},
		{"records by number of alternatives", &Manifest{Records: []Record{
			record(p), record(q), record(r, links(1)), record(r, links(0, 1)),
		}}},
		{"the first input counts first", &Manifest{Records: []Record{
			record(p), record(q), record(r, links(0), links(1)), record(r, links(1), links(0)),
		}}},
		{"records by selector before linked digest", &Manifest{Records: []Record{
			record(p), record(q), record(r, select1("/a", 1)), record(r, select1("/b", 0)),
		}}},
		{"records by linked digest", &Manifest{Records: []Record{
			record(p), record(q), record(r, links(0)), record(r, links(1)),
		}}},
		{"alternatives by position before selector", &Manifest{Records: []Record{
			record(p), record(q), record(r, append(select1("/b", 0), select1("/a", 1)...)),
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reversed := tt.want.arrange(descending(len(tt.want.Layers)), descending(len(tt.want.Records)))
			requireEqual(t, "Canonical of the reverse", reversed.Canonical(), tt.want)
		})
	}
}

func TestCanonicalFolds(t *testing.T) {
	m := &Manifest{
		Layers: []Layer{layer("a", NoParent), layer("a", NoParent), layer("b", 0), layer("b", 1), layer("b", NoParent)},
		Records: []Record{
			{Digest: "root"},
			{Digest: "root"},
			{Digest: "step", Inputs: [][]Link{links(0, 1)}, Results: []Result{top(2, 1)}},
			{Digest: "step", Inputs: [][]Link{links(1)}, Results: []Result{top(3, 3), chain(2, 4)}},
		},
	}
	got := m.Canonical()
	if len(got.Layers) != 3 || len(got.Records) != 2 {
		t.Fatalf("Canonical has %d layers and %d records, want 3 and 2", len(got.Layers), len(got.Records))
	}
	var times []time.Time
	for _, r := range got.Records[1].Results {
		times = append(times, r.CreatedAt)
	}
	if diff := cmp.Diff([]time.Time{at(3), at(2)}, times); diff != "" {
		t.Errorf("results: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([][]Link{links(0)}, got.Records[1].Inputs); diff != "" {
		t.Errorf("inputs: -want +got:\n%s", diff)
	}
}

func TestCanonicalJoinsUnknownFields(t *testing.T) {
	x, y := Fields{"x": []byte("1")}, Fields{"y": []byte("2")}
	both := Fields{"x": []byte("1"), "y": []byte("2")}
	result := func(f Fields) Result { return Result{CreatedAt: at(1), Extra: f} }
	link := func(f Fields) Link { return Link{Extra: f} }
	a := layer("a", NoParent)
	m := &Manifest{
		Layers: []Layer{a},
		Records: []Record{
			{Digest: "root"},
			{Digest: "step", Inputs: [][]Link{{link(x), link(y)}}, Results: []Result{result(x), result(y)}},
		},
		Extra: x, Envelope: y,
	}
	want := &Manifest{
		Layers: []Layer{a},
		Records: []Record{
			{Digest: "root"},
			{Digest: "step", Inputs: [][]Link{{link(both)}}, Results: []Result{result(both)}},
		},
		Extra: x, Envelope: y,
	}
	requireEqual(t, "Canonical", m.Canonical(), want)
	if len(x) != 1 || len(y) != 1 {
		t.Errorf("Canonical changed what it was given: %v, %v", x, y)
	}
}

func TestJoinLayers(t *testing.T) {
	newer := func(l *Layer) { l.CreatedAt, l.Size = at(9), 9 }
	tests := []struct {
		name     string
		a, b     func(*Layer)
		wantSize int64
	}{
		{"the newer facts", func(*Layer) {}, newer, 9},
		{"whichever comes first", newer, func(*Layer) {}, 9},
		{"usable facts before newer ones", func(l *Layer) { l.Size = 5 }, func(l *Layer) { newer(l); l.DiffID = "" }, 5},
		{"equal times: the greater", func(l *Layer) { l.Size = 5 }, func(l *Layer) { l.Size = 6 }, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := layer("x", NoParent), layer("x", NoParent)
			tt.a(&a)
			tt.b(&b)
			if got := joinLayers(a, b, greater).Size; got != tt.wantSize {
				t.Errorf("size = %d, want %d", got, tt.wantSize)
			}
		})
	}
}

func descending(n int) []int {
	order := upTo(n)
	slices.Reverse(order)
	return order
}
