package manifest

import "github.com/larder-build/larder/blob"

// Difference is what tells two manifests apart, in terms that do not depend on
// where things stand in them. Its JSON form is stable.
type Difference struct {
	// A and B are what only the first and only the second manifest has.
	A Part `json:"a"`
	B Part `json:"b"`
	// Common counts what both have.
	Common Count `json:"common"`
	// Changed are the records that both have, with another result.
	Changed []Change `json:"changed,omitempty"`
}

// Part is a part of a manifest.
type Part struct {
	Layers  []Named `json:"layers,omitempty"`
	Records []Named `json:"records,omitempty"`
	// Blobs are the distinct blobs that the other manifest does not have, and
	// Bytes is the sum of their sizes.
	Blobs []blob.Digest `json:"blobs,omitempty"`
	Bytes int64         `json:"bytes"`
}

// Count says how many layers and records there are, how many distinct blobs, and
// the sum of the blobs' sizes in bytes.
type Count struct {
	Layers  int   `json:"layers"`
	Records int   `json:"records"`
	Blobs   int   `json:"blobs"`
	Bytes   int64 `json:"bytes"`
}

// Named names a layer or a record, wherever it stands.
type Named struct {
	// Key is the same for the same thing in every manifest. It covers a layer's
	// blob and all below it; a record's digest and its inputs.
	Key blob.Digest `json:"key"`
	// Digest is the layer's blob or the record's digest.
	Digest blob.Digest `json:"digest"`
	// Name is the readable key of a record that larder wrote, or "".
	Name string `json:"name,omitempty"`
}

// Change is a record with another result. A and B are its newest result in
// either manifest, or nil where it has none.
type Change struct {
	Named
	A *Stack `json:"a,omitempty"`
	B *Stack `json:"b,omitempty"`
}

// Stack names a stack of blobs by the key of its topmost layer, and says which
// blob that is and how many layers there are. It does not list them: in a
// hostile manifest all stacks together are as long as its square.
type Stack struct {
	Key    blob.Digest `json:"key"`
	Top    blob.Digest `json:"top"`
	Layers int         `json:"layers"`
}

// IsEmpty reports whether the manifests hold the same.
func (d Difference) IsEmpty() bool {
	return d.A.isEmpty() && d.B.isEmpty() && len(d.Changed) == 0
}

func (p Part) isEmpty() bool { return len(p.Layers)+len(p.Records)+len(p.Blobs) == 0 }

// Diff compares two manifests, which must pass Check. Order, times and unknown
// fields make no difference, nor do older results of a record beside a newer.
func Diff(a, b *Manifest) Difference {
	left, right := newCompared(a), newCompared(b)
	d := Difference{A: left.only(right), B: right.only(left)}
	d.Common = Count{
		Layers:  len(left.Layers) - len(d.A.Layers),
		Records: len(left.Records) - len(d.A.Records),
		Blobs:   len(left.blobs) - len(d.A.Blobs),
	}
	for digest, size := range left.blobs {
		if _, both := right.blobs[digest]; both {
			d.Common.Bytes += size
		}
	}
	d.Changed = left.changes(right)
	return d
}

// compared is one side of a comparison. The manifest is canonical, so that what
// stands twice counts once.
type compared struct {
	keyed
	heights []int
	blobs   map[blob.Digest]int64
}

func newCompared(m *Manifest) compared {
	canonical := m.Canonical()
	c := compared{canonical.keyed(), canonical.heights(), map[blob.Digest]int64{}}
	for _, b := range c.Blobs() {
		c.blobs[b.Digest] = b.Size
	}
	return c
}

// only returns what other does not have.
func (c compared) only(other compared) Part {
	var p Part
	layers, records := positionsOf(other.layerKeys), positionsOf(other.recordKeys)
	for i, k := range c.layerKeys {
		if _, both := layers[k]; !both {
			p.Layers = append(p.Layers, Named{Key: k.digest(), Digest: c.Layers[i].Digest})
		}
	}
	for i, k := range c.recordKeys {
		if _, both := records[k]; !both {
			p.Records = append(p.Records, c.named(i))
		}
	}
	for _, b := range c.Blobs() {
		if _, both := other.blobs[b.Digest]; !both {
			p.Blobs = append(p.Blobs, b.Digest)
			p.Bytes += b.Size
		}
	}
	return p
}

func (c compared) changes(other compared) []Change {
	var changes []Change
	records := positionsOf(other.recordKeys)
	for i, k := range c.recordKeys {
		j, both := records[k]
		if !both {
			continue
		}
		if before, after := c.stack(i), other.stack(j); !sameStack(before, after) {
			changes = append(changes, Change{Named: c.named(i), A: before, B: after})
		}
	}
	return changes
}

func sameStack(a, b *Stack) bool {
	return a == b || a != nil && b != nil && a.Key == b.Key
}

func (c compared) named(i int) Named {
	return Named{Key: c.recordKeys[i].digest(), Digest: c.Records[i].Digest, Name: c.Records[i].Name()}
}

// stack returns the newest result of a record, or nil.
func (c compared) stack(i int) *Stack {
	if len(c.Records[i].Results) == 0 {
		return nil
	}
	r := c.Records[i].Results[0]
	s := &Stack{Key: c.stackKey(r).digest()}
	if r.Chain == nil {
		s.Top, s.Layers = c.Layers[r.Layer].Digest, c.heights[r.Layer]
	} else {
		s.Top, s.Layers = c.Layers[r.Chain[len(r.Chain)-1]].Digest, len(r.Chain)
	}
	return s
}

// heights returns for each layer how many layers it and its parents are.
func (m *Manifest) heights() []int {
	heights := make([]int, len(m.Layers))
	for _, i := range m.parentsFirst() {
		heights[i] = 1
		if parent := m.Layers[i].Parent; parent != NoParent {
			heights[i] += heights[parent]
		}
	}
	return heights
}

func positionsOf(keys []key) map[key]int {
	at := make(map[key]int, len(keys))
	for i, k := range keys {
		at[k] = i
	}
	return at
}
