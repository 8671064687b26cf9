package larder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
	"github.com/larder-build/larder/manifest"
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
	// Recompress says which layers are to be compressed anew. Their blobs, and
	// with them the document, get other digests; records stay, and diffIDs too but
	// for estargz. Without it layers are not changed.
	Recompress Recompression
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
		RefreshAge: o.RefreshAge, ReadLimit: o.ReadLimit, Now: o.Now, Progress: o.Progress, insists: true,
	}
}

// Copy makes each destination's ref point to the cache that the source has.
// Each blob is read once, however many destinations lack it, and is verified
// on the way; layers are not changed, unless Recompress says so.
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
	if err := errors.Join(from.check(), checkTargets(to), opts.Recompress.check()); err != nil {
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
	c.changed, c.others = opts.Recompress.changed(found.Manifest)
	return report, c.run(ctx, to)
}

// copying is one call of Copy.
type copying struct {
	from   Target
	source *loaded
	opts   CopyOptions
	report *Report
	// changed are the layers whose compression is to change, others the blobs of
	// the other layers.
	changed []manifest.Layer
	others  []blob.Descriptor
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
	r := &recompressing{Recompression: c.opts.Recompress, transfer: transfer, source: c.from.Backend, to: e.destinations(), made: make(map[blob.Digest]compress.Layer)}
	if err := r.run(ctx, c.changed); err != nil {
		return e.outcome(err)
	}
	kept := e.withoutLost(transfer)
	if len(transfer.lost) > 0 && !c.opts.SkipBroken {
		return e.outcome(c.broken(transfer))
	}
	if len(c.changed) > 0 {
		kept, c.report.Recompressed = r.rewrite(kept), r.total(c.changed)
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
	if c.mirrors(p) {
		return c.planMirror(ctx, p, t)
	}
	if len(c.changed) > 0 && p.attaches() {
		return nil, fmt.Errorf("%w: an image keeps its layers, and a cache in it those of the image: its compression cannot be changed", backend.ErrInvalid)
	}
	if p.opts.Encoding == "" && c.source.Encoding == buildkit.Inline {
		p.opts.Encoding = buildkit.Encoding(p.Backend.Info().Encoding)
	}
	if p.opts.Encoding == "" && !c.opts.Merge && c.holds(p) {
		p.opts.Encoding = c.source.Encoding
	}
	return p.plan(ctx, c.others, t)
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
	if len(c.changed) > 0 || c.opts.Merge || p.attaches() || p.opts.Encoding != "" && p.opts.Encoding != c.source.Encoding {
		return false
	}
	return c.holds(p)
}

// holds reports whether a destination's kind of store can hold the encoding of
// the source.
func (c *copying) holds(p *publisher) bool {
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
