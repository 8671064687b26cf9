package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
)

const restoreHelp = `Bring back the directories that "larder save" stored under a key, or those of them
that are named, by the PATHs that they were saved by.

Of several locations the first that has the key serves it. If none has it, the
newest key that begins with the first --restore-key is taken, and so on. If there
is none at all, or none with all of the PATHs, that is a miss: it is said, and the
status is 0 all the same, unless --fail-on-miss is given. A key of which a layer is
missing or damaged is passed over, with a warning.

Relative paths are restored below --into. A directory that was saved by an absolute
path, or one with "..", is restored to there only if it is named, because it is the
cache that says so. What a directory has already is not fetched, what was not saved
stays there unless --exact is given, and a directory changes only when everything
for it has been fetched and checked.

For example:
  larder restore --from ghcr.io/org/cache:main --key "$key" --restore-key deps-
  larder restore --from local:cache --key "$key" node_modules ~/.cache/go-build`

const lookupHelp = `Say which key "larder restore" would restore, and from where, without fetching it.
Only keys with all of the PATHs count, if any are given. The status is 3 if there is
none.`

// keyFlags are the flags of restore and lookup.
type keyFlags struct {
	from []string
	key  string
	opts larder.RestoreOptions
	scoping
}

func (a *app) addKeyFlags(cmd *cobra.Command, k *keyFlags) {
	flags := cmd.Flags()
	flags.StringArrayVar(&k.from, "from", nil, "`LOCATION` to look in; may be repeated, the best first")
	flags.StringVar(&k.key, "key", "", "`KEY` to look for")
	flags.StringArrayVar(&k.opts.Prefixes, "restore-key", nil, "`PREFIX` of keys to fall back to; may be repeated, the best first")
	k.addScopeFlags(cmd)
	a.requireLocations(cmd, "from")
	_ = cmd.MarkFlagRequired("key")
}

// restoreCommand returns "larder restore".
func (a *app) restoreCommand() *cobra.Command {
	var k keyFlags
	var failOnMiss bool
	cmd := a.command("restore --from LOCATION [--from LOCATION]... --key KEY [flags] [PATH...]", "Bring back the directories of a key", restoreHelp, cobra.ArbitraryArgs,
		func(ctx context.Context, paths []string) error {
			k.opts.Directories = paths
			return a.restore(ctx, &k, failOnMiss)
		})
	cmd.ValidArgsFunction = nil
	a.addKeyFlags(cmd, &k)
	flags := cmd.Flags()
	flags.StringVar(&k.opts.Into, "into", "", "`DIR` that relative paths are restored to; the working directory by default")
	flags.BoolVar(&k.opts.Exact, "exact", false, "remove what is in the directories and was not saved")
	flags.BoolVar(&k.opts.Check, "check", false, "read the directories' files, and do not rely on what is remembered of them")
	flags.BoolVar(&k.opts.Extract.Owners, "owners", false, "give the files to whom they belonged")
	flags.BoolVar(&k.opts.Extract.Xattrs, "xattrs", false, "set extended attributes")
	flags.BoolVar(&k.opts.Extract.SetID, "set-id", false, "keep set-user-ID and set-group-ID bits")
	flags.BoolVar(&k.opts.Extract.Devices, "devices", false, "make device nodes, which are refused otherwise")
	flags.BoolVar(&failOnMiss, "fail-on-miss", false, "exit with status 3 if there is no key to restore")
	return cmd
}

// lookupCommand returns "larder lookup".
func (a *app) lookupCommand() *cobra.Command {
	var k keyFlags
	cmd := a.command("lookup --from LOCATION [--from LOCATION]... --key KEY [flags] [PATH...]", "Say which key would be restored", lookupHelp, cobra.ArbitraryArgs,
		func(ctx context.Context, paths []string) error {
			k.opts.Directories = paths
			return a.lookup(ctx, &k)
		})
	cmd.ValidArgsFunction = nil
	a.addKeyFlags(cmd, &k)
	return cmd
}

// restored is the JSON document of restore and lookup.
type restored struct {
	Schema string `json:"schema"`
	*larder.Found
	Directories []*larder.RestoredDirectory `json:"directories,omitempty"`
	Nanoseconds time.Duration               `json:"nanoseconds"`
	Error       *errorJSON                  `json:"error,omitempty"`
}

func (a *app) restore(ctx context.Context, k *keyFlags, failOnMiss bool) error {
	sources, closeSources, err := a.openSources(ctx, &k.scoping, k.from)
	if err != nil {
		return err
	}
	defer closeSources()
	start := a.Now()
	k.opts.Snapshots = a.snapshots()
	var stop func()
	k.opts.Progress, stop = a.watchNamed("restore", []string{printable(k.key)})
	out, err := larder.Restore(ctx, k.key, sources, k.opts)
	stop()
	took := a.Now().Sub(start)
	a.warnOfSources(out.Found)
	if err == nil && failOnMiss && !out.Hit {
		err = k.missed()
	}
	return a.found(err, k.key, restored{larder.Schema, out.Found, out.Directories, took, failed(err)})
}

func (a *app) lookup(ctx context.Context, k *keyFlags) error {
	sources, closeSources, err := a.openSources(ctx, &k.scoping, k.from)
	if err != nil {
		return err
	}
	defer closeSources()
	start := a.Now()
	out, err := larder.Lookup(ctx, k.key, sources, k.opts)
	a.warnOfSources(out)
	if err == nil && !out.Hit {
		err = k.missed()
	}
	return a.found(err, k.key, restored{Schema: larder.Schema, Found: out, Nanoseconds: a.Now().Sub(start), Error: failed(err)})
}

func (k *keyFlags) missed() error {
	text := fmt.Sprintf("there is no key %q", k.key)
	if len(k.opts.Prefixes) > 0 {
		text += ", nor one that begins with a --restore-key"
	}
	if len(k.opts.Directories) > 0 {
		text += ", with all of the PATHs"
	}
	return &nothingError{text: text}
}

// warnOfSources prints what is wrong with sources. That one has nothing is what
// chains are for.
func (a *app) warnOfSources(f *larder.Found) {
	for _, d := range f.Degradations {
		if d.Kind != larder.SourceMissing {
			a.warnOf(d)
		}
	}
}

// found prints what was found and restored, and returns err.
func (a *app) found(err error, key string, out restored) error {
	if a.quiet && !a.json {
		return err
	}
	return errors.Join(err, a.answer(out, func(w io.Writer) {
		switch {
		case err != nil:
			return
		case !out.Hit:
			_, _ = fmt.Fprintf(w, "%s: %s\n", printable(key), a.out.yellow("miss"))
			return
		}
		for _, d := range out.Directories {
			_, _ = fmt.Fprintf(w, "%s: wrote %s (%s), fetched %s, kept %s\n", printable(d.Path), count(d.Files, "name"), bytesText(d.Bytes), blobs(d.Fetched), blobs(d.Present))
		}
		how := "exact"
		if !out.Exact {
			how = "fallback"
		}
		_, _ = fmt.Fprintf(w, "%s: %s from %s %s, in %s\n", printable(out.Key), a.out.green(how), printable(out.Source), printable(out.Ref), elapsed(out.Nanoseconds))
	}))
}
