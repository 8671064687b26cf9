package larder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Blobs are moved many at a time if they are small, because then the requests
// cost more than the bytes, and few at a time if they are large, because a few
// streams fill any link and more only take memory. A blob weighs one unit, and
// one more for each heavyUnit bytes up to maxWeight; transferUnits may be on
// the way. That gives 64 small blobs or 4 large ones.
//
// Those that all of their destinations store together with others are counted in
// parts of a unit: a thousand may be on the way, and as many bytes as otherwise.
const (
	transferUnits = 64
	maxWeight     = 16
	heavyUnit     = 256 << 10
	unitParts     = 16
)

func weight(size int64) int64 {
	return min(1+size/heavyUnit, maxWeight)
}

// parts returns what a parcel weighs, in parts of a unit.
func (p *parcel) parts() int64 {
	for _, s := range p.to {
		if p.Size > s[0].Backend.Info().Gathers {
			return weight(p.Size) * unitParts
		}
	}
	return min(1+p.Size/(heavyUnit/unitParts), maxWeight*unitParts)
}

// destination is a target of a transfer.
type destination struct {
	Target
	index  int
	report *TargetReport
	// insists takes no write for omittable.
	insists bool
	// absent are the blobs that the store has said it does not have.
	absent map[blob.Digest]bool

	mu      sync.Mutex
	err     error
	omitted map[blob.Digest]error // blobs that the store takes no more
}

// lacks notes that the store does not have a blob. Blobs are asked for before
// they are sent, not meanwhile.
func (d *destination) lacks(b blob.Digest) {
	if d.absent == nil {
		d.absent = make(map[blob.Digest]bool)
	}
	d.absent[b] = true
}

// context returns the context of a Put.
func (d *destination) context(ctx context.Context, b blob.Digest) context.Context {
	if d.absent[b] {
		ctx = backend.WithAbsent(ctx)
	}
	return backend.WithTrace(ctx, d.report.trace())
}

// fail notes that the target cannot be written; the first reason counts.
func (d *destination) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
	}
}

func (d *destination) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// canOmit reports whether a write has failed in a way that the target does
// without.
func (d *destination) canOmit(err error) bool { return !d.insists && backend.Omittable(err) }

// omit notes that the store does not take a blob.
func (d *destination) omit(b blob.Digest, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.omitted == nil {
		d.omitted = make(map[blob.Digest]error)
	}
	d.omitted[b] = err
}

// omission returns why the store does not take a blob, or nil.
func (d *destination) omission(b blob.Digest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.omitted[b]
}

// parcel is a blob on its way to the destinations that need it.
type parcel struct {
	blob.Descriptor
	to []stop
}

// stop is a backend that needs a blob: the destinations that are refs on it. The
// first of them receives the blob, and the others then have it too.
type stop []*destination

// at reports whether the stop is on the given backend.
func (s stop) at(b backend.Backend) bool {
	return reflect.TypeOf(b).Comparable() && s[0].Backend == b
}

// settle tells the other destinations at the stop how it went for the first.
func (s stop) settle(t *transfer, b blob.Descriptor, stored bool) {
	for _, d := range s[1:] {
		switch err, omitted := s[0].failed(), s[0].omission(b.Digest); {
		case stored:
			t.reuse(b, d)
		case err != nil:
			d.fail(err)
		case omitted != nil:
			d.omit(b.Digest, omitted)
		}
	}
}

// transfer sends blobs to destinations.
type transfer struct {
	content  Content
	progress Progress

	mu   sync.Mutex
	lost map[blob.Digest]error // blobs whose source is to blame
}

func newTransfer(content Content, progress Progress) *transfer {
	return &transfer{content: content, progress: progress, lost: make(map[blob.Digest]error)}
}

// send stores each parcel at its destinations, the largest first. A
// destination that fails is left alone from then on; a blob that its source
// does not give is noted as lost. Only the end of the context is an error.
func (t *transfer) send(ctx context.Context, parcels []parcel) error {
	slices.SortStableFunc(parcels, func(a, b parcel) int { return cmp.Compare(b.Size, a.Size) })
	for _, p := range parcels {
		for _, s := range p.to {
			t.progress.step(StepPlanned, s[0].index, p.Digest, p.Size)
		}
	}
	units := semaphore.NewWeighted(transferUnits * unitParts)
	var running sync.WaitGroup
	defer running.Wait()
	for _, p := range parcels {
		w := p.parts()
		if err := units.Acquire(ctx, w); err != nil {
			return err
		}
		running.Go(func() {
			defer units.Release(w)
			t.deliver(ctx, p)
		})
	}
	running.Wait()
	return ctx.Err()
}

// deliver stores one blob at its destinations, reading its source once.
func (t *transfer) deliver(ctx context.Context, p parcel) {
	to := slices.DeleteFunc(slices.Clone(p.to), func(s stop) bool {
		if s[0].failed() == nil && !t.mount(ctx, p.Descriptor, s[0]) {
			return false
		}
		s.settle(t, p.Descriptor, s[0].failed() == nil)
		return true
	})
	src := t.content.Source(p.Descriptor)
	switch {
	case len(to) == 0:
	case src == nil:
		t.lose(p.Digest, fmt.Errorf("%w: blob %s has no source", backend.ErrNotFound, p.Digest))
	case len(to) == 1:
		t.put(ctx, p.Descriptor, src, to[0])
	default:
		shared := newTee(ctx, src, len(to))
		var running sync.WaitGroup
		for _, s := range to {
			member, leave := shared.member()
			running.Go(func() {
				defer leave()
				t.put(ctx, p.Descriptor, member, s)
			})
		}
		running.Wait()
		shared.wait()
	}
}

// put stores a blob at one stop and notes how that went.
func (t *transfer) put(ctx context.Context, b blob.Descriptor, src blob.Source, at stop) {
	to := at[0]
	source := &metered{
		Source: src,
		asFile: to.Backend.Info().VerifiesPut,
		moved: func(n int64) {
			if n != 0 {
				t.progress.step(StepMoved, to.index, b.Digest, n)
			}
		},
	}
	err := to.Backend.Put(to.context(ctx, b.Digest), b, source)
	switch {
	case err == nil && source.opened.Load():
		to.report.count(&to.report.Sent, b.Size)
		if source.passed.Load() {
			source.moved(b.Size)
		}
		t.progress.step(StepSent, to.index, b.Digest, b.Size)
	case err == nil:
		t.reuse(b, to)
	default:
		t.progress.step(StepFailed, to.index, b.Digest, b.Size)
		t.blame(ctx, b, source, to, err)
	}
	at.settle(t, b, err == nil)
}

// blame finds out who is responsible for a failed put.
func (t *transfer) blame(ctx context.Context, b blob.Descriptor, source *metered, to *destination, err error) {
	switch {
	case ctx.Err() != nil:
		to.fail(ctx.Err())
	case source.fault() != nil:
		t.lose(b.Digest, source.fault())
	case errors.Is(err, blob.ErrCorrupt):
		t.lose(b.Digest, err)
	case to.canOmit(err):
		to.omit(b.Digest, err)
	default:
		to.fail(err)
	}
}

// lose notes that the source of a blob does not give it.
func (t *transfer) lose(d blob.Digest, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost[d] == nil {
		t.lost[d] = err
	}
}

// mount lets the destination take the blob over by itself, if it can.
func (t *transfer) mount(ctx context.Context, b blob.Descriptor, to *destination) bool {
	copier, ok := backend.As[backend.Copier](to.Backend)
	from, known := t.content.(originer)
	if !ok || !known {
		return false
	}
	ctx = backend.WithTrace(ctx, to.report.trace())
	for _, origin := range from.origins(b.Digest) {
		// Whatever the reason for a failure, the ordinary way is tried next.
		if copier.CopyFrom(ctx, origin, b) == nil {
			to.report.count(&to.report.Mounted, b.Size)
			t.progress.step(StepMounted, to.index, b.Digest, b.Size)
			return true
		}
	}
	return false
}

// reuse counts a blob that the destination has.
func (t *transfer) reuse(b blob.Descriptor, to *destination) {
	to.report.count(&to.report.Reused, b.Size)
	t.progress.step(StepReused, to.index, b.Digest, b.Size)
}

// parcels gathers what each destination wants into one parcel for each blob.
func parcels(wanted map[*destination][]blob.Descriptor, dests []*destination) []parcel {
	at := make(map[blob.Digest]int)
	var all []parcel
	for _, dest := range dests {
		for _, b := range wanted[dest] {
			i, ok := at[b.Digest]
			if !ok {
				i = len(all)
				at[b.Digest] = i
				all = append(all, parcel{Descriptor: b})
			}
			all[i].add(dest)
		}
	}
	return all
}

// add adds a destination to those of the parcel.
func (p *parcel) add(d *destination) {
	i := slices.IndexFunc(p.to, func(s stop) bool { return s.at(d.Backend) })
	if i < 0 {
		p.to = append(p.to, stop{d})
		return
	}
	p.to[i] = append(p.to[i], d)
}
