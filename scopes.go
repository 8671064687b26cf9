package larder

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/manifest"
)

// loadAll is load for one who reads: where a store keeps a ref in several scopes,
// it overlays what they have. A scope that has no such ref, or fails, is left out
// as long as another one has one; what has failed is in the second result.
func loadAll(ctx context.Context, t Target, limit int64) (*loaded, []error, error) {
	scopes := t.Backend.Info().Scopes
	if len(scopes) < 2 {
		found, err := load(ctx, t, limit)
		return found, nil, err
	}
	found, errs := make([]*loaded, len(scopes)), make([]error, len(scopes))
	var running sync.WaitGroup
	for i, scope := range scopes {
		running.Go(func() { found[i], errs[i] = load(backend.WithScope(ctx, scope), t, limit) })
	}
	running.Wait()
	var all *loaded
	var failed []error
	for i, err := range errs {
		switch {
		case err == nil && all == nil:
			all = found[i]
		case err == nil:
			all.Problems = append(all.Problems, found[i].Problems...)
			all.Manifest, _ = manifest.Overlay(all.Manifest, found[i].Manifest)
		case !errors.Is(err, backend.ErrNotFound):
			failed = append(failed, fmt.Errorf("scope %s: %w", scopes[i], err))
		}
	}
	switch {
	case all != nil:
		return all, failed, nil
	case len(failed) > 0:
		return nil, nil, errors.Join(failed...)
	default:
		return nil, nil, errs[0]
	}
}
