package larder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// DefaultRefreshAge is the refresh bound of BuildKit's S3 exporter.
const DefaultRefreshAge = 24 * time.Hour

// ExportOptions are the options of [Export].
type ExportOptions struct {
	// Overwrite replaces what the ref has instead of adding to it, as BuildKit
	// does.
	Overwrite bool
	// Encoding is the form to write. By default it is the form that the ref has
	// now, or else what the backend prefers. Inline puts the cache into the image
	// that the ref has, see [AttachInline].
	Encoding buildkit.Encoding
	// Strict fails with ErrTooLarge rather than leaving out the oldest records
	// of a manifest that would be too large for BuildKit to import.
	Strict bool
	// SkipMissing has [Merge] do without the sources that do not exist, as long
	// as one does. They are noted as SourceMissing.
	SkipMissing bool
	// RefreshAge bounds how old the blobs may get that a ref relies on, on a
	// store that removes old ones: those older than half of it are renewed. The
	// default is DefaultRefreshAge.
	RefreshAge time.Duration
	// ReadLimit is the largest existing document to be read, in bytes. The
	// default is buildkit.DefaultReadLimit.
	ReadLimit int64
	// Now tells the time; the default is time.Now.
	Now func() time.Time
	// Progress, if not nil, receives the steps of the transfer.
	Progress Progress

	// insists takes no write for omittable.
	insists bool
}

func (o ExportOptions) withDefaults() ExportOptions {
	if o.RefreshAge <= 0 {
		o.RefreshAge = DefaultRefreshAge
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Export adds a manifest to one or several targets and stores the blobs that
// they lack, reading each once.
//
// What other exporters add to the same ref meanwhile is kept: the ref is read,
// merged with m, and replaced only if it is still what was read, and so on
// until that succeeds. A store that cannot do this is written unconditionally,
// which the report notes as [UnguardedPublish].
//
// Where it costs a request to ask for a blob, those that the ref names already
// are taken for present, as long as the store does not remove them for their
// age, and of many others a sample is asked for first.
//
// Blobs are stored first, then the documents, then the ref, so that the ref
// never promises what is not there. Records whose blobs content does not give
// are left out and noted as [BlobLost]. So are, for a target that takes no more
// writes from here, those that it has not taken, noted as [WriteOmitted]; a
// target whose ref cannot be written for this reason is skipped, which is no
// error: see [backend.Omittable]. A manifest without results publishes
// nothing. A target that fails is left as it was and does not disturb the
// others; the error joins those of all targets.
func Export(ctx context.Context, m *manifest.Manifest, content Content, to []Target, opts ExportOptions) (*Report, error) {
	if err := checkTargets(to); err != nil {
		return &Report{Schema: Schema}, err
	}
	if err := m.Check(); err != nil {
		report := newReport(to...)
		report.fail(err)
		return report, err
	}
	opts = opts.withDefaults()
	e := &export{opts: opts, report: newReport(to...), manifest: m}
	e.addTargets(to)
	return e.report, e.run(ctx, content)
}

// addTargets makes a publisher of each target.
func (e *export) addTargets(to []Target) {
	for i, t := range to {
		p := &publisher{destination: destination{Target: t, index: i, report: e.report.Targets[i], insists: e.opts.insists}, opts: e.opts}
		p.opts.Encoding = cmp.Or(t.Encoding, e.opts.Encoding)
		e.dests = append(e.dests, p)
	}
}

func checkTargets(to []Target) error {
	if len(to) == 0 {
		return fmt.Errorf("%w: no target to write to", backend.ErrInvalid)
	}
	for _, t := range to {
		if err := t.checkWritable(); err != nil {
			return err
		}
	}
	return nil
}

// export is one call of Export.
type export struct {
	opts     ExportOptions
	report   *Report
	manifest *manifest.Manifest
	dests    []*publisher
}

func (e *export) run(ctx context.Context, content Content) error {
	if e.manifest.IsEmpty() {
		return e.skip("the manifest has no result")
	}
	transfer := newTransfer(content, e.opts.Progress)
	blobs := e.manifest.Blobs()
	return e.carry(ctx, transfer, e.plan(func(p *publisher) ([]blob.Descriptor, error) { return p.plan(ctx, blobs, transfer) }))
}

// carry sends what the targets want, and publishes what is whole.
func (e *export) carry(ctx context.Context, transfer *transfer, wanted map[*destination][]blob.Descriptor) error {
	if err := transfer.send(ctx, parcels(wanted, e.destinations())); err != nil {
		return e.outcome(err)
	}
	kept := e.withoutLost(transfer)
	if kept.IsEmpty() {
		return e.skip("no result is left")
	}
	e.each(func(p *publisher) error { return p.publishStored(ctx, kept, transfer) })
	return e.outcome(nil)
}

// each runs step for every target that has not failed, all at the same time.
func (e *export) each(step func(*publisher) error) {
	var running sync.WaitGroup
	for _, p := range e.dests {
		if p.failed() != nil {
			continue
		}
		running.Go(func() {
			if err := step(p); p.canOmit(err) {
				p.skip(err)
			} else if err != nil {
				p.fail(err)
			}
		})
	}
	running.Wait()
}

// plan finds out what each target lacks.
func (e *export) plan(lacking func(*publisher) ([]blob.Descriptor, error)) map[*destination][]blob.Descriptor {
	var mu sync.Mutex
	wanted := make(map[*destination][]blob.Descriptor)
	e.each(func(p *publisher) error {
		missing, err := lacking(p)
		mu.Lock()
		defer mu.Unlock()
		wanted[&p.destination] = missing
		return err
	})
	return wanted
}

// withoutLost returns the manifest without what needs lost blobs.
func (e *export) withoutLost(t *transfer) *manifest.Manifest {
	if len(t.lost) == 0 {
		return e.manifest
	}
	lost := make(map[blob.Digest]bool)
	for d, err := range t.lost {
		lost[d] = true
		e.report.Degradations = append(e.report.Degradations, Degradation{Kind: BlobLost, Blob: d, Detail: err.Error()})
	}
	kept, _ := e.manifest.WithoutBlobs(lost)
	return kept
}

// skip ends an export that has nothing to publish.
func (e *export) skip(why string) error {
	for _, p := range e.dests {
		if p.failed() == nil {
			p.report.Outcome = Skipped
		}
	}
	e.report.Degradations = append(e.report.Degradations, Degradation{Kind: NothingToPublish, Detail: why})
	return e.outcome(nil)
}

func (e *export) destinations() []*destination {
	dests := make([]*destination, len(e.dests))
	for i, p := range e.dests {
		dests[i] = &p.destination
	}
	return dests
}

// outcome enters the targets' errors in the report, with err for those that
// have not got anywhere, and joins them.
func (e *export) outcome(err error) error {
	var all []error
	for _, p := range e.dests {
		reason := p.failed()
		if reason == nil && p.report.Outcome == "" {
			reason = err
		}
		if reason != nil {
			all = append(all, fmt.Errorf("%s: %w", p.Target, p.report.fail(reason)))
		}
	}
	return errors.Join(all...)
}
