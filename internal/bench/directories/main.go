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
	"path/filepath"

	"github.com/larder-build/larder/internal/bench/harness"
)

func main() { harness.Main(context.Background(), "directories", run) }

// options are those of the command line.
type options struct {
	harness.Options

	trees string
}

func parse(args []string, log io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("directories", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&o.trees, "trees", "", "where the trees are kept from one run to the next; the default is in the user's cache `directory`")
	o.Options, err = harness.Parse(flags, args, "a node_modules and a Go build cache, on file systems of their own if the user may mount; else a small tree")
	if err != nil || o.trees != "" {
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
	harness.PrintMachine(out, b.Rounds)
	var broken []error
	for _, t := range b.trees() {
		if err := b.plant(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.title, err)
		}
		fmt.Fprintf(out, "\n%s: %s\n", t.title, b.counted)
		for _, task := range b.tasks(t) {
			title := t.title + ", " + task.title
			if !b.Only.MatchString(title) {
				continue
			}
			r, err := b.measure(ctx, task)
			if err != nil {
				return fmt.Errorf("%s: %w", title, err)
			}
			printTable(out, title, task, r)
			if b.Full {
				printGoals(out, task, r)
			}
			broken = append(broken, task.broken(title, r))
		}
	}
	return errors.Join(broken...)
}
