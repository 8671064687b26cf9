package manifest

import (
	"cmp"
	"slices"

	"github.com/larder-build/larder/blob"
)

// Canonical returns m in the one order that depends on its content alone, so
// that the same cache has the same bytes whoever writes it. Layers and records
// that stand twice are folded into one; nothing else is left out, see
// [Manifest.Compact]. The manifest must pass Check.
//
// The order is BuildKit's (sortConfig in its package cache/remotecache/v1), and
// what that leaves open is settled by content: layers are sorted by blob, then
// by their parent's blob; records by digest, number of inputs, and then input by
// input by the number of alternatives, their selectors and digests; alternatives
// by the position of their record; the results of a record with the newest
// first.
func (m *Manifest) Canonical() *Manifest {
	u := newUnion(greater)
	u.add(m)
	return u.canonical()
}

// canonical ends the union: it sorts and folds what was gathered.
func (u *union) canonical() *Manifest {
	layers := u.sortedLayers()
	records := u.sortedRecords()
	for i, r := range u.Records {
		u.Records[i].Results = u.foldResults(r.Results)
	}
	arranged := u.arrange(layers, records)
	for _, r := range arranged.Records {
		foldInputs(r.Inputs, u.side)
	}
	return arranged
}

// arrange returns m with its layers and records in the given order of their
// positions. What is not listed is left out; no record that is listed may need
// it. A layer whose parent is left out has none afterwards.
func (m *Manifest) arrange(layers, records []int) *Manifest {
	out := &Manifest{Extra: m.Extra, Envelope: m.Envelope}
	if len(layers) > 0 {
		out.Layers = make([]Layer, 0, len(layers))
	}
	if len(records) > 0 {
		out.Records = make([]Record, 0, len(records))
	}
	movedLayers := newPositions(layers, len(m.Layers))
	for _, i := range layers {
		l := m.Layers[i]
		if l.Parent != NoParent {
			l.Parent = movedLayers[l.Parent]
		}
		out.Layers = append(out.Layers, l)
	}
	movedRecords := newPositions(records, len(m.Records))
	for _, i := range records {
		r := m.Records[i]
		r.Inputs = moveInputs(r.Inputs, movedRecords)
		r.Results = moveResults(r.Results, movedLayers)
		out.Records = append(out.Records, r)
	}
	return out
}

// newPositions returns for each of n old positions the new one, or NoParent.
func newPositions(order []int, n int) []int {
	moved := slices.Repeat([]int{NoParent}, n)
	for position, i := range order {
		moved[i] = position
	}
	return moved
}

func (u *union) sortedLayers() []int {
	below := func(i int) blob.Digest {
		if parent := u.Layers[i].Parent; parent != NoParent {
			return u.Layers[parent].Digest
		}
		return ""
	}
	return sortedPositions(len(u.Layers), func(i, j int) int {
		if order := cmp.Compare(u.Layers[i].Digest, u.Layers[j].Digest); order != 0 {
			return order
		}
		return cmp.Or(cmp.Compare(below(i), below(j)), u.layerKeys[i].compare(u.layerKeys[j]))
	})
}

func (u *union) sortedRecords() []int {
	for _, r := range u.Records {
		u.sortAlternatives(r)
	}
	return sortedPositions(len(u.Records), func(i, j int) int {
		return cmp.Or(
			u.compareSteps(u.Records[i], u.Records[j]),
			u.recordKeys[i].compare(u.recordKeys[j]),
		)
	})
}

// sortAlternatives sorts each input by content, so that records can be compared
// before they have their positions.
func (u *union) sortAlternatives(r Record) {
	for _, input := range r.Inputs {
		slices.SortFunc(input, func(a, b Link) int {
			return cmp.Or(u.compareLinked(a, b), u.recordKeys[a.Record].compare(u.recordKeys[b.Record]))
		})
	}
}

// compareSteps is BuildKit's order of records.
func (u *union) compareSteps(a, b Record) int {
	if order := cmp.Or(cmp.Compare(a.Digest, b.Digest), cmp.Compare(len(a.Inputs), len(b.Inputs))); order != 0 {
		return order
	}
	return slices.CompareFunc(a.Inputs, b.Inputs, func(x, y []Link) int {
		if order := cmp.Compare(len(x), len(y)); order != 0 {
			return order
		}
		return slices.CompareFunc(x, y, u.compareLinked)
	})
}

func (u *union) compareLinked(a, b Link) int {
	return cmp.Or(
		cmp.Compare(a.Selector, b.Selector),
		cmp.Compare(u.Records[a.Record].Digest, u.Records[b.Record].Digest),
	)
}

// sortedPositions returns 0 to n-1 sorted by compare.
func sortedPositions(n int, compare func(i, j int) int) []int {
	return slices.SortedFunc(slices.Values(upTo(n)), compare)
}

// upTo returns 0 to n-1.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
