package harness

import (
	"fmt"
	"slices"
	"time"
)

// near is from which goal on it means something that larder was as fast as a
// peer now and then.
const near = 0.9

// Median returns the median of values, of which there is at least one.
func Median[T ~int64](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// Ratio is that of the medians.
func Ratio[T ~int64](ours, theirs []T) float64 {
	return float64(Median(ours)) / float64(max(Median(theirs), 1))
}

// Verdict says whether ours are at most so many times theirs.
func Verdict[T ~int64](ours, theirs []T, atMost float64) string {
	switch {
	case Ratio(ours, theirs) <= atMost:
		return "met"
	case atMost >= near && slices.Min(ours) <= slices.Max(theirs):
		return "not met by the medians; the ranges overlap"
	default:
		return "not met"
	}
}

// Seconds shows a time in nanoseconds.
func Seconds[T ~int64](t T) string { return fmt.Sprintf("%.2f", time.Duration(t).Seconds()) }

// Spread shows the least and the most of several times.
func Spread[T ~int64](all []T) string {
	if len(all) == 1 {
		return "once"
	}
	return Seconds(slices.Min(all)) + " to " + Seconds(slices.Max(all))
}
