package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/larder-build/larder/blob"
)

// Shed returns m with as few of its oldest records left out as it takes until
// fits accepts it, and how many those are. A record is as old as its newest
// result; one that others with a result are reached through stays as a link.
// What serves no result goes first of all, uncounted.
//
// fits is called for m, and then for about log2 of the number of records of
// candidates; it must accept whatever is smaller than what it accepts. Its error
// ends Shed. If fits does not accept even an empty manifest, the error matches
// [blob.ErrTooLarge]. The manifest must pass Check.
func Shed(m *Manifest, fits func(*Manifest) (bool, error)) (kept *Manifest, removed int, err error) {
	if ok, err := fits(m); ok || err != nil {
		return m, 0, err
	}
	oldest := m.oldestFirst()
	removed = sort.Search(len(oldest)+1, func(n int) bool {
		if err != nil {
			return true
		}
		var ok bool
		candidate := m.withoutRecords(oldest[:n])
		if ok, err = fits(candidate); ok {
			kept = candidate // the last that fits is the largest
		}
		return ok
	})
	switch {
	case err != nil:
		return nil, 0, err
	case kept == nil:
		return nil, 0, fmt.Errorf("%w: not even a manifest without records fits", blob.ErrTooLarge)
	}
	return kept, removed, nil
}

// oldestFirst returns the records that have a result, sorted by the time of
// their newest, equal times by key.
func (m *Manifest) oldestFirst() []int {
	keys := m.recordKeys()
	var served []int
	for i, r := range m.Records {
		if len(r.Results) > 0 {
			served = append(served, i)
		}
	}
	slices.SortFunc(served, func(i, j int) int {
		return cmp.Or(m.Records[i].newest().Compare(m.Records[j].newest()), keys[i].compare(keys[j]))
	})
	return served
}

// newest returns the time of the newest result, or the zero time.
func (r Record) newest() (t time.Time) {
	for _, result := range r.Results {
		if result.CreatedAt.After(t) {
			t = result.CreatedAt
		}
	}
	return t
}

// withoutRecords returns m without the results of the given records and
// whatever serves no other.
func (m *Manifest) withoutRecords(records []int) *Manifest {
	rest := *m
	rest.Records = slices.Clone(m.Records)
	for _, i := range records {
		rest.Records[i].Results = nil
	}
	return rest.Compact()
}
