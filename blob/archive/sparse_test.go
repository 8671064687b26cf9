package archive

import (
	"math/rand/v2"
	"testing"
)

// TestMapsOfManySegmentsFit has more segments than a map may have, at the end of
// the largest file that there can be.
func TestMapsOfManySegmentsFit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 1000, 300_000} {
		data := make([]segment, n)
		at, total := int64(1<<62), int64(0)
		for i := range data {
			data[i] = segment{at, 1 + random.Int64N(100_000)}
			total += data[i].length
			at += data[i].length + 1 + random.Int64N(1<<random.IntN(24))
		}
		before := append([]segment(nil), data...)
		fitted := fit(data)
		h := &header{}
		if table := h.sparse(&Entry{Path: "f", Size: at}, fitted); len(table) > 1<<20 {
			t.Errorf("the map of %d segments has %d bytes, want at most 1 MiB", n, len(table))
		}
		covered := int64(0)
		for i, j := 0, 0; i < len(fitted); i++ {
			end := fitted[i].offset + fitted[i].length
			if j == len(before) || fitted[i].offset != before[j].offset {
				t.Fatalf("of %d segments, the joined one %d begins at %d, where none did", n, i, fitted[i].offset)
			}
			for ; j < len(before) && before[j].offset < end; j++ {
				covered += before[j].length
			}
			if last := before[j-1]; end != last.offset+last.length {
				t.Fatalf("of %d segments, the joined one %d ends at %d, where none did", n, i, end)
			}
		}
		if covered != total {
			t.Errorf("of %d segments, the joined ones have %d bytes of data, want %d", n, covered, total)
		}
	}
}
