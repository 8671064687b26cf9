package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

const lsHelp = `List the refs at a location, and what each of them is.

Refs that the location names play no part: all are listed.`

// lsCommand returns "larder ls".
func (a *app) lsCommand() *cobra.Command {
	cmd := a.command("ls LOCATION [flags]", "List the caches at a location", lsHelp, locations(1),
		func(ctx context.Context, args []string) error { return a.ls(ctx, args[0]) })
	cmd.Aliases = []string{"list"}
	a.addNoTrunc(cmd)
	return cmd
}

// addNoTrunc adds the flag that shows digests whole.
func (a *app) addNoTrunc(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.out.noTrunc, "no-trunc", false, "show whole digests")
}

// listing is the JSON document of ls.
type listing struct {
	Schema   string      `json:"schema"`
	Location string      `json:"location"`
	Refs     []listedRef `json:"refs"`
	Error    *errorJSON  `json:"error,omitempty"`
}

// listedRef is a ref in a listing: a summary of an inspection, or the reason
// why there is none.
type listedRef struct {
	Ref      string            `json:"ref"`
	Digest   blob.Digest       `json:"digest,omitempty"`
	Encoding buildkit.Encoding `json:"encoding,omitempty"`
	Size     int64             `json:"size,omitempty"`
	ModTime  *time.Time        `json:"modTime"`
	Totals   *larder.Totals    `json:"totals,omitempty"`
	Error    *errorJSON        `json:"error,omitempty"`
}

func (a *app) ls(ctx context.Context, text string) error {
	places, err := a.open(ctx, use{}, text)
	if err != nil {
		return err
	}
	defer closeAll(places)
	found, err := larder.List(ctx, places[0].Backend, larder.InspectOptions{})
	if err != nil {
		return err
	}
	out := listing{Schema: larder.Schema, Location: places[0].Info().Location, Refs: []listedRef{}}
	for _, f := range found {
		out.Refs = append(out.Refs, listed(f))
	}
	if len(found) == 0 {
		err = &nothingError{text: out.Location + ": there is nothing"}
		out.Error = failed(err)
	}
	return errors.Join(err, a.answer(out, func(w io.Writer) { a.printListing(w, found) }))
}

func listed(f larder.Listed) listedRef {
	ref := listedRef{Ref: f.Ref, Error: failed(f.Err)}
	if i := f.Inspection; i != nil {
		ref.Digest, ref.Encoding, ref.Size, ref.ModTime, ref.Totals = i.Digest, i.Encoding, i.Size, i.ModTime, &i.Totals
	}
	return ref
}

func (a *app) printListing(w io.Writer, found []larder.Listed) {
	if len(found) == 0 {
		return
	}
	rows := [][]string{{"REF", "DIGEST", "ENCODING", "RECORDS", "BLOBS", "    SIZE", "MODIFIED"}}
	for _, f := range found {
		rows = append(rows, a.listingRow(f))
	}
	a.out.table(w, rows)
}

func (a *app) listingRow(f larder.Listed) []string {
	ref := printable(f.Ref)
	switch i := f.Inspection; {
	case i != nil:
		return []string{
			ref, a.out.digest(i.Digest), string(i.Encoding), humanize.Comma(int64(i.Totals.Records)),
			humanize.Comma(int64(i.Totals.Blobs)), size(i.Totals.Bytes), a.out.time(i.ModTime),
		}
	case errors.Is(f.Err, buildkit.ErrNotCache):
		return []string{ref, "-", "-", "-", "-", "       -", "not a build cache"}
	case errors.Is(f.Err, backend.ErrNotFound):
		return []string{ref, "-", "-", "-", "-", "       -", a.out.red("a part of its manifest is gone")}
	default:
		return []string{ref, "-", "-", "-", "-", "       -", a.out.red(fmt.Sprintf("unreadable: %s", oneLine(f.Err)))}
	}
}
