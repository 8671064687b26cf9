package backend

// nearest returns the candidate that a misspelled word most likely stands for,
// if any is close enough: at most one edit for every three letters, at least one.
func nearest(word string, candidates []string) (best string, ok bool) {
	limit := max(1, len(word)/3)
	for _, candidate := range candidates {
		if n := edits(word, candidate); n <= limit {
			best, limit, ok = candidate, n-1, true
		}
	}
	return best, ok
}

// edits returns the number of letters to insert, remove, replace or swap with
// their neighbor to get from a to b: the optimal string alignment distance.
func edits(a, b string) int {
	// Three rows of the table suffice: the two before and the one being filled.
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
