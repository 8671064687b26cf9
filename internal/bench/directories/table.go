package main

import (
	"fmt"
	"io"
	"slices"
	"time"
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
			seconds(median(samples, wall)), spread(samples), ratio(r[larder], samples, wall),
			seconds(median(samples, cpu)), ratio(r[larder], samples, cpu), megabytes(median(samples, moved)), most(samples, memory)>>20)
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
		got := ratio(ours, theirs, by)
		verdict := "met"
		if got > g.atMost {
			verdict = "not met"
			if least(ours, by) <= most(theirs, by) && g.atMost >= 0.9 {
				verdict = "not met by the medians; the ranges overlap"
			}
		}
		fmt.Fprintf(out, "\nlarder takes %.2f x the %s of %s; the goal is at most %.2f x: %s\n", got, what, g.than, g.atMost, verdict)
	}
}

// ratio is that of the medians.
func ratio(ours, theirs []sample, by func(sample) int64) float64 {
	return float64(median(ours, by)) / float64(max(median(theirs, by), 1))
}

func values(all []sample, by func(sample) int64) []int64 {
	var values []int64
	for _, s := range all {
		values = append(values, by(s))
	}
	slices.Sort(values)
	return values
}

func median(all []sample, by func(sample) int64) int64 { return values(all, by)[len(all)/2] }
func least(all []sample, by func(sample) int64) int64  { return slices.Min(values(all, by)) }
func most(all []sample, by func(sample) int64) int64   { return slices.Max(values(all, by)) }

func seconds(n int64) string { return fmt.Sprintf("%.2f", time.Duration(n).Seconds()) }

// spread is the least and the most of several times.
func spread(all []sample) string {
	if len(all) == 1 {
		return "once"
	}
	return seconds(least(all, wall)) + " to " + seconds(most(all, wall))
}

// megabytes is empty if nothing is known.
func megabytes(n int64) string {
	if n < 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", float64(n)/1e6)
}
