package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
)

const inspectHelp = `Show what a cache consists of: its layers, and the records of build steps that
have a result. No layer is read; see "larder verify" for that.

Of a location with several refs each is shown. With --scope the location is a base
without a ref, and the scopes are shown that the build may read and that have a
cache.`

// inspectCommand returns "larder inspect".
func (a *app) inspectCommand() *cobra.Command {
	s := &scoping{}
	cmd := a.command("inspect LOCATION [flags]", "Show the layers and records of a cache", inspectHelp, locations(1),
		func(ctx context.Context, args []string) error {
			if s.given() {
				return a.inspectScopes(ctx, s, args[0])
			}
			return a.eachRef(ctx, args[0], use{}, a.inspect)
		})
	s.addScopeFlags(cmd)
	a.addNoTrunc(cmd)
	return cmd
}

// inspectScopes shows the scopes that a build may read and that have a cache.
func (a *app) inspectScopes(ctx context.Context, s *scoping, base string) error {
	plan, err := a.plan(ctx, s, base)
	if err != nil {
		return err
	}
	a.warnPlan(plan)
	b, err := a.readers(ctx, "", plan, base)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }() // as closeAll
	found, err := existing(ctx, b.Read)
	if err != nil {
		return err
	}
	return a.each(ctx, found, a.inspect)
}

// eachRef calls do for each ref of a location.
func (a *app) eachRef(ctx context.Context, text string, u use, do func(context.Context, larder.Target) error) error {
	places, err := a.open(ctx, u, text)
	if err != nil {
		return err
	}
	defer closeAll(places)
	return a.each(ctx, places[0].targets(), do)
}

// each calls do for each target, whether or not it fails for others. In JSON each
// has a document, of an error at least.
func (a *app) each(ctx context.Context, all []larder.Target, do func(context.Context, larder.Target) error) error {
	var errs []error
	for i, t := range all {
		if i > 0 && !a.json && !a.quiet {
			_, _ = io.WriteString(a.Out, "\n")
		}
		err := explain(ctx, do(ctx, t), t)
		if err != nil && a.json && !errors.Is(err, errFound) {
			err = errors.Join(err, a.answer(failure{Schema: larder.Schema, Ref: t.Ref, Error: failed(err)}, nil))
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return joinFound(errs)
}

// joinFound joins errors; that problems were found is one only if there is no
// other.
func joinFound(all []error) error {
	var real []error
	found := false
	for _, err := range all {
		if errors.Is(err, errFound) {
			found = true
		} else if err != nil {
			real = append(real, err)
		}
	}
	if len(real) == 0 && found {
		return errFound
	}
	return errors.Join(real...)
}

func (a *app) inspect(ctx context.Context, t larder.Target) error {
	found, err := larder.Inspect(ctx, t, larder.InspectOptions{})
	if err != nil {
		return err
	}
	return a.answer(found, func(w io.Writer) { a.printInspection(w, t, found) })
}

func (a *app) printInspection(w io.Writer, t larder.Target, i *larder.Inspection) {
	fields(w,
		"location", printable(t.Backend.Info().Location),
		"ref", a.out.bold(printable(i.Ref)),
		"digest", i.Digest.String(),
		"encoding", fmt.Sprintf("%s, %s", i.Encoding, bytesText(i.Size)),
		"modified", a.out.time(i.ModTime),
		"layers", fmt.Sprintf("%d, %s, %s", i.Totals.Layers, count(i.Totals.Blobs, "blob"), bytesText(i.Totals.Bytes)),
		"records", fmt.Sprintf("%d, %d with a result", i.Totals.Records, i.Totals.Results),
	)
	for _, p := range i.Problems {
		_, _ = fmt.Fprintf(w, "%s  %s\n", a.out.yellow("problem"), printable(p))
	}
	if len(i.Layers) > 0 {
		_, _ = fmt.Fprintln(w)
		a.out.table(w, a.layerRows(i))
	}
	if i.Totals.Results > 0 {
		_, _ = fmt.Fprintln(w)
		a.out.table(w, a.recordRows(i))
	}
}

func (a *app) layerRows(i *larder.Inspection) [][]string {
	rows := [][]string{{"LAYER", "PARENT", "DIGEST", "    SIZE", "TYPE", "CREATED"}}
	for n, l := range i.Layers {
		parent := "-"
		if l.Parent >= 0 {
			parent = strconv.Itoa(l.Parent)
		}
		rows = append(rows, []string{strconv.Itoa(n), parent, a.out.digest(l.Digest), size(l.Size), layerType(l.MediaType), a.out.time(l.CreatedAt)})
	}
	return rows
}

// layerType shortens the media types of layers to what tells them apart.
func layerType(mediaType string) string {
	for _, prefix := range []string{"application/vnd.oci.image.layer.v1.", "application/vnd.docker.image.rootfs."} {
		if short, ok := strings.CutPrefix(mediaType, prefix); ok {
			return printable(short)
		}
	}
	return printable(mediaType)
}

// recordRows shows the records that have a result. The others are links between
// these: their number is in the totals.
func (a *app) recordRows(i *larder.Inspection) [][]string {
	rows := [][]string{{"RECORD", "DIGEST", "LAYERS", "TOP LAYER", "INPUTS", "CREATED"}}
	for n, r := range i.Records {
		if len(r.Layers) == 0 {
			continue
		}
		rows = append(rows, []string{
			strconv.Itoa(n), a.out.digest(r.Digest), strconv.Itoa(len(r.Layers)),
			a.out.digest(r.Layers[len(r.Layers)-1]), inputs(r.Inputs), a.out.time(r.CreatedAt),
		})
	}
	return rows
}

// inputs shows the inputs of a record, separated by commas, as the indices of
// the records any of which satisfies it.
func inputs(all [][]larder.InspectedLink) string {
	if len(all) == 0 {
		return "-"
	}
	each := make([]string, len(all))
	for n, links := range all {
		alternatives := make([]string, len(links))
		for k, l := range links {
			alternatives[k] = strconv.Itoa(l.Record)
		}
		each[n] = strings.Join(alternatives, "|")
	}
	return strings.Join(each, ", ")
}
