package manifest

import (
	"slices"

	"github.com/larder-build/larder/blob"
)

// Lost counts what a reduction took out of a manifest.
type Lost struct {
	// Layers are those removed: the ones to be dropped and what depended on them
	// or served nothing but them.
	Layers int `json:"layers"`
	// Records are those that had a result and have none any more, whether they
	// were removed or stay as links to others that have.
	Records int `json:"records"`
	// Results are those removed.
	Results int `json:"results"`
}

// Without returns m without the layers for which drop is true. With a layer go
// the layers above it and the results that need any of them; with these go the
// records that led to no other result, and the layers that no other result
// uses. A record that lost its result stays while another that has one is
// reached through it. A result given as a chain needs the layers of the chain
// but not their parents.
//
// What served nothing before is left alone, and so is the order: if drop is
// never true, the outcome equals m. The manifest must pass Check.
func (m *Manifest) Without(drop func(layer int) bool) (*Manifest, Lost) {
	dropped := make([]bool, len(m.Layers))
	for i := range m.Layers {
		dropped[i] = drop(i)
	}
	above := m.spread(dropped)
	rest, lost := m.withoutResults(func(r Result) bool {
		if r.Chain == nil {
			return above[r.Layer]
		}
		return slices.ContainsFunc(r.Chain, func(i int) bool { return dropped[i] })
	})
	rest.Layers = m.cutParents(above)
	layers := rest.layersStaying(m.usedLayers(), above)
	records := rest.recordsStaying(m.usedRecords())
	lost.Layers = len(m.Layers) - len(layers)
	return rest.arrange(layers, records), lost
}

// WithoutBlobs is Without for all layers whose blob is in gone.
func (m *Manifest) WithoutBlobs(gone map[blob.Digest]bool) (*Manifest, Lost) {
	return m.Without(func(i int) bool { return gone[m.Layers[i].Digest] })
}

// Usable is Without for the layers that BuildKit cannot use, which
// [Manifest.Unusable] yields.
func (m *Manifest) Usable() (*Manifest, Lost) {
	return m.Without(func(i int) bool { return m.Layers[i].CheckUsable() != nil })
}

// spread marks the marked layers and all above them.
func (m *Manifest) spread(marked []bool) []bool {
	all := slices.Clone(marked)
	for _, i := range m.parentsFirst() {
		if parent := m.Layers[i].Parent; parent != NoParent && all[parent] {
			all[i] = true
		}
	}
	return all
}

// withoutResults returns m without the results that drop accepts, and counts
// them.
func (m *Manifest) withoutResults(drop func(Result) bool) (rest *Manifest, lost Lost) {
	rest = &Manifest{Layers: m.Layers, Records: slices.Clone(m.Records), Extra: m.Extra, Envelope: m.Envelope}
	for i, r := range m.Records {
		left := slices.DeleteFunc(slices.Clone(r.Results), drop)
		rest.Records[i].Results = left
		lost.Results += len(r.Results) - len(left)
		if len(left) == 0 && len(r.Results) > 0 {
			lost.Records++
		}
	}
	return rest, lost
}

// cutParents returns the layers with no parent where that is among the lost. A
// layer that was lost itself may stay even so, as part of a chain, which
// disregards parents.
func (m *Manifest) cutParents(lost []bool) []Layer {
	layers := slices.Clone(m.Layers)
	for i, l := range layers {
		if l.Parent != NoParent && lost[l.Parent] {
			layers[i].Parent = NoParent
		}
	}
	return layers
}

// layersStaying returns the layers to keep: those still in use, and those that
// had no use before and are not lost, each with what is below.
func (m *Manifest) layersStaying(usedBefore, lost []bool) []int {
	staying := m.usedLayers()
	for i := range staying {
		staying[i] = staying[i] || !usedBefore[i] && !lost[i]
	}
	m.markParents(staying)
	return positions(staying)
}

// recordsStaying returns the records to keep: those that still serve a result,
// and those that served none before, each with what it leads back to.
func (m *Manifest) recordsStaying(usedBefore []bool) []int {
	staying := m.usedRecords()
	for i := range staying {
		staying[i] = staying[i] || !usedBefore[i]
	}
	m.markInputs(staying)
	return positions(staying)
}
