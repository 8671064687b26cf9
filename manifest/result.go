package manifest

import (
	"cmp"
	"slices"
)

// identifiedResult is a result with the key of the layers that it lists.
type identifiedResult struct {
	Result
	layers key
}

// compare orders the results of a record: the newest last, equal times by the
// layers. Only results with the same time and layers are equal.
func (r identifiedResult) compare(other identifiedResult) int {
	return cmp.Or(r.CreatedAt.Compare(other.CreatedAt), r.layers.compare(other.layers))
}

// layersKey returns a key of the layers that a result lists and of the way in
// which it lists them.
func (k keyed) layersKey(r Result) key {
	if r.Chain == nil {
		return k.layerKeys[r.Layer]
	}
	var h hasher
	h.number(len(r.Chain))
	for _, i := range r.Chain {
		h.key(k.layerKeys[i])
	}
	return h.sum()
}

// stackKey returns the key of a result's blobs, whichever way it lists them.
func (k keyed) stackKey(r Result) (stack key) {
	if r.Chain == nil {
		return k.layerKeys[r.Layer]
	}
	var h hasher
	for _, i := range r.Chain {
		stack = h.stackOn(stack, k.Layers[i].Digest)
	}
	return stack
}

// foldResults returns the distinct results, best first. Of results that list
// the same layers it keeps the newest, with nothing of the older ones: what an
// older result says of itself is not true of a newer one.
func (u *union) foldResults(results []Result) []Result {
	if len(results) < 2 {
		return results
	}
	identified := make([]identifiedResult, len(results))
	for i, r := range results {
		identified[i] = identifiedResult{r, u.layersKey(r)}
	}
	slices.SortStableFunc(identified, func(a, b identifiedResult) int { return b.compare(a) })
	var folded []Result
	at := make(map[key]int, len(results))
	for _, r := range identified {
		i, known := at[r.layers]
		switch {
		case !known:
			at[r.layers] = len(folded)
			folded = append(folded, r.Result)
		case folded[i].CreatedAt.Equal(r.CreatedAt):
			folded[i] = joinResults(folded[i], r.Result)
		}
	}
	return folded
}

// joinResults joins two results with the same layers and time.
func joinResults(a, b Result) Result {
	if compareSpelling(a.CreatedAt, b.CreatedAt) < 0 {
		a.CreatedAt = b.CreatedAt
	}
	a.Extra = joinFields(a.Extra, b.Extra, greater)
	return a
}
