package larder

import (
	"context"
	"fmt"
	"maps"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Promote adds the cache of one scope to that of another, as when a branch is
// merged into its base. What the destination has is kept, unless opts say
// Overwrite, and the source is left as it is.
//
// On one store nothing but documents is read and written: the source's manifest
// is reason enough to believe that its blobs are there. Where blobs grow old and
// the manifest is no longer recent, they are asked for and renewed. Between
// stores it is a copy that merges. A store that keeps scopes apart by itself, as
// GitHub's cache does, gives ErrDenied with its rule.
func Promote(ctx context.Context, from, to Target, opts ExportOptions) (*Report, error) {
	if err := checkPromotion(from, to); err != nil {
		return &Report{Schema: Schema}, err
	}
	opts.insists = true
	report := newReport(to)
	found, err := load(backend.WithTrace(ctx, report.Targets[0].trace()), from, opts.ReadLimit)
	if err != nil {
		err = fmt.Errorf("source: %w", err)
		report.fail(err)
		return report, err
	}
	for _, p := range found.Problems {
		report.Degradations = append(report.Degradations, Degradation{Kind: DocumentDamaged, Target: from.String(), Blob: p.Blob, Detail: p.Detail})
	}
	e := &export{opts: opts.withDefaults(), report: report, manifest: found.Manifest}
	e.addTargets([]Target{to})
	return report, e.promote(ctx, from, found)
}

func checkPromotion(from, to Target) error {
	if err := from.check(); err != nil {
		return err
	}
	if err := to.checkWritable(); err != nil {
		return err
	}
	if sameStore(from.Backend, to.Backend) && from.Ref == to.Ref {
		return fmt.Errorf("%w: %s cannot be promoted to itself", backend.ErrInvalid, from)
	}
	if rule := to.Backend.Info().Isolation; rule != "" && sameStore(from.Backend, to.Backend) {
		return fmt.Errorf("%w: %s cannot be promoted to %s: %s", backend.ErrDenied, from, to, rule)
	}
	return nil
}

// sameStore reports whether two backends are at the same location. They may be
// different connections, or wrapped differently.
func sameStore(a, b backend.Backend) bool {
	return a.Info().Driver == b.Info().Driver && a.Info().Location == b.Info().Location
}

// promote publishes what was found at from.
func (e *export) promote(ctx context.Context, from Target, found *loaded) error {
	if e.manifest.IsEmpty() {
		return e.skip("the source has no result")
	}
	transfer := newTransfer(ContentOf(from.Backend), e.opts.Progress)
	blobs := e.manifest.Blobs()
	return e.carry(ctx, transfer, e.plan(func(p *publisher) ([]blob.Descriptor, error) {
		if p.attaches() || !sameStore(from.Backend, p.Backend) {
			return p.plan(ctx, blobs, transfer)
		}
		if err := p.read(ctx); err != nil {
			return nil, err
		}
		return p.lacking(ctx, blobs, p.promised(found), transfer)
	}))
}

// promised returns the blobs that are there according to the ref, and to what is
// promoted, as far as that is to be believed.
func (p *publisher) promised(found *loaded) map[blob.Digest]int64 {
	if !p.believes(found.Ref) {
		return p.named
	}
	all := sizesOf(found.Manifest.Blobs())
	maps.Copy(all, p.named)
	return all
}
