package gha

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// GitHub creates so many entries in a minute, for all jobs of a repository
// together. Others get 429 and a time to wait.
//
// Source: github.blog/changelog, 2026-01-16.
const (
	budgetCreations = 200
	budgetPeriod    = time.Minute
)

// Budget is how many entries may be created. Backends of one repository share
// one, so that they wait for each other instead of being refused. Other jobs
// take of the same without being seen here: when the service tells one of those
// who share a budget to wait, all do. Waits are told to the traces of a call
// before they begin, see [backend.TraceRetry].
type Budget struct {
	// Creations is how many entries may be created in a minute; 0 means GitHub's
	// 200. It is not changed after the first use.
	Creations int

	mu     sync.Mutex
	recent []time.Time // when the last entries were created
	until  time.Time   // when the service wants to be asked again
	// refused is when the service has begun to refuse, and backoff how long the
	// last wait was that it has not given a time for.
	refused time.Time
	backoff time.Duration
}

// The waits after refusals that name no time.
const (
	firstBackoff = time.Second
	lastBackoff  = time.Minute
)

// turn is one creation that waits for its turn.
type turn struct {
	began    time.Time
	patience time.Duration
	// document says that it is that of a ref. Blobs leave some of the creations,
	// and of the time until the context ends, to the document that names them.
	document bool
	// refusal is what the service has said last, or nil.
	refusal error
}

// wait waits until another entry may be created. If that takes longer than the
// turn has patience, or than the context leaves, it says so at once.
func (b *Budget) wait(ctx context.Context, t *turn) error {
	for left, refused := b.take(t); left > 0; left, refused = b.take(t) {
		waited := time.Since(t.began)
		if !refused.IsZero() {
			waited = max(waited, time.Since(refused))
		}
		deadline, limited := ctx.Deadline()
		if waited+left > t.patience || limited && left > t.bearable(time.Until(deadline)) {
			return &bucket.Failure{Kind: backend.ErrLimited, RetryAfter: left, Omittable: true, Err: t.reason(left)}
		}
		backend.TraceRetry(ctx, "create", t.reason(left), left)
		if err := calls.Pause(ctx, left); err != nil {
			return err
		}
	}
	return nil
}

// documentShare is one in how many creations are for documents, and timeShare
// likewise of the time.
const (
	documentShare = 20
	timeShare     = 4
)

// bearable returns how long can be waited of the time that is left.
func (t *turn) bearable(left time.Duration) time.Duration {
	if t.document {
		return left
	}
	return left - left/timeShare
}

// reason says why there is a wait.
func (t *turn) reason(left time.Duration) error {
	left = left.Round(100 * time.Millisecond)
	if t.refusal != nil {
		return fmt.Errorf("no more entries can be created for %s: %w", left, t.refusal)
	}
	return fmt.Errorf("no more entries can be created for %s, the service allows so many in a minute", left)
}

// take counts a creation, or returns how long it has to wait, and since when the
// service has refused.
func (b *Budget) take(t *turn) (left time.Duration, refused time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if left := b.until.Sub(now); left > 0 {
		return left, b.refused
	}
	for len(b.recent) > 0 && !b.recent[0].Add(budgetPeriod).After(now) {
		b.recent = b.recent[1:]
	}
	limit := cmp.Or(b.Creations, budgetCreations)
	if !t.document {
		limit -= limit / documentShare
	}
	if n := len(b.recent); n >= limit {
		return b.recent[n-limit].Add(budgetPeriod).Sub(now), b.refused
	}
	b.recent = append(b.recent, now)
	return 0, b.refused
}

// refuse lets nobody create an entry for as long as the service has said, or for
// longer each time.
func (b *Budget) refuse(after time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.refused.IsZero() {
		b.refused = now
	}
	if after <= 0 && now.After(b.until) {
		b.backoff = min(max(2*b.backoff, firstBackoff), lastBackoff)
	}
	if until := now.Add(cmp.Or(max(after, 0), b.backoff)); until.After(b.until) {
		b.until = until
	}
}

// grant notes that the service lets entries be created.
func (b *Budget) grant() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused, b.backoff = time.Time{}, 0
}

// state returns how many entries may be created in a minute, and how long the
// service lets nobody create any.
func (b *Budget) state() (limit int, left time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return cmp.Or(b.Creations, budgetCreations), max(time.Until(b.until), 0)
}
