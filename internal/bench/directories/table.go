package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/larder-build/larder/internal/bench/harness"
)

// printTable prints what was measured for a task, in Markdown.
func printTable(out io.Writer, title string, t task, r results) {
	fmt.Fprintf(out, "\n### %s\n\n", title)
	fmt.Fprintln(out, "| | median s | range s | larder takes | CPU s | larder's CPU | MB moved | memory MiB |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|")
	for _, p := range t.peers {
		samples := r[p.name]
		if len(samples) == 0 {
			fmt.Fprintf(out, "| %s | %s | | | | | | |\n", p.name, p.absent)
			continue
		}
		fmt.Fprintf(out, "| %s | %s | %s | %.2f x | %s | %.2f x | %s | %d |\n", p.name,
			harness.Seconds(median(samples, wall)), harness.Spread(values(samples, wall)), ratio(r[larder], samples, wall),
			harness.Seconds(median(samples, cpu)), ratio(r[larder], samples, cpu), megabytes(median(samples, moved)), slices.Max(values(samples, memory))>>20)
	}
}

// What samples are compared by.
func wall(s sample) int64   { return int64(s.wall) }
func cpu(s sample) int64    { return int64(s.cpu) }
func moved(s sample) int64  { return s.bytes }
func memory(s sample) int64 { return s.memory }

// printGoals says whether the goals of a task are met.
func printGoals(out io.Writer, t task, r results) {
	for _, g := range t.goals {
		ours, theirs := r[larder], r[g.than]
		if len(ours) == 0 || len(theirs) == 0 {
			continue
		}
		what, by := "time", wall
		if g.bytes {
			what, by = "bytes", moved
		}
		fmt.Fprintf(out, "\nlarder takes %.2f x the %s of %s; the goal is at most %.2f x: %s\n",
			ratio(ours, theirs, by), what, g.than, g.atMost, harness.Verdict(values(ours, by), values(theirs, by), g.atMost))
	}
}

// ratio is that of the medians.
func ratio(ours, theirs []sample, by func(sample) int64) float64 {
	return harness.Ratio(values(ours, by), values(theirs, by))
}

func median(all []sample, by func(sample) int64) int64 { return harness.Median(values(all, by)) }

// values returns what samples are compared by.
func values(all []sample, by func(sample) int64) []int64 {
	some := make([]int64, len(all))
	for i, s := range all {
		some[i] = by(s)
	}
	return some
}

// megabytes is empty if nothing is known.
func megabytes(n int64) string {
	if n < 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", float64(n)/1e6)
}
