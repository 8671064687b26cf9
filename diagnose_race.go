package larder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/larder-build/larder/backend"
)

// How many writers race for a ref. Where refs cannot be removed, what they write
// may stay.
const (
	racers    = 8
	fewRacers = 3
)

const (
	checkCreate     = "create refs"
	checkReplace    = "replace refs"
	checkConditions = "conditions"
)

// tryConditions has several writers race for a ref, with conditions that
// exclude each other.
func (p *probe) tryConditions(ctx context.Context) {
	can := p.info.Capabilities
	n := racers
	if !can.DeleteRef {
		n = fewRacers
	}
	if can.CreateRef {
		p.ref = newProbeName() // of this one nobody knows yet
		p.check(ctx, checkCreate, func(ctx context.Context) backend.Finding { return p.race(ctx, n, backend.Absent) })
	}
	if can.ReplaceRef {
		p.check(ctx, checkReplace, func(ctx context.Context) backend.Finding { return p.raceReplace(ctx, n) })
	}
	if !can.CreateRef || !can.ReplaceRef {
		p.check(ctx, checkConditions, func(context.Context) backend.Finding { return p.conditions() })
	}
}

// conditions says what the store declares.
func (d *doctor) conditions() backend.Finding {
	if can := d.info.Capabilities; can.CreateRef && can.ReplaceRef {
		return note(checkConditions, "a ref can be written only if nobody else has, it says; that was not tried")
	}
	f := note(checkConditions, "this store cannot write a ref only if nobody else has: of two exports to one ref at the same moment the last one wins")
	f.Remedy = "give exports that may run at the same time refs of their own, and merge them"
	return f
}

// raceReplace has writers race that have all read the same.
func (p *probe) raceReplace(ctx context.Context, n int) backend.Finding {
	found, err := p.backend.GetRef(ctx, p.ref)
	if err != nil {
		return failedWith(err)
	}
	return p.race(ctx, n, backend.Match(found.Version))
}

// race has n writers write at the same time, exactly one of which must succeed,
// and looks whether what that one wrote is what is there.
func (p *probe) race(ctx context.Context, n int, cond backend.Condition) backend.Finding {
	docs, errs := make([]backend.Document, n), make([]error, n)
	for i := range n {
		docs[i] = p.newDocument()
	}
	var writers sync.WaitGroup
	for i := range n {
		writers.Go(func() { _, errs[i] = p.putRef(ctx, docs[i], cond) })
	}
	writers.Wait()
	var won []int
	for i, err := range errs {
		switch {
		case err == nil:
			won = append(won, i)
		case !errors.Is(err, backend.ErrConflict):
			return failedWith(err)
		}
	}
	found, err := p.backend.GetRef(ctx, p.ref)
	if err != nil {
		return failedWith(err)
	}
	if len(won) != 1 || !bytes.Equal(found.Data, docs[won[0]].Data) {
		return unkept(n, len(won))
	}
	return passed("", "of %d writers at the same time one has won, and the others know that they have not", n)
}

// unkept is the finding that a store does not keep the promise of a capability.
func unkept(n, won int) backend.Finding {
	detail := fmt.Sprintf("of %d writers at the same time %d were told that they had won", n, won)
	if won == 1 {
		detail = fmt.Sprintf("of %d writers at the same time one was told that it had won, and another one's document is there", n)
	}
	f := finding(backend.FindingFailed, "", "%s: exports may undo each other unnoticed", detail)
	f.Remedy = "update the store, or let no two exports to one ref run at the same time"
	return f
}
