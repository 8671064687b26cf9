package archive

import (
	"hash/fnv"
	"math"
	"math/bits"
)

// DefaultPackSize is about how many bytes of files [Split] puts into a pack.
const DefaultPackSize = 16 << 20

// overhead is what a name takes in a tar beside its content, in bytes.
const overhead = 2 * blockSize

// Split cuts a sorted list of entries into packs of about size bytes (0 means
// DefaultPackSize) and returns the position behind the last entry of each. A
// file larger than that has a pack to itself.
//
// Whether there is a cut behind an entry depends on a hash of its path and on
// its size, rounded to a power of two: a change moves only the cuts next to it.
// The chance of a cut grows with the size, so that packs have about the same
// size whatever the files have. The bounds, a quarter and twice of it, can carry
// a change further, but only to the next cut that does not come from them.
func Split(entries []Entry, size int64) []int {
	if size <= 0 {
		size = DefaultPackSize
	}
	var cuts []int
	var pack int64
	cut := func(end int) {
		if pack > 0 {
			cuts = append(cuts, end)
		}
		pack = 0
	}
	for i := range entries {
		n := entries[i].Size + overhead
		if n > size || pack+n > 2*size {
			cut(i)
		}
		pack += n
		if n > size || pack >= size/4 && chosen(entries[i].Path, n, size) {
			cut(i + 1)
		}
	}
	cut(len(entries))
	return cuts
}

// chosen reports whether there is a cut behind an entry of n bytes.
func chosen(path string, n, size int64) bool {
	h := fnv.New64a()
	_, _ = h.Write([]byte(path))
	rounded := int64(1) << (bits.Len64(uint64(n)) - 1)
	// The quarter that is filled without a cut comes on top of the mean.
	chance := float64(rounded) / (0.75 * float64(size))
	return float64(mix(h.Sum64())) < chance*math.MaxUint64
}

// mix spreads the bits of FNV, whose high ones change little from one path to
// the next (the finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
