package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// explain finds out whether err arose because one of the refs that were to be
// read does not exist, and then says which there are.
func explain(ctx context.Context, err error, read ...larder.Target) error {
	if !errors.Is(err, backend.ErrNotFound) {
		return err
	}
	for _, t := range read {
		if _, getErr := t.Backend.GetRef(ctx, t.Ref); !errors.Is(getErr, backend.ErrNotFound) {
			continue
		}
		known := refs(ctx, t.Backend)
		if slices.Contains(known, t.Ref) {
			return &hinted{error: err, hint: "the ref exists, but what it points to is gone: it can be removed, or exported again"}
		}
		return nothing(t, known)
	}
	return err
}

// nothing is the error for a ref that does not exist.
func nothing(t larder.Target, known []string) error {
	text := fmt.Sprintf("%s: there is no ref %s", t.Backend.Info().Location, blob.Quote(t.Ref))
	if len(known) == 0 {
		return &nothingError{text: text + ", nor any other"}
	}
	return &nothingError{text: text, hint: "the refs there are " + some(known)}
}

// refs returns the names of the refs of a store as far as it tells.
func refs(ctx context.Context, b backend.Backend) []string {
	var names []string
	for ref, err := range b.ListRefs(ctx) {
		if err != nil {
			break
		}
		names = append(names, ref.Name)
	}
	slices.Sort(names)
	return names
}

// maxNames is how many names a hint lists.
const maxNames = 8

// some joins the first few names.
func some(names []string) string {
	if rest := len(names) - maxNames; rest > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), rest)
	}
	return strings.Join(names, ", ")
}
