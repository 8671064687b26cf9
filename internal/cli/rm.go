package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/manifest/buildkit"
)

const rmHelp = `Remove refs. The location must name them: none is taken by default.

The blobs stay: others may share them, and an export that is under way may rely
on them. A ref that is an image, or anything else than a plain cache, is removed
only with --force.`

// rmCommand returns "larder rm".
func (a *app) rmCommand() *cobra.Command {
	var force bool
	cmd := a.command("rm LOCATION [flags]", "Remove refs", rmHelp, locations(1),
		func(ctx context.Context, args []string) error { return a.rm(ctx, args[0], force) })
	cmd.Flags().BoolVarP(&force, "force", "f", false, "remove what is no plain cache, too")
	return cmd
}

// removal is the JSON document of rm.
type removal struct {
	Schema   string     `json:"schema"`
	Location string     `json:"location"`
	Removed  []string   `json:"removed"`
	Error    *errorJSON `json:"error,omitempty"`
}

func (a *app) rm(ctx context.Context, text string, force bool) error {
	places, err := a.open(ctx, use{write: true}, text)
	if err != nil {
		return err
	}
	defer closeAll(places)
	if !places[0].loc.NamesRefs() {
		return usagef("%s names no ref to remove", places[0].loc)
	}
	out := removal{Schema: larder.Schema, Location: places[0].Info().Location, Removed: []string{}}
	for _, t := range places[0].targets() {
		if removeErr := remove(ctx, t, force); removeErr != nil {
			err = errors.Join(err, removeErr)
			continue
		}
		out.Removed = append(out.Removed, t.Ref)
	}
	out.Error = failed(err)
	if a.quiet && !a.json {
		return err
	}
	return errors.Join(err, a.answer(out, func(w io.Writer) {
		for _, ref := range out.Removed {
			_, _ = fmt.Fprintf(w, "%s: removed %s\n", printable(out.Location), printable(ref))
		}
	}))
}

// remove removes one ref.
func remove(ctx context.Context, t larder.Target, force bool) error {
	_, err := t.Backend.GetRef(ctx, t.Ref)
	if errors.Is(err, backend.ErrNotFound) {
		if known := refs(ctx, t.Backend); !slices.Contains(known, t.Ref) {
			return nothing(t, known)
		}
	}
	if !force {
		err = checkCache(ctx, t)
	}
	if err != nil && !isDamage(err) {
		return err
	}
	return t.Backend.DeleteRef(ctx, t.Ref, backend.Always)
}

// checkCache returns an error if the ref is something else than a plain cache.
func checkCache(ctx context.Context, t larder.Target) error {
	found, err := larder.Inspect(ctx, t, larder.InspectOptions{})
	switch {
	case errors.Is(err, buildkit.ErrNotCache):
		return &hinted{error: err, hint: "--force removes it all the same"}
	case err == nil && found.Encoding == buildkit.Inline:
		return &hinted{error: fmt.Errorf("%s: it is an image with inline cache", t), hint: "--force removes the image"}
	default:
		return err
	}
}

// isDamage reports whether err says that a ref is a cache that nobody can read.
// To remove it is often the reason for removing.
func isDamage(err error) bool {
	damage := []error{backend.ErrNotFound, backend.ErrCorrupt, backend.ErrInvalid, backend.ErrTooLarge}
	is := func(kind error) bool { return errors.Is(err, kind) }
	return slices.ContainsFunc(damage, is) && !is(buildkit.ErrNotCache)
}
