package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

const copyHelp = `Make the refs at the destinations point to the cache that the source has.

The copy is a mirror: its manifest has the same bytes, unless the destination
keeps caches in another form, and replaces what the ref had. Layers are not
changed. Each is read once, however many destinations there are, and checked on
the way. With --merge the cache is added to what the destinations have.

A destination of type=inline is an image that is there: it keeps its layers and
gets those records of the cache whose results they are, in place of what cache
it had or, with --merge, beside it. Its digest changes.

With --compression layers that are not compressed are; --force-compression also
changes those of another compression, and with a level, as in zstd:19, all. Blobs
and manifest then have other digests; BuildKit finds the same steps in the copy.

With --scope the locations are bases without a ref: the source is the first scope
that the build may read and that has a cache, and the destinations are the scopes
that it writes. "larder scope" shows them.`

// copyCommand returns "larder copy".
func (a *app) copyCommand() *cobra.Command {
	var from, encoding, compression string
	var to []string
	var opts larder.CopyOptions
	s := &scoping{}
	cmd := a.command("copy --from LOCATION --to LOCATION [--to LOCATION]... [flags]", "Copy a cache to other places", copyHelp, cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			var err error
			if opts.Encoding, err = parseEncoding(encoding); err != nil {
				return err
			}
			if opts.Recompress.Compression, opts.Recompress.Level, err = parseCompression(compression); err != nil {
				return err
			}
			if opts.Recompress.Force && compression == "" {
				return usagef("--force-compression: want --compression as well")
			}
			return a.copy(ctx, s, from, to, opts)
		})
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "`LOCATION` to copy from, with one ref")
	flags.StringArrayVar(&to, "to", nil, "`LOCATION` to copy to; may be repeated, and name several refs")
	flags.BoolVar(&opts.Merge, "merge", false, "add to what the destinations have instead of replacing it")
	flags.BoolVar(&opts.SkipBroken, "skip-broken", false, "copy what is whole of a cache that lacks blobs")
	flags.StringVar(&compression, "compression", "", "`TYPE[:LEVEL]` for layers that are not compressed: zstd, gzip, estargz or uncompressed")
	flags.BoolVar(&opts.Recompress.Force, "force-compression", false, "change layers of another compression too, and with a LEVEL all")
	addWriteFlags(cmd, &encoding, &opts.Strict)
	s.addScopeFlags(cmd)
	a.requireLocations(cmd, "from", "to")
	return cmd
}

// encodings are the forms that a cache can be written in.
var encodings = []string{
	string(buildkit.OCIManifest), string(buildkit.OCIIndex), string(buildkit.DockerList), string(buildkit.Flat),
}

func addWriteFlags(cmd *cobra.Command, encoding *string, strict *bool) {
	flags := cmd.Flags()
	flags.StringVar(encoding, "encoding", "", "`FORM` to write: "+strings.Join(encodings, ", "))
	flags.BoolVar(strict, "strict", false, "fail rather than leave out the oldest records of a cache too large for BuildKit")
	// It fails for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("encoding", cobra.FixedCompletions(encodings, cobra.ShellCompDirectiveNoFileComp))
}

func parseEncoding(text string) (buildkit.Encoding, error) {
	for _, e := range append(encodings, "") {
		if text == e {
			return buildkit.Encoding(e), nil
		}
	}
	return "", usagef("--encoding: unknown form %s, want one of %s", blob.Quote(text), strings.Join(encodings, ", "))
}

func (a *app) copy(ctx context.Context, s *scoping, from string, to []string, opts larder.CopyOptions) error {
	e, err := a.openEnds(ctx, s, true, []string{from}, to)
	if err != nil {
		return err
	}
	defer e.close()
	source, start := e.from[0], a.Now()
	progress, stop := a.watch("copy", e.to)
	opts.Progress, opts.Now = progress, a.Now
	report, err := larder.Copy(ctx, source, e.to, opts)
	stop()
	if err = explain(ctx, err, source); brokenSource(err, report) {
		err = &hinted{error: err, hint: fmt.Sprintf("--skip-broken copies the rest, and larder verify --repair %s drops what is broken", shellWord(e.at.String()))}
	}
	return a.report(report, a.Now().Sub(start), err)
}

// brokenSource reports whether a copy failed because of blobs of its source.
func brokenSource(err error, report *larder.Report) bool {
	var nothing *nothingError
	if errors.As(err, &nothing) || !errors.Is(err, backend.ErrCorrupt) && !errors.Is(err, backend.ErrNotFound) {
		return false
	}
	for _, d := range report.Degradations {
		if d.Kind == larder.BlobLost {
			return true
		}
	}
	return false
}

// transferred is the JSON document of copy and merge.
type transferred struct {
	*larder.Report
	Nanoseconds time.Duration `json:"nanoseconds"`
	Error       *errorJSON    `json:"error,omitempty"`
}

// report says what a transfer did, and returns err.
func (a *app) report(r *larder.Report, took time.Duration, err error) error {
	for _, d := range r.Degradations {
		if err == nil || !isCause(d.Kind) {
			a.warnOf(d)
		}
	}
	for _, t := range r.Targets {
		a.warnAll(slices.DeleteFunc(slices.Clone(t.Degradations), func(d larder.Degradation) bool {
			return t.Outcome == larder.Failed && d.Kind == larder.UnguardedPublish // nothing was published
		}))
	}
	if a.json {
		return errors.Join(err, a.answer(transferred{Report: r, Nanoseconds: took, Error: failed(err)}, nil))
	}
	if a.quiet {
		return err
	}
	return errors.Join(err, a.answer(nil, func(w io.Writer) {
		if c := r.Recompressed; c != nil {
			_, _ = fmt.Fprintf(w, "recompressed %s: %s to %s\n", count(c.Blobs, "layer"), bytesText(c.Before), bytesText(c.After))
		}
		for _, t := range r.Targets {
			a.summary(w, t, took)
		}
	}))
}

// isCause reports whether a degradation is what a transfer fails of, if it does:
// the error says the same then.
func isCause(kind larder.DegradationKind) bool {
	return kind == larder.BlobLost || kind == larder.SourceMissing || kind == larder.SourceFailed
}

// warnAll prints degradations, one line each.
func (a *app) warnAll(all []larder.Degradation) {
	for _, d := range all {
		a.warnOf(d)
	}
}

func (a *app) warnOf(d larder.Degradation) {
	text := string(d.Kind) + ": "
	if d.Target != "" {
		text += d.Target + ": "
	}
	a.warn(text + strings.ReplaceAll(d.Detail, "\n", "; "))
}

// summary prints what was done to one target. Failures are left to the error, as
// are targets whose turn never came.
func (a *app) summary(w io.Writer, t *larder.TargetReport, took time.Duration) {
	if t.Outcome == larder.Failed || t.Outcome == "" {
		return
	}
	name := printable(t.Target + " " + t.Ref)
	if t.Outcome == larder.Skipped {
		_, _ = fmt.Fprintf(w, "%s: %s\n", name, a.out.yellow("nothing to publish"))
		return
	}
	_, _ = fmt.Fprintf(w, "%s: %s %s", name, a.out.green(string(t.Outcome)), a.out.digest(t.Digest))
	if t.Attached > 0 {
		_, _ = fmt.Fprintf(w, ", attached %s", count(t.Attached, "record"))
	} else {
		_, _ = fmt.Fprintf(w, ", sent %s, reused %s", blobs(t.Sent), blobs(t.Reused))
	}
	if t.Mounted.Blobs > 0 {
		_, _ = fmt.Fprintf(w, ", mounted %s", blobs(t.Mounted))
	}
	if t.Retries > 0 {
		_, _ = fmt.Fprintf(w, ", retried %d times", t.Retries)
	}
	_, _ = fmt.Fprintf(w, ", in %s\n", elapsed(took))
}

// blobs shows a number of blobs and their bytes.
func blobs(c larder.Count) string {
	if c.Blobs == 0 {
		return "0 blobs"
	}
	return count(c.Blobs, "blob") + " (" + bytesText(c.Bytes) + ")"
}
