package manifest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/larder-build/larder/blob"
	"github.com/opencontainers/go-digest"
)

// key identifies a layer, record or stack by its content alone, whatever the
// document it stands in and its position there. A layer's key covers its blob
// and those below it; a record's covers its digest and, for each input, the set
// of its alternatives. Neither covers what may change without making it another
// thing: times, annotations, results.
type key [sha256.Size]byte

func (k key) compare(other key) int { return bytes.Compare(k[:], other[:]) }

func (k key) digest() blob.Digest { return digest.NewDigestFromBytes(digest.SHA256, k[:]) }

// keyed is a manifest with the keys of its layers and records.
type keyed struct {
	*Manifest
	layerKeys, recordKeys []key
}

func (m *Manifest) keyed() keyed { return keyed{m, m.layerKeys(), m.recordKeys()} }

// layerKeys returns the key of each layer.
func (m *Manifest) layerKeys() []key {
	keys := make([]key, len(m.Layers))
	for _, i := range m.parentsFirst() {
		l := m.Layers[i]
		below := key{}
		if l.Parent != NoParent {
			below = keys[l.Parent]
		}
		keys[i] = stackOn(below, l.Digest)
	}
	return keys
}

// stackOn returns the key of a blob laid over a stack; that of the empty stack
// is the zero key. A layer's key is that of the stack it tops.
func stackOn(below key, top blob.Digest) key {
	h := newHasher()
	h.key(below)
	h.text(string(top))
	return h.sum()
}

// recordKeys returns the key of each record.
func (m *Manifest) recordKeys() []key {
	keys := make([]key, len(m.Records))
	h := newHasher()
	for _, i := range m.inputsFirst() {
		r := m.Records[i]
		h.Reset()
		h.text(string(r.Digest))
		h.number(len(r.Inputs))
		for _, input := range r.Inputs {
			h.alternatives(input, keys)
		}
		keys[i] = h.sum()
	}
	return keys
}

// alternative is a link in terms of content.
type alternative struct {
	selector string
	record   key
}

func compareAlternatives(a, b alternative) int {
	return cmp.Or(cmp.Compare(a.selector, b.selector), a.record.compare(b.record))
}

// hasher hashes sequences of values such that different ones never run into
// the same bytes.
type hasher struct{ hash.Hash }

func newHasher() hasher { return hasher{sha256.New()} }

func (h hasher) number(n int) {
	var buf [8]byte
	binary.BigEndian.PutUint64(buf[:], uint64(n))
	_, _ = h.Write(buf[:]) // a hash never fails
}

func (h hasher) text(s string) {
	h.number(len(s))
	_, _ = h.Write([]byte(s))
}

func (h hasher) key(k key) { _, _ = h.Write(k[:]) }

// alternatives hashes an input as a set: neither order nor repetition counts.
func (h hasher) alternatives(input []Link, keys []key) {
	set := make([]alternative, len(input))
	for i, link := range input {
		set[i] = alternative{link.Selector, keys[link.Record]}
	}
	slices.SortFunc(set, compareAlternatives)
	set = slices.Compact(set)
	h.number(len(set))
	for _, a := range set {
		h.text(a.selector)
		h.key(a.record)
	}
}

func (h hasher) sum() (k key) {
	h.Sum(k[:0])
	return k
}
