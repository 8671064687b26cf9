package manifest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/blob"
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
	var h hasher
	for _, i := range m.parentsFirst() {
		l := m.Layers[i]
		below := key{}
		if l.Parent != NoParent {
			below = keys[l.Parent]
		}
		keys[i] = h.stackOn(below, l.Digest)
	}
	return keys
}

// stackOn returns the key of a blob laid over a stack; that of the empty stack
// is the zero key. A layer's key is that of the stack it tops.
func (h *hasher) stackOn(below key, top blob.Digest) key {
	h.key(below)
	h.text(string(top))
	return h.sum()
}

// recordKeys returns the key of each record.
func (m *Manifest) recordKeys() []key {
	keys := make([]key, len(m.Records))
	var h hasher
	for _, i := range m.inputsFirst() {
		r := m.Records[i]
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
type hasher struct {
	buf []byte
	set []alternative
}

func (h *hasher) number(n int) { h.buf = binary.BigEndian.AppendUint64(h.buf, uint64(n)) }

func (h *hasher) text(s string) {
	h.number(len(s))
	h.buf = append(h.buf, s...)
}

func (h *hasher) key(k key) { h.buf = append(h.buf, k[:]...) }

// alternatives adds an input as a set: neither order nor repetition counts.
func (h *hasher) alternatives(input []Link, keys []key) {
	set := h.set[:0]
	for _, link := range input {
		set = append(set, alternative{link.Selector, keys[link.Record]})
	}
	slices.SortFunc(set, compareAlternatives)
	h.set = slices.Compact(set)
	h.number(len(h.set))
	for _, a := range h.set {
		h.text(a.selector)
		h.key(a.record)
	}
}

// sum returns the key of what was added, and starts again.
func (h *hasher) sum() key {
	k := key(sha256.Sum256(h.buf))
	h.buf = h.buf[:0]
	return k
}
