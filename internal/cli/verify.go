package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
)

const verifyHelp = `Check that every blob of a cache is there and is what its digest says, and, of
layers, what their diffID says.

With --repair a cache that lost blobs is published again without the records
that need them, which are rebuilt and exported by the next build; corrupt blobs
are removed. The status is 1 if problems were found, and 0 if there are none or
the repair has succeeded. Of a location with several refs each is checked.`

// verifyCommand returns "larder verify".
func (a *app) verifyCommand() *cobra.Command {
	var opts larder.VerifyOptions
	cmd := a.command("verify LOCATION [--quick] [--repair] [flags]", "Check a cache, and repair it", verifyHelp, locations(1),
		func(ctx context.Context, args []string) error {
			return a.eachRef(ctx, args[0], use{write: opts.Repair}, func(ctx context.Context, t larder.Target) error {
				return a.verify(ctx, t, opts)
			})
		})
	cmd.Flags().BoolVar(&opts.Quick, "quick", false, "only ask whether the blobs are there in the right size")
	cmd.Flags().BoolVar(&opts.Repair, "repair", false, "drop what is broken and keep the rest")
	a.addNoTrunc(cmd)
	return cmd
}

// verified is the JSON document of verify.
type verified struct {
	*larder.Verification
	Error *errorJSON `json:"error,omitempty"`
}

func (a *app) verify(ctx context.Context, t larder.Target, opts larder.VerifyOptions) error {
	progress, stop := a.watch("verify", []larder.Target{t})
	opts.Progress = progress
	found, err := larder.Verify(ctx, t, opts)
	stop()
	if found == nil {
		return err
	}
	if found.Repaired != nil {
		a.warnAll(found.Repaired.Degradations)
	}
	if err != nil {
		err = fmt.Errorf("repair: %w", err)
	}
	if a.json || !a.quiet || !found.OK {
		err = errors.Join(err, a.answer(verified{found, failed(err)}, func(w io.Writer) { a.printVerification(w, t, found, opts) }))
	}
	if err == nil && !found.OK && found.Repaired == nil {
		return errFound
	}
	return err
}

func (a *app) printVerification(w io.Writer, t larder.Target, v *larder.Verification, opts larder.VerifyOptions) {
	name := printable(t.String())
	checked := fmt.Sprintf("%s of %s", count(v.Blobs, "blob"), bytesText(v.Bytes))
	if v.OK && opts.Quick {
		_, _ = fmt.Fprintf(w, "%s: %s, %s are there\n", name, a.out.green("ok"), checked)
		return
	}
	if v.OK {
		_, _ = fmt.Fprintf(w, "%s: %s, %s are what they should be\n", name, a.out.green("ok"), checked)
		return
	}
	_, _ = fmt.Fprintf(w, "%s: %s: %s lost; %s are good\n", name, a.out.red("broken"), count(v.RecordsLost, "record"), checked)
	for _, d := range v.Missing {
		_, _ = fmt.Fprintf(w, "  %s  %s\n", a.out.red("missing"), a.out.digest(d.Digest))
	}
	for _, d := range v.Corrupt {
		reason := strings.TrimPrefix(d.Reason, "blob "+d.Digest.String()+": corrupt: ")
		_, _ = fmt.Fprintf(w, "  %s  %s  %s\n", a.out.red("corrupt"), a.out.digest(d.Digest), printable(reason))
	}
	for _, p := range v.Problems {
		_, _ = fmt.Fprintf(w, "  %s  %s\n", a.out.red("damaged"), printable(p))
	}
	a.printRepair(w, v.Repaired)
}

func (a *app) printRepair(w io.Writer, r *larder.TargetReport) {
	switch {
	case r == nil:
		_, _ = fmt.Fprintln(w, "--repair drops what is broken and keeps the rest")
	case r.Outcome == larder.Removed:
		_, _ = fmt.Fprintln(w, a.out.yellow("removed")+": nothing of the cache could be kept")
	case r.Outcome != larder.Failed:
		_, _ = fmt.Fprintf(w, "%s: published %s without what is broken\n", a.out.green("repaired"), a.out.digest(r.Digest))
	}
}
