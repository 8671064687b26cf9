package larder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

// CopyOptions are the options of [Copy].
type CopyOptions struct {
	// Merge adds the cache to what the destinations have, as [Export] does,
	// instead of replacing it.
	Merge bool
	// Encoding is the form to write. By default it is that of the source where
	// the destination's kind of store can hold it, so that the copy is exact to
	// the byte, and else what the destination prefers. Inline puts the cache into
	// the image that the destination has, see [AttachInline].
	Encoding buildkit.Encoding
	// SkipBroken copies a cache of which blobs are missing or corrupt, without
	// the records that need them. By default that is an error.
	SkipBroken bool
	// Strict is that of ExportOptions.
	Strict bool
	// RefreshAge, ReadLimit, Now and Progress are those of ExportOptions.
	RefreshAge time.Duration
	ReadLimit  int64
	Now        func() time.Time
	Progress   Progress
}

// export gives the options in terms of an export.
func (o CopyOptions) export() ExportOptions {
	return ExportOptions{
		Overwrite: !o.Merge, Encoding: o.Encoding, Strict: o.Strict,
		RefreshAge: o.RefreshAge, ReadLimit: o.ReadLimit, Now: o.Now, Progress: o.Progress,
	}
}

// Copy makes each destination's ref point to the cache that the source has.
// Each blob is read once, however many destinations lack it, and is verified
// on the way; layers are not changed.
//
// The copy is a mirror: the document has the same bytes, and so the same
// digest, unless the destination keeps caches in another form. What the ref
// had before is replaced. With Merge it is added to.
//
// Where it costs a request to ask for a blob, those that the destination's ref
// names are taken for present, as by [Export]; a store that misses one says so
// when it gets the new document, and [Verify] finds out in any case.
//
// An image with inline cache is copied as an image to stores that can hold
// one, and as a plain cache to others.
func Copy(ctx context.Context, from Target, to []Target, opts CopyOptions) (*Report, error) {
	if err := errors.Join(from.check(), checkTargets(to)); err != nil {
		return &Report{Schema: Schema}, err
	}
	report := newReport(to...)
	found, err := load(ctx, from, opts.ReadLimit)
	if err == nil {
		err = found.complete(ctx, from, opts.ReadLimit)
	}
	if err != nil {
		err = fmt.Errorf("source: %w", err)
		report.fail(err)
		return report, err
	}
	for _, p := range found.Problems {
		report.Degradations = append(report.Degradations, Degradation{Kind: DocumentDamaged, Target: from.String(), Blob: p.Blob, Detail: p.Detail})
	}
	c := &copying{from: from, source: found, opts: opts, report: report}
	return report, c.run(ctx, to)
}

// copying is one call of Copy.
type copying struct {
	from   Target
	source *loaded
	opts   CopyOptions
	report *Report
}

func (c *copying) run(ctx context.Context, to []Target) error {
	exporting := c.opts.export().withDefaults()
	e := &export{opts: exporting, report: c.report, manifest: c.source.Manifest}
	e.addTargets(to)
	transfer := newTransfer(ContentOf(c.from.Backend), c.opts.Progress)
	wanted := e.plan(func(p *publisher) ([]blob.Descriptor, error) { return c.plan(ctx, p, transfer) })
	if err := transfer.send(ctx, parcels(wanted, e.destinations())); err != nil {
		return e.outcome(err)
	}
	kept := e.withoutLost(transfer)
	if len(transfer.lost) > 0 && !c.opts.SkipBroken {
		return e.outcome(c.broken(transfer))
	}
	exact := len(transfer.lost) == 0 && len(c.source.Problems) == 0
	e.each(func(p *publisher) error {
		if exact && c.mirrors(p) {
			return c.mirror(ctx, p, transfer)
		}
		return p.publish(ctx, kept, transfer)
	})
	return e.outcome(nil)
}

// plan returns the layers' blobs that a destination lacks.
func (c *copying) plan(ctx context.Context, p *publisher, t *transfer) ([]blob.Descriptor, error) {
	blobs := c.source.Manifest.Blobs()
	if c.mirrors(p) {
		return c.planMirror(ctx, p, t)
	}
	if c.source.Encoding == buildkit.Inline && p.opts.Encoding == "" {
		p.opts.Encoding = buildkit.Encoding(p.Backend.Info().Encoding)
	}
	return p.plan(ctx, blobs, t)
}

// planMirror reads the destination's ref and returns the blobs to be sent.
func (c *copying) planMirror(ctx context.Context, p *publisher, t *transfer) ([]blob.Descriptor, error) {
	p.report.Digest = c.source.digest()
	old, err := p.Backend.GetRef(p.traced(ctx), p.Ref)
	switch {
	case errors.Is(err, backend.ErrNotFound), errors.Is(err, backend.ErrCorrupt):
		return p.lacking(ctx, c.blobs(), nil, t)
	case err != nil:
		return nil, err
	}
	if p.believes(old) {
		p.named = namedBy(ctx, old.Document)
	}
	same := string(old.Data) == string(c.source.Data)
	if same && p.named != nil {
		p.named = sizesOf(c.blobs())
	}
	missing, err := p.lacking(ctx, c.blobs(), p.named, t)
	if err == nil && same && len(missing) == 0 && !p.aging(old) {
		p.report.Outcome = Unchanged
	}
	return missing, err
}

// blobs are those of a mirror.
func (c *copying) blobs() []blob.Descriptor {
	return slices.Concat(c.source.Manifest.Blobs(), c.source.others)
}

// mirrors reports whether the destination gets the very document of the source.
func (c *copying) mirrors(p *publisher) bool {
	if c.opts.Merge || p.attaches() || p.opts.Encoding != "" && p.opts.Encoding != c.source.Encoding {
		return false
	}
	flatStore := p.Backend.Info().Encoding == string(buildkit.Flat)
	return flatStore == (c.source.Encoding == buildkit.Flat)
}

// mirror points a destination's ref to the source's document. A mirror
// replaces, so there is nothing to compare with.
func (c *copying) mirror(ctx context.Context, p *publisher, t *transfer) error {
	if p.report.Outcome == Unchanged {
		return nil
	}
	err := c.write(p.traced(ctx), p)
	if errors.Is(err, backend.ErrNotFound) && len(p.assumed) > 0 {
		// The store misses a blob that the previous document promised.
		if err := p.supply(ctx, t); err != nil {
			return err
		}
		err = c.write(p.traced(ctx), p)
	}
	if err != nil {
		return err
	}
	p.report.Outcome = Published
	return nil
}

// write stores the source's documents, the ref's own last.
func (c *copying) write(ctx context.Context, p *publisher) error {
	for _, d := range c.source.children() {
		if err := p.Backend.Put(ctx, d, blob.Bytes(c.source.fetched[d.Digest])); err != nil {
			return err
		}
	}
	_, err := p.Backend.PutRef(ctx, p.Ref, c.source.Document, backend.Always)
	return err
}

// broken is the error of a copy whose source lacks blobs.
func (c *copying) broken(t *transfer) error {
	var all []error
	for _, err := range t.lost {
		all = append(all, err)
	}
	return fmt.Errorf("source %s: %d blobs cannot be copied, repair the cache or skip what is broken: %w", c.from, len(t.lost), errors.Join(all...))
}
