// Package cli is the command larder: it reads a command line, calls the verbs
// of package larder, and says to people or to programs what came of it. All it
// knows of the world comes through [Run]'s arguments.
//
// # Output
//
// Results go to standard output; progress, warnings and errors to standard
// error. For people there are tables, with colors if standard output is a
// terminal and NO_COLOR is not set. With --json there are JSON documents, whose
// fields "larder help json" lists: one for each ref that inspect and verify
// look at, otherwise exactly one, even if the command fails. Then it has the
// member "error" with a kind and a message.
//
// # Exit status
//
// "larder help status" lists it. Status 2 means that the command line is wrong
// as it stands, and 3 that what was to be read or removed does not exist.
// Like diff(1), diff has status 1 for caches that differ. Verify has 0 if
// nothing is wrong any more, which includes a repair that succeeded.
package cli

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/all"
)

// Streams are what a command has of the world around it.
type Streams struct {
	// In, Out and Err are the standard streams.
	In       io.Reader
	Out, Err io.Writer
	// OutTerminal and ErrTerminal say that Out and Err are terminals.
	OutTerminal, ErrTerminal bool
	// Getenv looks up an environment variable. Nil means that none is set.
	Getenv func(name string) string
	// Now tells the time; nil means [time.Now].
	Now func() time.Time
}

// Run executes the command line args, without the program's name, and returns
// the exit status of the process. It returns soon after ctx ends, having left
// the stores as if the command had not been started or, of several targets,
// had been given fewer.
func Run(ctx context.Context, args []string, s Streams) int {
	return run(ctx, args, s, all.Mux)
}

// run is Run with other stores.
func run(ctx context.Context, args []string, s Streams, stores func(all.Options) *backend.Mux) int {
	a := newApp(s, stores)
	root := a.root()                          //nolint:contextcheck // Commands get ctx from cobra, below.
	root.SetArgs(append([]string{}, args...)) // Nil would mean those of the process.
	cmd, err := root.ExecuteContextC(ctx)
	a.json = a.json || wantsJSON(args)
	if err != nil && !a.running {
		err = &usageError{err: err, command: cmd.CommandPath()}
	}
	return a.finish(ctx, cmd, err)
}

// wantsJSON reports whether --json is given, for command lines that are too
// wrong to be parsed to the end.
func wantsJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

const rootHelp = `larder lists, checks, compares, merges, copies and repairs build caches: those
that BuildKit and larder export. It also keeps directories in them, under keys:
save, restore, lookup and key.

A LOCATION is where a cache is, as BuildKit spells it (type=local,src=./cache,tag=main),
as a URL (local:./cache?tag=main), or simply a directory (./cache) or repository
(ghcr.io/org/cache:main). It may name several refs: tag=main;v1. See "larder help
locations", and "larder doctor" to find out what works there.`

// root returns the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "larder",
		Short:         "List, check, compare, merge, copy and repair build caches",
		Long:          rootHelp,
		Args:          a.unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,

		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print JSON, see \"larder help json\"")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print no progress and no summary")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log what is asked of the stores to standard error")
	root.AddCommand(
		a.copyCommand(), a.mergeCommand(), a.lsCommand(), a.inspectCommand(),
		a.verifyCommand(), a.diffCommand(), a.rmCommand(), a.scopeCommand(), a.promoteCommand(), a.explainCommand(),
		a.saveCommand(), a.restoreCommand(), a.lookupCommand(), a.keyCommand(), a.doctorCommand(), a.versionCommand(),
	)
	root.AddCommand(a.helpTopics()...)
	return root
}
