package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"time"
)

// side says which of two descriptions of the same thing is kept.
type side bool

const (
	// greater keeps the greater in an order that depends on nothing but the two
	// themselves, so that the outcome does not depend on who came first, nor on
	// how many were joined before.
	greater side = false
	// earlier keeps the one that came first.
	earlier side = true
)

// joinLayers joins b to a, a description of the same layer on the same parent.
// The facts are those of one description, never a mixture: a size from here and
// a diffID from there might fit no blob at all. One that BuildKit can use beats
// one that it cannot.
func joinLayers(a, b Layer, s side) Layer {
	annotations := joinMaps(a.Annotations, b.Annotations, s, cmp.Compare[string])
	extra := joinFields(a.Extra, b.Extra, s)
	descriptorExtra := joinFields(a.DescriptorExtra, b.DescriptorExtra, s)
	order := compareUsable(a, b)
	if order == 0 && s == greater {
		order = compareFacts(a, b)
	}
	if order < 0 {
		a = b
	}
	a.Annotations, a.Extra, a.DescriptorExtra = annotations, extra, descriptorExtra
	return a
}

// owned returns l with maps of its own, to which more may be joined.
func (l Layer) owned() Layer {
	l.Annotations = maps.Clone(l.Annotations)
	l.Extra = maps.Clone(l.Extra)
	l.DescriptorExtra = maps.Clone(l.DescriptorExtra)
	return l
}

func compareUsable(a, b Layer) int {
	switch usableA, usableB := a.defect() == nil, b.defect() == nil; {
	case usableA == usableB:
		return 0
	case usableA:
		return 1
	default:
		return -1
	}
}

func compareFacts(a, b Layer) int {
	return cmp.Or(
		a.CreatedAt.Compare(b.CreatedAt),
		cmp.Compare(a.DiffID, b.DiffID),
		cmp.Compare(a.MediaType, b.MediaType),
		cmp.Compare(a.Size, b.Size),
		compareSpelling(a.CreatedAt, b.CreatedAt),
	)
}

// joinRecords joins b to a, which has the same key: the same alternatives, in
// the same order. The results of both are kept.
func joinRecords(a, b Record, s side) Record {
	for i, input := range a.Inputs {
		for j := range input {
			input[j].Extra = joinFields(input[j].Extra, b.Inputs[i][j].Extra, s)
		}
	}
	a.Extra = joinFields(a.Extra, b.Extra, s)
	a.Results = append(a.Results, b.Results...)
	return a
}

// joinFields joins unknown fields name by name, so that a writer which knows
// fewer of them takes none away. Of two values of one field the greater bytes
// are kept, and not the newer: a field has no time of its own, and if it took
// on that of the thing it belongs to, the outcome would depend on the order in
// which documents are merged.
func joinFields(a, b Fields, s side) Fields {
	return joinMaps(a, b, s, func(x, y json.RawMessage) int { return bytes.Compare(x, y) })
}

// joinMaps adds the entries of b to a, in place, and returns a.
func joinMaps[M ~map[string]V, V any](a, b M, s side, compare func(V, V) int) M {
	if len(a) == 0 {
		return maps.Clone(b)
	}
	for name, value := range b {
		old, known := a[name]
		if !known || s == greater && compare(old, value) < 0 {
			a[name] = value
		}
	}
	return a
}

// compareSpelling orders times that are the same instant in different zones.
func compareSpelling(a, b time.Time) int {
	return cmp.Compare(a.Format(time.RFC3339Nano), b.Format(time.RFC3339Nano))
}
