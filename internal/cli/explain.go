package cli

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
)

const explainHelp = `Say where a step or a blob is found in a chain of caches, or why it is missed:
nobody has recorded it, it is in a ref that is not in the chain, its blobs are
gone, or have expired. KEY is the digest of a record or blob, its first six or more
digits, or the readable key of a record.

The status is 0 for a hit and 1 for a miss.`

// explainCommand returns "larder explain".
func (a *app) explainCommand() *cobra.Command {
	var from []string
	var opts larder.ExplainOptions
	s := &scoping{}
	cmd := a.command("explain KEY --from LOCATION [--from LOCATION]... [flags]", "Say why a step is found, or missed", explainHelp, oneKey,
		func(ctx context.Context, args []string) error { return a.explain(ctx, args[0], from, s, opts) })
	flags := cmd.Flags()
	flags.StringArrayVar(&from, "from", nil, "`LOCATION` to look at, in order; may be repeated, and name several refs")
	flags.BoolVar(&opts.ChainOnly, "chain-only", false, "do not look at other refs")
	flags.DurationVar(&opts.MaxAge, "max-age", 0, "`DURATION` after which stores remove what nobody used (default 168h)")
	s.addScopeFlags(cmd)
	a.addNoTrunc(cmd)
	a.requireLocations(cmd, "from")
	return cmd
}

func oneKey(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("want one key or digest, got " + count(len(args), "argument"))
	}
	return nil
}

func (a *app) explain(ctx context.Context, key string, from []string, s *scoping, opts larder.ExplainOptions) error {
	chain, done, err := a.chain(ctx, "--from", from, s)
	if err != nil {
		return err
	}
	defer done()
	opts.Now = a.Now
	found, err := larder.Explain(ctx, key, chain, opts)
	if errors.Is(err, backend.ErrInvalid) {
		return usagef("%w", err)
	}
	if err != nil {
		return err
	}
	if err := a.answer(found, func(w io.Writer) { a.printExplanation(w, found) }); err != nil {
		return err
	}
	if found.Verdict != larder.Hit {
		return errFound
	}
	return nil
}

// chain opens the targets to read from: those of the locations or, with --scope,
// those of the plan at these bases. What it returns is closed by done.
func (a *app) chain(ctx context.Context, what string, texts []string, s *scoping) (chain []larder.Target, done func(), err error) {
	if !s.given() {
		places, err := a.open(ctx, use{what: what}, texts...)
		return targets(places), func() { closeAll(places) }, err
	}
	plan, err := a.plan(ctx, s, texts...)
	if err != nil {
		return nil, nil, err
	}
	a.warnPlan(plan)
	b, err := a.readers(ctx, what, plan, texts...)
	if err != nil {
		return nil, nil, err
	}
	return larder.Targets(b.Read), func() { _ = b.Close() }, nil // as closeAll
}

// verdictTexts say the verdicts in words.
func verdictTexts() map[larder.Verdict]string {
	return map[larder.Verdict]string{
		larder.Hit:           "hit",
		larder.BlobGone:      "recorded, but blobs are gone",
		larder.Expired:       "recorded, but blobs have expired",
		larder.NoResult:      "recorded without a result",
		larder.Elsewhere:     "recorded elsewhere, not in the chain",
		larder.Unreadable:    "could not be read",
		larder.NeverRecorded: "never recorded",
	}
}

func (a *app) printExplanation(w io.Writer, e *larder.Explanation) {
	fields(w, "Digest", printable(string(e.Digest)), "Verdict", verdictTexts()[e.Verdict])
	_, _ = io.WriteString(w, "\n")
	rows := [][]string{{"", "REF", "VERDICT", "RECORDS", "LAYERS", "MISSING", "CREATED", "LOCATION"}}
	add := func(what string, all []larder.Explained) {
		for _, s := range all {
			rows = append(rows, []string{
				what, printable(s.Ref), verdictTexts()[s.Verdict], strconv.Itoa(s.Records), strconv.Itoa(s.Layers), strconv.Itoa(len(s.Missing)),
				a.out.time(s.CreatedAt), printable(s.Source),
			})
		}
	}
	add("chain", e.Chain)
	add("other", e.Others)
	a.out.table(w, rows)
	for _, s := range e.Chain {
		if s.Verdict == larder.Unreadable {
			a.warn(s.Source + " " + s.Ref + ": " + strings.TrimSpace(s.Detail))
		}
	}
	for _, store := range e.Unsearched {
		a.warn(store + " does not list its refs: only those of the chain were looked at")
	}
}
