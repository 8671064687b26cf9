package manifest

import (
	"fmt"
	"testing"
)

// hostile are manifests that cost a careless reader its stack, or time that is
// quadratic or exponential in their size.
func hostile(n int) map[string]*Manifest {
	return map[string]*Manifest{
		"parents":                 parents(n, false),
		"parents in reverse":      parents(n, true),
		"records":                 recordChain(n, false),
		"records in reverse":      recordChain(n, true),
		"records with many paths": lattice(n),
		"one record many times":   repeated(n),
		"one input many times":    {Records: []Record{{Digest: "root"}, {Digest: "step", Inputs: [][]Link{manyLinks(n)}}}},
		"one result many times":   {Layers: []Layer{layer("a", NoParent)}, Records: []Record{{Digest: "step", Results: make([]Result, n)}}},
		"one layer many times":    {Layers: sameLayers(n)},
	}
}

// parents is one long chain of layers, with a result at every layer.
func parents(n int, reverse bool) *Manifest {
	m := &Manifest{}
	for i := range n {
		m.Layers = append(m.Layers, layer(fmt.Sprint(i), i-1))
		m.Records = append(m.Records, Record{Digest: sum(fmt.Sprint("r", i)), Results: []Result{top(i, i)}})
	}
	if reverse {
		return m.arrange(descending(n), upTo(n))
	}
	return m
}

// recordChain is one long chain of records.
func recordChain(n int, reverse bool) *Manifest {
	m := &Manifest{Layers: []Layer{layer("a", NoParent)}, Records: []Record{{Digest: "root"}}}
	for i := range n - 1 {
		m.Records = append(m.Records, Record{Digest: "step", Inputs: [][]Link{links(i)}, Results: []Result{top(0, i)}})
	}
	if reverse {
		return m.arrange(upTo(1), descending(n))
	}
	return m
}

// lattice is a graph of records with 2 to the power of n paths.
func lattice(n int) *Manifest {
	m := &Manifest{Layers: []Layer{layer("a", NoParent)}, Records: []Record{{Digest: "root"}}}
	for i := range n - 1 {
		m.Records = append(m.Records, Record{Digest: "step", Inputs: [][]Link{links(i), links(i, max(0, i-1))}})
	}
	m.Records[n-1].Results = []Result{top(0, 1)}
	return m
}

// repeated is one record that stands n times, each time with a field of its own.
func repeated(n int) *Manifest {
	m := &Manifest{Layers: []Layer{layer("a", NoParent)}}
	for i := range n {
		extra := Fields{fmt.Sprint(i): []byte("1")}
		m.Records = append(m.Records, Record{Digest: "step", Results: []Result{top(0, i)}, Extra: extra})
	}
	return m
}

func sameLayers(n int) []Layer {
	layers := make([]Layer, n)
	for i := range layers {
		layers[i] = layer("a", NoParent)
		layers[i].Annotations = map[string]string{fmt.Sprint(i): ""}
	}
	return layers
}

func manyLinks(n int) []Link {
	input := make([]Link, n)
	for i := range input {
		input[i].Extra = Fields{fmt.Sprint(i): []byte("1")}
	}
	return input
}

// TestHostileSizes ends in due time only if every function takes about linear
// time; one that walked every path of the lattice would never end.
func TestHostileSizes(t *testing.T) {
	for name, m := range hostile(10_000) {
		t.Run(name, func(t *testing.T) {
			canonical := m.Canonical()
			if err := canonical.Check(); err != nil {
				t.Errorf("Check of Canonical = %v", err)
			}
			if d := Diff(m, Merge(m, canonical)); len(d.A.Records)+len(d.B.Records) > 0 {
				t.Errorf("Merge lost %d and invented %d records", len(d.A.Records), len(d.B.Records))
			}
			if got, _ := Overlay(m, m); len(got.Records) != len(canonical.Records) {
				t.Errorf("Overlay has %d records, want %d", len(got.Records), len(canonical.Records))
			}
			if got, lost := m.Without(func(i int) bool { return i == 0 }); !got.IsEmpty() && lost.Layers == 0 {
				t.Errorf("Without lost %+v", lost)
			}
			if kept, _, err := Shed(m, func(m *Manifest) (bool, error) { return m.IsEmpty(), nil }); err != nil || !kept.IsEmpty() {
				t.Errorf("Shed = %v", err)
			}
			if got := NewIndex(m).Query("step", links(0)); len(got) > 1 {
				t.Errorf("Query = %d records, want 1 at most", len(got))
			}
			if got, want := len(m.BlobsOf(upTo(len(m.Records))...)), len(m.Blobs()); !m.IsEmpty() && got != want {
				t.Errorf("BlobsOf has %d blobs, want %d", got, want)
			}
		})
	}
}

// Every record has another result, and all stacks together have 50 million
// layers.
func TestDiffOfDeepStacks(t *testing.T) {
	a, b := parents(10_000, false), parents(10_000, false)
	b.Layers[0].Digest = sum("another base")
	d := Diff(a, b)
	if len(d.Changed) != 10_000 || len(d.A.Blobs) != 1 {
		t.Errorf("Diff has %d changes and %d blobs, want 10000 and 1", len(d.Changed), len(d.A.Blobs))
	}
}

func TestCheckAcceptsHostileSizes(t *testing.T) {
	for name, m := range hostile(100_000) {
		if err := m.Check(); err != nil {
			t.Errorf("Check of %s = %v, want nil", name, err)
		}
	}
}

func TestHostileLoops(t *testing.T) {
	const n = 100_000
	layers, records := parents(n, true), recordChain(n, true)
	layers.Layers[n-1].Parent = 0
	records.Records[n-1].Inputs = [][]Link{links(0)}
	for name, m := range map[string]*Manifest{"parents": layers, "records": records} {
		if err := m.Check(); err == nil {
			t.Errorf("Check of a loop of %s = nil", name)
		}
	}
}
