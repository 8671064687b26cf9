// Command directories measures how larder saves and restores directories beside
// what else does: tar and zstd, @actions/cache, restic, borg and rsync. All of
// them run in one go, in turns, on the same trees and the same file system, each
// with what it does by default.
//
//	TMPDIR=/dev/shm go run -C internal/bench ./directories -full
//
// It prints a table in Markdown for each task: medians and ranges, ratios, the
// bytes that were stored, processor time and memory. It fails if larder stores
// or fetches more than it should, which depends on no machine; how the times
// compare is only told. README.md, a directory up, holds the tables of one run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "directories:", err)
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	full          bool
	rounds        int
	only, without *regexp.Regexp
	trees         string
}

func parse(args []string, log io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("directories", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.BoolVar(&o.full, "full", false, "a node_modules and a Go build cache, on file systems of their own if the user may mount; else a small tree")
	flags.IntVar(&o.rounds, "rounds", 0, "how often everything is done; 0 means 5 times with -full, and once without")
	only := flags.String("only", "", "measure only the tasks whose title matches this regular `expression`")
	without := flags.String("without", "", "leave out the peers whose name matches this regular `expression`")
	flags.StringVar(&o.trees, "trees", "", "where the trees are kept from one run to the next; the default is in the user's cache `directory`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.rounds <= 0 {
		o.rounds = 1
		if o.full {
			o.rounds = 5
		}
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, err
	}
	if *without == "" {
		*without = `^\b$` // matches nothing
	}
	if o.without, err = regexp.Compile(*without); err != nil || o.trees != "" {
		return o, err
	}
	cache, err := os.UserCacheDir()
	o.trees = filepath.Join(cache, "larder-bench")
	return o, err
}

// run is the whole program.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	o, err := parse(args, log)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o, log)
	if err != nil {
		return err
	}
	return errors.Join(b.run(ctx, out), b.close(ctx))
}

// run does the tasks and prints what they took.
func (b *bench) run(ctx context.Context, out io.Writer) error {
	fmt.Fprintf(out, "%d cores, %s/%s, %s, %d rounds\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), b.rounds)
	var broken []error
	for _, t := range b.trees() {
		if err := b.plant(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.title, err)
		}
		fmt.Fprintf(out, "\n%s: %s\n", t.title, b.counted)
		for _, task := range b.tasks(t) {
			title := t.title + ", " + task.title
			if !b.only.MatchString(title) {
				continue
			}
			r, err := b.measure(ctx, task)
			if err != nil {
				return fmt.Errorf("%s: %w", title, err)
			}
			printTable(out, title, task, r)
			if b.full {
				printGoals(out, task, r)
			}
			broken = append(broken, task.broken(title, r))
		}
	}
	return errors.Join(broken...)
}
