package larder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// ImportOptions are the options of [Import].
type ImportOptions struct {
	// SkipStat trusts the manifests: the stores are not asked whether the blobs
	// are there. A record whose blob is gone is then found out only when the
	// blob is opened.
	SkipStat bool
	// ReadLimit is the largest document to be read, in bytes. The default is
	// buildkit.DefaultReadLimit.
	ReadLimit int64
	// Timeout is how long a source may take. One that takes longer counts as
	// failed; the others are not affected, but wait that long. 0 means
	// DefaultSourceTimeout, less no limit.
	Timeout time.Duration
}

// DefaultSourceTimeout leaves room for the retries of a store that hangs, and for
// a large manifest over a slow line.
const DefaultSourceTimeout = 2 * time.Minute

// withTimeout returns the context for one source.
func (o ImportOptions) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.Timeout < 0 {
		return ctx, func() {}
	}
	limit := cmp.Or(o.Timeout, DefaultSourceTimeout)
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: the source took longer than %v", backend.ErrUnavailable, limit))
}

// Imported is what an [Import] found. It borrows the backends: they are closed
// after it is no longer used.
type Imported struct {
	// Manifest overlays what the sources have. Where several have a result for
	// a record, that of the earliest comes first. It is never nil.
	Manifest *manifest.Manifest
	// Origins says which source gave what.
	Origins manifest.Origins
	// holders are the backends that have a blob, in the order of the sources.
	holders map[blob.Digest][]backend.Backend
}

// Import reads the caches of an ordered chain of sources and overlays them:
// the first that has a record serves it, later ones stand in where a blob of it
// is lost. All sources are read at the same time, manifests only: blobs are
// opened when they are needed.
//
// Of a store that keeps a ref in several scopes all that can be read are
// overlaid, see [backend.Info].
//
// A source that has nothing, or fails, never disturbs the others: it is noted
// in the report. Records whose blobs no source has are left out. The error is
// nil unless a target is malformed or the context ends; a build goes on with
// what was found, perhaps nothing.
func Import(ctx context.Context, from []Target, opts ImportOptions) (*Imported, *Report, error) {
	report := &Report{Schema: Schema}
	for _, t := range from {
		if err := t.check(); err != nil {
			return nil, report, err
		}
		report.Sources = append(report.Sources, &SourceReport{Source: t.Backend.Info().Location, Ref: t.Ref})
	}
	found := make([]*source, len(from))
	asked := new(inquiry)
	var running sync.WaitGroup
	for i, t := range from {
		running.Go(func() {
			ctx, cancel := opts.withTimeout(ctx)
			defer cancel()
			found[i] = readSource(ctx, t, report.Sources[i], asked, opts)
			if report.Sources[i].Err != nil && ctx.Err() != nil {
				report.Sources[i].Err = context.Cause(ctx)
			}
		})
	}
	running.Wait()
	if err := ctx.Err(); err != nil {
		return nil, report, err
	}
	for i, s := range found {
		report.Degradations = append(report.Degradations, s.degradations(report.Sources[i])...)
	}
	imported := overlay(from, found)
	for i, r := range imported.Manifest.Records {
		if len(r.Results) > 0 {
			report.Sources[imported.Origins.Records[i]].Serves++
		}
	}
	return imported, report, nil
}

// source is what one source of an import gave.
type source struct {
	manifest *manifest.Manifest // nil if there is none
	problems []Degradation
}

// readSource reads one source. Failures end in its report.
func readSource(ctx context.Context, t Target, report *SourceReport, asked *inquiry, opts ImportOptions) *source {
	found, failed, err := loadAll(ctx, t, opts.ReadLimit)
	if err != nil {
		report.Err = err
		return &source{}
	}
	s := &source{}
	for _, err := range failed {
		s.problems = append(s.problems, Degradation{Kind: SourceFailed, Target: t.String(), Detail: err.Error()})
	}
	for _, p := range found.Problems {
		s.problems = append(s.problems, Degradation{Kind: DocumentDamaged, Target: t.String(), Blob: p.Blob, Detail: p.Detail})
	}
	usable, lost := found.Manifest.Usable()
	report.Lost = lost.Records
	if !opts.SkipStat {
		usable, err = s.dropAbsent(ctx, t, usable, report, asked)
	}
	if err != nil {
		report.Err = err
		return &source{problems: s.problems}
	}
	s.manifest = usable
	report.Digest = found.digest()
	report.Records, report.Layers = len(usable.Records), len(usable.Layers)
	return s
}

// dropAbsent asks the store for all blobs and removes what needs missing ones.
func (s *source) dropAbsent(ctx context.Context, t Target, m *manifest.Manifest, report *SourceReport, asked *inquiry) (*manifest.Manifest, error) {
	gone, err := asked.absent(ctx, t.Backend, m.Blobs())
	if err != nil {
		return nil, err
	}
	if len(gone) == 0 {
		return m, nil
	}
	kept, lost := m.WithoutBlobs(gone)
	report.Lost += lost.Records
	for d := range gone {
		s.problems = append(s.problems, Degradation{Kind: BlobLost, Target: t.String(), Blob: d, Detail: "the store does not have the blob, or not in this size"})
	}
	return kept, nil
}

// degradations are what has to be said of a source.
func (s *source) degradations(report *SourceReport) []Degradation {
	if report.Err == nil {
		return s.problems
	}
	kind := SourceFailed
	if errors.Is(report.Err, backend.ErrNotFound) {
		kind = SourceMissing
	}
	return append(s.problems, Degradation{Kind: kind, Target: report.Source + " " + report.Ref, Detail: report.Err.Error()})
}

func overlay(from []Target, found []*source) *Imported {
	manifests := make([]*manifest.Manifest, len(found))
	holders := make(map[blob.Digest][]backend.Backend)
	for i, s := range found {
		manifests[i] = s.manifest
		if s.manifest == nil {
			continue
		}
		for _, b := range s.manifest.Blobs() {
			holders[b.Digest] = append(holders[b.Digest], from[i].Backend)
		}
	}
	merged, origins := manifest.Overlay(manifests...)
	return &Imported{Manifest: merged, Origins: origins, holders: holders}
}

// Open returns a reader of a blob, from the first source that gives it. The
// content is verified: a reader that ends without error has yielded the blob.
// The caller closes it; ctx governs it until then. A blob that no source has is
// an error matching ErrNotFound, so that an engine can treat it as a miss.
func (c *Imported) Open(ctx context.Context, d blob.Descriptor) (io.ReadCloser, error) {
	if len(c.holders[d.Digest]) == 0 {
		return nil, fmt.Errorf("%w: blob %s is in none of the imported caches", backend.ErrNotFound, d.Digest)
	}
	r, err := c.openRaw(ctx, d)
	if err != nil {
		return nil, err
	}
	return blob.NewReader(r, d), nil
}

// Source implements [Content], so that what was imported can be exported.
func (c *Imported) Source(d blob.Descriptor) blob.Source {
	if len(c.holders[d.Digest]) == 0 {
		return nil
	}
	return blob.SourceFunc(func(ctx context.Context) (io.ReadCloser, error) { return c.openRaw(ctx, d) })
}

// openRaw is Open without verification.
func (c *Imported) openRaw(ctx context.Context, d blob.Descriptor) (io.ReadCloser, error) {
	var failures []error
	for _, b := range c.holders[d.Digest] {
		r, err := backend.RawSourceOf(b, d).Open(ctx)
		if err == nil {
			return r, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// origins implements originer.
func (c *Imported) origins(d blob.Digest) []backend.Backend { return c.holders[d] }
