package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
)

const promoteHelp = `Add the cache of one scope to that of another, as when a branch is merged into its
base. What the destination has is kept; the source is left as it is. On one store
no layer moves.

With --base the scopes are named as they are, and not by locations: a branch,
pr:NUMBER or tag:NAME.

  larder promote --base host/app/cache --from feature/login --to main`

// promoteCommand returns "larder promote".
func (a *app) promoteCommand() *cobra.Command {
	var from, to, base, encoding, target, platform string
	var opts larder.ExportOptions
	cmd := a.command("promote --from LOCATION --to LOCATION [flags]", "Add a branch's cache to that of another", promoteHelp, cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			var err error
			if opts.Encoding, err = parseEncoding(encoding); err != nil {
				return err
			}
			if base == "" {
				return a.promote(ctx, from, to, opts)
			}
			if from, err = a.scopeAt(base, from, target, platform); err != nil {
				return err
			}
			if to, err = a.scopeAt(base, to, target, platform); err != nil {
				return err
			}
			return a.promote(ctx, from, to, opts)
		})
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "`LOCATION` to promote, with one ref, or a scope")
	flags.StringVar(&to, "to", "", "`LOCATION` to add to, with one ref, or a scope")
	flags.StringVar(&base, "base", "", "`LOCATION` of both scopes, without a ref")
	flags.StringVar(&target, "target", "", "`NAME` of the builds' target, if scopes have one")
	flags.StringVar(&platform, "platform", "", "`NAME` of the builds' platform, which then has a cache of its own")
	flags.BoolVar(&opts.Overwrite, "overwrite", false, "replace what the destination has")
	addWriteFlags(cmd, &encoding, &opts.Strict)
	a.requireLocations(cmd, "from", "to")
	return cmd
}

// scopeAt returns the location of a scope at a base.
func (a *app) scopeAt(base, name, target, platform string) (string, error) {
	location, err := a.mux().Parse(base)
	if err != nil {
		return "", usagef("--base: %w", err)
	}
	if location.NamesRefs() {
		return "", usagef("--base: %s names a ref, in whose place each scope has its own: leave it out", location)
	}
	s, err := parseScope(name)
	if err != nil {
		return "", err
	}
	s.Target, s.Platform = target, platform
	ref, err := s.Name()
	if err != nil {
		return "", usagef("%w", err)
	}
	return location.WithRef(ref).Reveal(), nil
}

func (a *app) promote(ctx context.Context, from, to string, opts larder.ExportOptions) error {
	sources, err := a.open(ctx, use{what: "--from", one: true}, from)
	if err != nil {
		return err
	}
	defer closeAll(sources)
	dests, err := a.open(ctx, use{what: "--to", write: true, one: true}, to)
	if err != nil {
		return err
	}
	defer closeAll(dests)
	source, start := sources[0].targets()[0], a.Now()
	progress, stop := a.watch("promote", targets(dests))
	opts.Progress, opts.Now = progress, a.Now
	report, err := larder.Promote(ctx, source, dests[0].targets()[0], opts)
	stop()
	return a.report(report, a.Now().Sub(start), explain(ctx, err, source))
}
