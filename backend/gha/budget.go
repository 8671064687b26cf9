package gha

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
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
// who share a budget to wait, all do.
type Budget struct {
	// Creations is how many entries may be created in a minute; 0 means GitHub's
	// 200. It is not changed after the first use.
	Creations int

	mu     sync.Mutex
	recent []time.Time // when the last entries were created
	until  time.Time   // when the service wants to be asked again
}

// wait waits until another entry may be created. If that is later than the
// context ends, it says so at once.
func (b *Budget) wait(ctx context.Context) error {
	var waited time.Duration
	for {
		left := b.take()
		if left <= 0 {
			break
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < left {
			return &bucket.Failure{
				Kind: backend.ErrLimited, Temporary: true, RetryAfter: left,
				Err: fmt.Errorf("no more entries can be created for %s", left.Round(time.Second)),
			}
		}
		if err := pause(ctx, left); err != nil {
			return err
		}
		waited += left
	}
	if waited > 0 {
		backend.TraceWait(ctx, "create", waited)
	}
	return nil
}

// take counts a creation, or returns how long it has to wait.
func (b *Budget) take() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if left := b.until.Sub(now); left > 0 {
		return left
	}
	if len(b.recent) >= cmp.Or(b.Creations, budgetCreations) {
		if left := b.recent[0].Add(budgetPeriod).Sub(now); left > 0 {
			return left
		}
		b.recent = b.recent[1:]
	}
	b.recent = append(b.recent, now)
	return 0
}

// pause lets nobody create an entry for a while.
func (b *Budget) pause(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until := time.Now().Add(d); until.After(b.until) {
		b.until = until
	}
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
