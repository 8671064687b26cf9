package larder

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/manifest"
)

// DiffOptions are the options of [Diff]; they are those of an inspection.
type DiffOptions = InspectOptions

// Diff compares two caches by their documents.
func Diff(ctx context.Context, a, b Target, opts DiffOptions) (*manifest.Difference, error) {
	var left, right *loaded
	var errLeft, errRight error
	var group errgroup.Group
	group.Go(func() error { left, errLeft = load(ctx, a, opts.ReadLimit); return errLeft })
	group.Go(func() error { right, errRight = load(ctx, b, opts.ReadLimit); return errRight })
	if group.Wait() != nil {
		return nil, errors.Join(side("first", errLeft), side("second", errRight))
	}
	d := manifest.Diff(left.Manifest, right.Manifest)
	return &d, nil
}

// side says which of the two caches an error is about.
func side(which string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s cache: %w", which, err)
}
