package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/larder-build/larder/internal/bench/harness"
)

// printTable prints what was measured for a task, in Markdown.
func printTable(out io.Writer, t task, r results) {
	fmt.Fprintf(out, "\n### %s\n\n", t.title)
	columns := []string{"", "median s", "range s", "larder takes", "requests", "CPU s", "heap MiB"}
	if t.store != nil {
		columns = append(columns, "server's CPU s")
	}
	fmt.Fprintf(out, "| %s |\n%s|\n", strings.Join(columns, " | "), strings.Repeat("|---", len(columns)))
	ours := r.samples[t.peers[0].name]
	for _, p := range t.peers {
		samples := r.samples[p.name]
		if len(samples) == 0 {
			fmt.Fprintf(out, "| %s | %s %s\n", p.name, p.absent, strings.Repeat("| ", len(columns)-1))
			continue
		}
		all := walls(samples)
		fmt.Fprintf(out, "| %s | %s | %s | %.2f x | %s | %s | %d |", p.name,
			harness.Seconds(harness.Median(all)), harness.Spread(all), ratio(ours, samples), requestsText(r.requests[p.name]),
			harness.Seconds(time.Duration(largest(samples, func(s sample) int64 { return int64(s.cpu) }))),
			largest(samples, func(s sample) int64 { return s.heap })>>20)
		if t.store != nil {
			fmt.Fprintf(out, " %s |", harness.Seconds(time.Duration(largest(samples, func(s sample) int64 { return int64(s.server) }))))
		}
		fmt.Fprintln(out)
	}
}

// printGoals says whether the goals of a task are met.
func printGoals(out io.Writer, t task, r results) {
	for _, g := range t.goals {
		printGoal(out, g, r)
	}
}

func printGoal(out io.Writer, g goal, r results) {
	ours, theirs := r.samples[g.peer], r.samples[g.than]
	if len(ours) == 0 || len(theirs) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s takes %.2f x the time of %s; the goal is at most %.2f x: %s\n", g.peer, ratio(ours, theirs), g.than, g.atMost, harness.Verdict(walls(ours), walls(theirs), g.atMost))
}

// ratio is that of the medians.
func ratio(ours, theirs []sample) float64 {
	return harness.Ratio(walls(ours), walls(theirs))
}

// requestsText shows counts by method, or by what GitHub's cache is asked for.
func requestsText(counts map[string]int) string {
	var parts []string
	for _, method := range append([]string{"HEAD", "GET", "POST", "PATCH", "PUT", "DELETE"}, actionsOps()...) {
		if n := counts[method]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, method))
		}
	}
	return strings.Join(parts, ", ")
}
