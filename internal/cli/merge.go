package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
)

const mergeHelp = `Add the records of several caches to one or several others.

On the same record the newest result is kept. What the destinations have is kept
too, unless --overwrite is given. Records whose blobs are missing are left out,
with a warning; a source that cannot be read is an error, and so is one that does
not exist, unless --skip-missing is given.

With --scope the locations are bases without a ref: the sources are the scopes that
the build may read and that have a cache, the destinations those that it writes.`

// mergeCommand returns "larder merge".
func (a *app) mergeCommand() *cobra.Command {
	var from, to []string
	var encoding string
	var opts larder.ExportOptions
	s := &scoping{}
	cmd := a.command("merge --from LOCATION --from LOCATION... --to LOCATION [flags]", "Merge caches into one", mergeHelp, cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			var err error
			if opts.Encoding, err = parseEncoding(encoding); err != nil {
				return err
			}
			return a.merge(ctx, s, from, to, opts)
		})
	flags := cmd.Flags()
	flags.StringArrayVar(&from, "from", nil, "`LOCATION` to read; may be repeated, and name several refs")
	flags.StringArrayVar(&to, "to", nil, "`LOCATION` to add to; may be repeated, and name several refs")
	flags.BoolVar(&opts.Overwrite, "overwrite", false, "replace what the destinations have")
	flags.BoolVar(&opts.SkipMissing, "skip-missing", false, "do without the sources that do not exist, as long as one does")
	addWriteFlags(cmd, &encoding, &opts.Strict)
	s.addScopeFlags(cmd)
	a.requireLocations(cmd, "from", "to")
	return cmd
}

func (a *app) merge(ctx context.Context, s *scoping, from, to []string, opts larder.ExportOptions) error {
	e, err := a.openEnds(ctx, s, false, from, to)
	if err != nil {
		return err
	}
	defer e.close()
	start := a.Now()
	progress, stop := a.watch("merge", e.to)
	opts.Progress, opts.Now = progress, a.Now
	report, err := larder.Merge(ctx, e.from, e.to, opts)
	stop()
	err = explain(ctx, err, e.from...)
	var missing *nothingError
	if errors.As(err, &missing) && !opts.SkipMissing && len(e.from) > 1 {
		missing.hint = strings.TrimPrefix(missing.hint+"; --skip-missing does without", "; ")
	}
	return a.report(report, a.Now().Sub(start), err)
}
