package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/manifest"
)

const diffHelp = `Show what two caches have in common, and what only one of them has.

Order, times and the form on the store make no difference. The status is 0 if
the caches hold the same and 1 if they differ, as that of diff(1).`

// diffCommand returns "larder diff".
func (a *app) diffCommand() *cobra.Command {
	cmd := a.command("diff LOCATION LOCATION [flags]", "Compare two caches", diffHelp, locations(2),
		func(ctx context.Context, args []string) error { return a.diff(ctx, args) })
	a.addNoTrunc(cmd)
	return cmd
}

// difference is the JSON document of diff.
type difference struct {
	Schema string `json:"schema"`
	Equal  bool   `json:"equal"`
	*manifest.Difference
}

func (a *app) diff(ctx context.Context, texts []string) error {
	places, err := a.open(ctx, use{one: true}, texts...)
	if err != nil {
		return err
	}
	defer closeAll(places)
	both := targets(places)
	d, err := larder.Diff(ctx, both[0], both[1], larder.DiffOptions{})
	if err != nil {
		return explain(ctx, err, both...)
	}
	err = a.answer(difference{larder.Schema, d.IsEmpty(), d}, func(w io.Writer) { a.printDifference(w, both, d) })
	if err == nil && !d.IsEmpty() {
		return errFound
	}
	return err
}

func (a *app) printDifference(w io.Writer, both []larder.Target, d *manifest.Difference) {
	if d.IsEmpty() {
		_, _ = fmt.Fprintf(w, "%s: %s, %s\n", a.out.green("equal"), count(d.Common.Records, "record"), count(d.Common.Blobs, "blob"))
		return
	}
	_, _ = fmt.Fprintf(w, "- %s\n+ %s\n\n", printable(both[0].String()), printable(both[1].String()))
	a.out.table(w, [][]string{
		{"", "BOTH", "ONLY -", "ONLY +"},
		{"records", strconv.Itoa(d.Common.Records), strconv.Itoa(len(d.A.Records)), strconv.Itoa(len(d.B.Records))},
		{"layers", strconv.Itoa(d.Common.Layers), strconv.Itoa(len(d.A.Layers)), strconv.Itoa(len(d.B.Layers))},
		{"blobs", strconv.Itoa(d.Common.Blobs), strconv.Itoa(len(d.A.Blobs)), strconv.Itoa(len(d.B.Blobs))},
		{"bytes", bytesText(d.Common.Bytes), bytesText(d.A.Bytes), bytesText(d.B.Bytes)},
	})
	_, _ = fmt.Fprintln(w)
	for _, c := range d.Changed {
		line := fmt.Sprintf("~ record %s: %s -> %s", a.name(c.Named), a.top(c.A), a.top(c.B))
		_, _ = fmt.Fprintln(w, a.out.yellow(line))
	}
	a.printPart(w, "-", d.A, a.out.red)
	a.printPart(w, "+", d.B, a.out.green)
}

func (a *app) printPart(w io.Writer, sign string, p manifest.Part, paint func(string) string) {
	for _, r := range p.Records {
		_, _ = fmt.Fprintln(w, paint(sign+" record "+a.name(r)))
	}
	for _, l := range p.Layers {
		_, _ = fmt.Fprintln(w, paint(sign+" layer  "+a.out.digest(l.Digest)))
	}
}

// name shows a record by its digest and, where it has one, its readable key.
func (a *app) name(n manifest.Named) string {
	text := a.out.digest(n.Digest)
	if n.Name != "" {
		text += " " + printable(n.Name)
	}
	return text
}

// top shows a result by its topmost blob.
func (a *app) top(s *manifest.Stack) string {
	if s == nil {
		return "no result"
	}
	return a.out.digest(s.Top)
}
