// Command bench measures larder beside what else copies images and caches:
// crane, skopeo, oras-go, rclone, the managers of the SDKs of object stores and
// gocloud.dev, BuildKit's exporters, and bare requests, which are the floor. All
// of them run in one go, in turns, between directories, registries and object
// stores of this machine, each as a process of its own and with what it does by
// default.
//
//	go run -C internal/bench . -full
//
// It prints a table in Markdown for each task: medians and ranges, ratios, the
// requests that were sent, and the largest heap. It fails if larder sends more
// requests than it should or has a larger heap, which depends on no machine;
// how the times compare is only told. README.md holds the tables of one run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/larder-build/larder/internal/bench/harness"
)

func main() { harness.Main(context.Background(), "bench", run) }

// size says how much is measured.
type size struct {
	bulkBytes   int64 // of a few large layers
	bulkLayers  int
	smallLayers int // of 4 to 64 KiB
	roundTrip   time.Duration
	service     time.Duration // what GitHub's cache takes to answer
}

var (
	// smoke is enough to see that everything works: four of its large layers,
	// which are under way at a time, exceed maxHeap.
	smoke = size{bulkBytes: 160 << 20, bulkLayers: 5, smallLayers: 128, roundTrip: 5 * time.Millisecond, service: 5 * time.Millisecond}
	full  = size{bulkBytes: 1 << 30, bulkLayers: 40, smallLayers: 2000, roundTrip: 20 * time.Millisecond, service: 100 * time.Millisecond}
)

// run is the whole program. As "bench peer NAME ..." it is one of the peers
// that are libraries.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	if len(args) > 0 && args[0] == peerCommand {
		return runPeer(ctx, args[1:])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(log)
	o, err := harness.Parse(flags, args, "1 GiB in 40 layers, and 2,000 small layers; else a small part of that")
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o, log)
	if err != nil {
		return err
	}
	return errors.Join(b.run(ctx, out), b.close())
}

// run does the tasks and prints what they took.
func (b *bench) run(ctx context.Context, out io.Writer) error {
	harness.PrintMachine(out, b.options.Rounds)
	var broken []error
	for _, t := range b.tasks() {
		if !b.options.Only.MatchString(t.title) {
			continue
		}
		t.peers = withoutPeers(t.peers, b.options.Without)
		results, err := b.measure(ctx, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.title, err)
		}
		b.print(out, t, results)
		broken = append(broken, t.broken(results))
	}
	broken = append(broken, b.runActions(ctx, out))
	return errors.Join(broken...)
}

// print prints what a task took, and in the full size whether its goals are met.
func (b *bench) print(out io.Writer, t task, r results) {
	printTable(out, t, r)
	if b.options.Full {
		printGoals(out, t, r)
	}
}

func withoutPeers(all []peer, names *regexp.Regexp) []peer {
	var kept []peer
	for _, p := range all {
		if !names.MatchString(p.name) || strings.HasPrefix(p.name, "larder") {
			kept = append(kept, p)
		}
	}
	return kept
}
