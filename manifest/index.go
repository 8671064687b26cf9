package manifest

import (
	"slices"

	"github.com/larder-build/larder/blob"
)

// Index answers the questions that an engine asks of a cache: which records are
// there for a step, given those that its inputs came from. Records are known by
// their positions in the manifest.
type Index struct {
	manifest *Manifest
	byDigest map[blob.Digest][]int
	users    map[use][]int
}

// use is one way in which a record depends on another.
type use struct {
	digest   blob.Digest // of the record that depends
	input    int
	record   int // that it depends on
	selector string
}

// NewIndex returns an index of m, which must pass Check and not change.
func NewIndex(m *Manifest) *Index {
	x := &Index{manifest: m, byDigest: map[blob.Digest][]int{}, users: map[use][]int{}}
	for i, r := range m.Records {
		x.byDigest[r.Digest] = append(x.byDigest[r.Digest], i)
		for input, links := range r.Inputs {
			for _, l := range links {
				u := use{r.Digest, input, l.Record, l.Selector}
				x.users[u] = append(x.users[u], i)
			}
		}
	}
	return x
}

// ByDigest returns the records with a digest, whatever their inputs.
func (x *Index) ByDigest(d blob.Digest) []int { return slices.Clone(x.byDigest[d]) }

// Roots returns the records with a digest and no inputs: those of sources,
// where a look-up begins.
func (x *Index) Roots(d blob.Digest) []int {
	return slices.DeleteFunc(x.ByDigest(d), func(i int) bool { return len(x.manifest.Records[i].Inputs) > 0 })
}

// Query returns the records with a digest and exactly as many inputs as are
// given, each of which one of the given links satisfies: it is among that
// input's alternatives, with the same selector. Without inputs it is Roots.
func (x *Index) Query(d blob.Digest, inputs ...[]Link) []int {
	if len(inputs) == 0 {
		return x.Roots(d)
	}
	matches := x.satisfied(d, 0, inputs[0])
	for n, links := range inputs[1:] {
		satisfied := x.satisfied(d, n+1, links)
		matches = slices.DeleteFunc(matches, func(i int) bool {
			_, found := slices.BinarySearch(satisfied, i)
			return !found
		})
	}
	return slices.DeleteFunc(matches, func(i int) bool { return len(x.manifest.Records[i].Inputs) != len(inputs) })
}

// satisfied returns the records with a digest of which any of the links
// satisfies an input, in ascending order.
func (x *Index) satisfied(d blob.Digest, input int, links []Link) []int {
	var records []int
	for _, l := range links {
		records = append(records, x.users[use{d, input, l.Record, l.Selector}]...)
	}
	slices.Sort(records)
	return slices.Compact(records)
}

// LinksTo returns links to the given records with a selector, for [Index.Query].
func LinksTo(selector string, records ...int) []Link {
	links := make([]Link, len(records))
	for i, r := range records {
		links[i] = Link{Record: r, Selector: selector}
	}
	return links
}
