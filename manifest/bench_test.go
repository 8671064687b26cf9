package manifest

import (
	"fmt"
	"testing"
)

// builds returns the manifest of a project with n records: steps in chains of
// ten, of which the last has a stack of three layers.
func builds(n int, generation string) *Manifest {
	m := &Manifest{}
	for i := range n {
		name := fmt.Sprint(i)
		r := Record{Digest: sum("step " + name)}
		if i%10 != 0 {
			r.Inputs = [][]Link{links(i - 1)}
			m.Layers = append(m.Layers, layer(generation+name, (i/10)*9+(i%10-2)%3))
			last := len(m.Layers) - 1
			if m.Layers[last].Parent >= last || i%3 == 0 {
				m.Layers[last].Parent = NoParent
			}
			r.Results = []Result{top(last, i)}
		}
		m.Records = append(m.Records, r)
	}
	return m
}

func BenchmarkCanonical(b *testing.B) {
	for _, n := range []int{1020, 20_000} {
		m := builds(n, "a")
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Canonical()
			}
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, n := range []int{1020, 20_000} {
		old, young := builds(n, "a"), builds(n, "b")
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Merge(old, young)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	m := builds(20_000, "a")
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
