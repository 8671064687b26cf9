// Command larder lists, checks, compares, merges, copies and repairs build
// caches. "larder help" says how. It is also an example of a program built with
// larder, a thin one: what it does is in package internal/cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/larder-build/larder/internal/cli"
)

func main() {
	os.Exit(run())
}

// run is main with deferred calls.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends ctx, and the command tidies up. The second one
	// finds nobody who listens and ends the process.
	defer context.AfterFunc(ctx, stop)()
	return cli.Run(ctx, os.Args[1:], cli.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		ErrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		Getenv:      os.Getenv,
	})
}
