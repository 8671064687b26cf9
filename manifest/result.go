package manifest

import (
	"cmp"
	"slices"
)

// identifiedResult is a result in terms of content.
type identifiedResult struct {
	Result
	// stack is the key of the blobs, whichever way the result lists them.
	stack key
	// layers tells apart results whose stacks are equal but which list other
	// layers, or list them in another way.
	layers key
}

// compare orders the results of a record: the newest last, equal times by the
// layers. Only results with the same time and layers are equal.
func (r identifiedResult) compare(other identifiedResult) int {
	return cmp.Or(
		r.CreatedAt.Compare(other.CreatedAt),
		r.stack.compare(other.stack),
		r.layers.compare(other.layers),
	)
}

func (k keyed) identify(r Result) identifiedResult {
	if r.Chain == nil {
		return identifiedResult{Result: r, stack: k.layerKeys[r.Layer], layers: k.layerKeys[r.Layer]}
	}
	var stack key
	var stacks, layers hasher
	layers.number(len(r.Chain))
	for _, i := range r.Chain {
		stack = stacks.stackOn(stack, k.Layers[i].Digest)
		layers.key(k.layerKeys[i])
	}
	return identifiedResult{Result: r, stack: stack, layers: layers.sum()}
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
		identified[i] = u.identify(r)
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
