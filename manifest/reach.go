package manifest

import (
	"iter"
	"slices"

	"github.com/larder-build/larder/blob"
)

// BlobsOf returns the descriptors of the distinct blobs that the results of the
// given records need, in the order of their layers in m. All results of a
// record count. The manifest must pass Check.
func (m *Manifest) BlobsOf(records ...int) []blob.Descriptor {
	var results []Result
	for _, i := range records {
		results = append(results, m.Records[i].Results...)
	}
	needed := m.layersOf(results)
	part := &Manifest{}
	for i, l := range m.Layers {
		if needed[i] {
			part.Layers = append(part.Layers, l)
		}
	}
	return part.Blobs()
}

// layersOf marks the layers of which the results consist.
func (m *Manifest) layersOf(results []Result) []bool {
	tops := make([]bool, len(m.Layers))
	listed := make([]bool, len(m.Layers))
	for _, r := range results {
		if r.Chain == nil {
			tops[r.Layer] = true
		}
		for _, i := range r.Chain {
			listed[i] = true
		}
	}
	m.markParents(tops)
	for i := range listed {
		tops[i] = tops[i] || listed[i]
	}
	return tops
}

// markParents marks all layers below those that are marked.
func (m *Manifest) markParents(marked []bool) {
	for _, i := range slices.Backward(m.parentsFirst()) {
		if parent := m.Layers[i].Parent; marked[i] && parent != NoParent {
			marked[parent] = true
		}
	}
}

// markInputs marks all records that a marked one leads back to.
func (m *Manifest) markInputs(marked []bool) {
	for _, i := range slices.Backward(m.inputsFirst()) {
		if !marked[i] {
			continue
		}
		for _, input := range m.Records[i].Inputs {
			for _, link := range input {
				marked[link.Record] = true
			}
		}
	}
}

// usedLayers marks the layers that a result needs, and those below them even
// where a chain has no need of them: without its parent a layer would be
// another layer.
func (m *Manifest) usedLayers() []bool {
	used := make([]bool, len(m.Layers))
	for r := range m.results() {
		if r.Chain == nil {
			used[r.Layer] = true
		}
		for _, i := range r.Chain {
			used[i] = true
		}
	}
	m.markParents(used)
	return used
}

// usedRecords marks the records that have a result or lead to one.
func (m *Manifest) usedRecords() []bool {
	used := make([]bool, len(m.Records))
	for i, r := range m.Records {
		used[i] = len(r.Results) > 0
	}
	m.markInputs(used)
	return used
}

func (m *Manifest) results() iter.Seq[Result] {
	return func(yield func(Result) bool) {
		for _, record := range m.Records {
			for _, r := range record.Results {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// Compact returns m without what serves nothing: layers that no result uses,
// and records that neither have a result nor lead to one that has. The order
// stays. The manifest must pass Check.
func (m *Manifest) Compact() *Manifest {
	return m.arrange(positions(m.usedLayers()), positions(m.usedRecords()))
}

// positions returns where marked is true.
func positions(marked []bool) []int {
	var at []int
	for i, is := range marked {
		if is {
			at = append(at, i)
		}
	}
	return at
}
