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
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// size says how much is measured.
type size struct {
	bulkBytes   int64 // of a few large layers
	bulkLayers  int
	smallLayers int // of 4 to 64 KiB
	roundTrip   time.Duration
	service     time.Duration // what GitHub's cache takes to answer
	rounds      int
	judged      bool // whether it is large enough to compare times with goals
}

var (
	// smoke is enough to see that everything works: four of its large layers,
	// which are under way at a time, exceed maxHeap.
	smoke = size{bulkBytes: 160 << 20, bulkLayers: 5, smallLayers: 128, roundTrip: 5 * time.Millisecond, service: 5 * time.Millisecond, rounds: 1}
	full  = size{bulkBytes: 1 << 30, bulkLayers: 40, smallLayers: 2000, roundTrip: 20 * time.Millisecond, service: 100 * time.Millisecond, rounds: 5, judged: true}
)

// run is the whole program. As "bench peer NAME ..." it is one of the peers
// that are libraries.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	if len(args) > 0 && args[0] == peerCommand {
		return runPeer(ctx, args[1:])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(log)
	large := flags.Bool("full", false, "1 GiB in 40 layers, and 2,000 small layers; else a small part of that")
	rounds := flags.Int("rounds", 0, "how often everything is done; 0 means 5 times with -full, and once without")
	only := flags.String("only", "", "measure only the tasks whose title matches this regular `expression`")
	without := flags.String("without", "", "leave out the peers whose name matches this regular `expression`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := smoke
	if *large {
		s = full
	}
	if *rounds > 0 {
		s.rounds = *rounds
	}
	tasks, peers, err := filters(*only, *without)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, s, log)
	if err != nil {
		return err
	}
	return errors.Join(b.run(ctx, tasks, peers, out), b.close())
}

// run does the tasks and prints what they took.
func (b *bench) run(ctx context.Context, tasks, without *regexp.Regexp, out io.Writer) error {
	fmt.Fprintf(out, "%d cores, %s/%s, %s, %d rounds\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), b.size.rounds)
	var broken []error
	for _, t := range b.tasks() {
		if !tasks.MatchString(t.title) {
			continue
		}
		t.peers = withoutPeers(t.peers, without)
		results, err := b.measure(ctx, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.title, err)
		}
		printTable(out, t, results)
		if b.size.judged {
			printGoals(out, t, results)
		}
		broken = append(broken, t.broken(results))
	}
	broken = append(broken, b.runActions(ctx, tasks, without, out))
	return errors.Join(broken...)
}

// filters compiles the expressions of the command line.
func filters(only, without string) (tasks, peers *regexp.Regexp, err error) {
	if tasks, err = regexp.Compile(only); err != nil {
		return nil, nil, err
	}
	if without == "" {
		without = `^\b$` // matches nothing
	}
	peers, err = regexp.Compile(without)
	return tasks, peers, err
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
