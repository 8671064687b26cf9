package manifest

import "slices"

// parentsFirst returns the positions of all layers, each after its parent. It
// ends even if there are loops of parents.
func (m *Manifest) parentsFirst() []int {
	order := make([]int, 0, len(m.Layers))
	done := make([]bool, len(m.Layers))
	for i := range m.Layers {
		start := len(order)
		for ; i != NoParent && !done[i]; i = m.Layers[i].Parent {
			done[i] = true
			order = append(order, i)
		}
		slices.Reverse(order[start:])
	}
	return order
}

// inputsFirst returns the positions of all records, each after the records that
// it links to. Records on a loop, and what leads to one, are left out.
func (m *Manifest) inputsFirst() []int {
	users := make([][]int, len(m.Records))
	waiting := make([]int, len(m.Records))
	order := make([]int, 0, len(m.Records))
	for i, r := range m.Records {
		for _, input := range r.Inputs {
			waiting[i] += len(input)
			for _, link := range input {
				users[link.Record] = append(users[link.Record], i)
			}
		}
		if waiting[i] == 0 {
			order = append(order, i)
		}
	}
	for next := 0; next < len(order); next++ {
		for _, i := range users[order[next]] {
			waiting[i]--
			if waiting[i] == 0 {
				order = append(order, i)
			}
		}
	}
	return order
}
