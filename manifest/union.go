package manifest

import (
	"cmp"
	"maps"
	"slices"
)

// union gathers manifests into one in which every layer and every record stands
// once, in the order in which they first come up. It is what Canonical, Merge
// and Overlay have in common; a side says how they settle what differs.
type union struct {
	keyed
	side     side
	layerAt  map[key]int
	recordAt map[key]int
}

func newUnion(side side) *union {
	return &union{side: side, keyed: keyed{Manifest: &Manifest{}}, layerAt: map[key]int{}, recordAt: map[key]int{}}
}

// add joins m into u and returns where its layers and records stand there.
func (u *union) add(m *Manifest) (layers, records []int) {
	layers = u.addLayers(m)
	records = u.addRecords(m, layers)
	u.Extra = joinFields(u.Extra, m.Extra, u.side)
	u.Envelope = joinFields(u.Envelope, m.Envelope, u.side)
	return layers, records
}

func (u *union) addLayers(m *Manifest) []int {
	keys := m.layerKeys()
	moved := make([]int, len(m.Layers))
	for _, i := range m.parentsFirst() {
		l := m.Layers[i]
		if l.Parent != NoParent {
			l.Parent = moved[l.Parent]
		}
		at, known := u.layerAt[keys[i]]
		if known {
			u.Layers[at] = joinLayers(u.Layers[at], l, u.side)
		} else {
			at = len(u.Layers)
			u.layerAt[keys[i]] = at
			u.layerKeys = append(u.layerKeys, keys[i])
			u.Layers = append(u.Layers, l.owned())
		}
		moved[i] = at
	}
	return moved
}

func (u *union) addRecords(m *Manifest, layers []int) []int {
	keys := m.recordKeys()
	moved := make([]int, len(m.Records))
	for _, i := range m.inputsFirst() {
		r := m.Records[i]
		r.Inputs = moveInputs(r.Inputs, moved)
		foldInputs(r.Inputs, u.side)
		r.Results = moveResults(r.Results, layers)
		r.Extra = maps.Clone(r.Extra)
		at, known := u.recordAt[keys[i]]
		if known {
			u.Records[at] = joinRecords(u.Records[at], r, u.side)
		} else {
			at = len(u.Records)
			u.recordAt[keys[i]] = at
			u.recordKeys = append(u.recordKeys, keys[i])
			u.Records = append(u.Records, r)
		}
		moved[i] = at
	}
	return moved
}

// moveInputs returns inputs with new positions.
func moveInputs(inputs [][]Link, moved []int) [][]Link {
	if len(inputs) == 0 {
		return nil
	}
	out := make([][]Link, len(inputs))
	for i, input := range inputs {
		out[i] = slices.Clone(input)
		for j, link := range input {
			out[i][j].Record = moved[link.Record]
			out[i][j].Extra = maps.Clone(link.Extra)
		}
	}
	return out
}

// foldInputs sorts the alternatives of each input, in place, and joins those
// that stand twice.
func foldInputs(inputs [][]Link, s side) {
	for i, links := range inputs {
		slices.SortStableFunc(links, compareLinks)
		inputs[i] = foldLinks(links, s)
	}
}

func compareLinks(a, b Link) int {
	return cmp.Or(cmp.Compare(a.Record, b.Record), cmp.Compare(a.Selector, b.Selector))
}

// foldLinks joins adjacent links that are the same alternative, in place.
func foldLinks(links []Link, s side) []Link {
	folded := links[:0]
	for _, link := range links {
		last := len(folded) - 1
		if last >= 0 && compareLinks(folded[last], link) == 0 {
			folded[last].Extra = joinFields(folded[last].Extra, link.Extra, s)
			continue
		}
		folded = append(folded, link)
	}
	return folded
}

// moveResults returns results with new positions.
func moveResults(results []Result, moved []int) []Result {
	if len(results) == 0 {
		return nil
	}
	out := slices.Clone(results)
	for i, r := range out {
		out[i].Extra = maps.Clone(r.Extra)
		if r.Chain == nil {
			out[i].Layer = moved[r.Layer]
			continue
		}
		out[i].Layer = 0
		out[i].Chain = make([]int, len(r.Chain))
		for j, layer := range r.Chain {
			out[i].Chain[j] = moved[layer]
		}
	}
	return out
}
