package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
	"github.com/larder-build/larder/scope"
)

const lsHelp = `List the refs at a location, and what each of them is: a cache with its form, an
image, an image with inline cache, or something else.

Refs that the location names are listed, otherwise all. Stores that cannot list
their refs have to be given names. MODIFIED is when the ref was written or, where
the store does not say, when the newest result of the cache was made.`

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

// listedRef is a ref in a listing.
type listedRef struct {
	Ref      string            `json:"ref"`
	Kind     larder.Kind       `json:"kind"`
	Scope    *scope.Scope      `json:"scope,omitempty"`
	Digest   blob.Digest       `json:"digest,omitempty"`
	Encoding buildkit.Encoding `json:"encoding,omitempty"`
	Size     int64             `json:"size,omitempty"`
	ModTime  *time.Time        `json:"modTime"`
	Newest   *time.Time        `json:"newest"`
	Totals   *larder.Totals    `json:"totals,omitempty"`
	Error    *errorJSON        `json:"error,omitempty"`
}

func (a *app) ls(ctx context.Context, text string) error {
	places, err := a.open(ctx, use{}, text)
	if err != nil {
		return err
	}
	defer closeAll(places)
	var opts larder.ListOptions
	if places[0].loc.NamesRefs() {
		opts.Refs = places[0].loc.Refs()
	}
	found, err := larder.List(ctx, places[0].Backend, opts)
	if errors.Is(err, backend.ErrUnsupported) {
		return &hinted{error: err, hint: "this store does not list its refs: name those that you know of"}
	}
	if err != nil {
		return err
	}
	found, err = there(found, places[0])
	out := listing{Schema: larder.Schema, Location: places[0].Info().Location, Refs: []listedRef{}, Error: failed(err)}
	for _, f := range found {
		out.Refs = append(out.Refs, listed(f))
	}
	return errors.Join(err, a.answer(out, func(w io.Writer) { a.printListing(w, found) }))
}

// there returns what exists of refs, and an error if a named one does not, or
// if there is nothing at all.
func there(found []larder.Listed, at *place) ([]larder.Listed, error) {
	if !at.loc.NamesRefs() {
		if len(found) == 0 {
			return nil, &nothingError{text: at.Info().Location + ": there is nothing"}
		}
		return found, nil
	}
	var missing []string
	found = slices.DeleteFunc(found, func(f larder.Listed) bool {
		absent := f.Digest == "" && errors.Is(f.Err, backend.ErrNotFound)
		if absent {
			missing = append(missing, blob.Quote(f.Ref))
		}
		return absent
	})
	if len(missing) == 0 {
		return found, nil
	}
	return found, &nothingError{text: at.Info().Location + ": there is no ref " + strings.Join(missing, ", ")}
}

func listed(f larder.Listed) listedRef {
	ref := listedRef{
		Ref: f.Ref, Kind: f.Kind, Scope: f.Scope, Digest: f.Digest, Encoding: f.Encoding, Size: f.Size,
		ModTime: f.ModTime, Newest: f.Newest, Totals: f.Totals,
	}
	if f.Kind == larder.KindUnreadable {
		ref.Error = failed(f.Err)
	}
	return ref
}

func (a *app) printListing(w io.Writer, found []larder.Listed) {
	if len(found) == 0 {
		return
	}
	rows := [][]string{{"REF", "KIND", "DIGEST", "RECORDS", "BLOBS", "    SIZE", "MODIFIED"}}
	for _, f := range found {
		rows = append(rows, a.listingRow(f))
	}
	if scoped := func(f larder.Listed) bool { return f.Scope != nil }; slices.ContainsFunc(found, scoped) {
		addScopes(rows, found)
	}
	a.out.table(w, rows)
}

// addScopes adds a column with what names stand for.
func addScopes(rows [][]string, found []larder.Listed) {
	rows[0] = append(rows[0], "SCOPE")
	for i, f := range found {
		of := "-"
		if f.Scope != nil {
			of = printable(f.Scope.String())
		}
		rows[i+1] = append(rows[i+1], of)
	}
}

func (a *app) listingRow(f larder.Listed) []string {
	row := []string{printable(f.Ref), kindText(f), "-", "-", "-", "       -", a.out.time(cmp.Or(f.ModTime, f.Newest))}
	if f.Digest != "" {
		row[2] = a.out.digest(f.Digest)
	}
	if t := f.Totals; t != nil {
		row[4], row[5] = humanize.Comma(int64(t.Blobs)), size(t.Bytes)
		if f.Kind != larder.KindImage {
			row[3] = humanize.Comma(int64(t.Records))
		}
	}
	switch {
	case f.Kind != larder.KindUnreadable:
	case errors.Is(f.Err, backend.ErrNotFound):
		row[6] = a.out.red("its manifest is gone")
	default:
		row[6] = a.out.red(oneLine(f.Err))
	}
	return row
}

// kindText says what a ref is.
func kindText(f larder.Listed) string {
	switch f.Kind {
	case larder.KindCache:
		return "cache (" + string(f.Encoding) + ")"
	case larder.KindInline:
		return "image + inline cache"
	default:
		return string(f.Kind)
	}
}
