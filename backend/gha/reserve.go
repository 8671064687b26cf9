package gha

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

const (
	// reservationLife is how long a reservation can be used: its URL is valid for
	// an hour.
	reservationLife = 50 * time.Minute
	// maxKept is how many reservations are kept for another attempt.
	maxKept = 1024
	// maxStuck is how many entries are stepped over for a blob or a ref: each may
	// take Options.StuckAfter.
	maxStuck = 8
	// refPatience is how much longer than blobs documents wait until they can be
	// created.
	refPatience = 2 * time.Minute
	// firstPoll is the wait before the service is asked again whether an entry is
	// there, which doubles up to lastPoll.
	firstPoll = 20 * time.Millisecond
	lastPoll  = 2 * time.Second
)

// reservation is the right to write an entry once.
type reservation struct {
	slot
	key  string
	made time.Time
}

// reserve reserves an entry, or takes up a reservation of before that is not
// older than life. It returns errExists if the entry is there or reserved.
func (s *store) reserve(ctx context.Context, key string, life time.Duration) (*reservation, error) {
	if r := s.takeKept(key, life); r != nil {
		return r, nil
	}
	made := time.Now()
	where, err := s.create(ctx, key)
	return &reservation{slot: where, key: key, made: made}, err
}

// create reserves an entry when the budget allows it.
func (s *store) create(ctx context.Context, key string) (slot, error) {
	t := &turn{began: time.Now(), patience: s.opts.Patience, document: strings.HasPrefix(key, indexPrefix)}
	if t.document {
		t.patience += refPatience
	}
	for {
		if s.protocol.readOnly.Load() == nil {
			if err := s.budget.wait(ctx, t); err != nil {
				return slot{}, err
			}
		}
		to, err := s.protocol.create(ctx, key)
		f, failed := errors.AsType[*bucket.Failure](err)
		if !failed || statusOf(err) != http.StatusTooManyRequests {
			s.budget.grant()
			return to, err
		}
		s.budget.refuse(f.RetryAfter)
		t.refusal = f.Err
	}
}

// giveUp returns the error of a write that has failed. Its reservation is kept,
// unless the service says that there is none: it was finalized before, by a
// request whose answer was lost, or has been dropped. Another attempt finds out.
func (s *store) giveUp(r *reservation, err error) error {
	if gone := asGone(err); gone != nil {
		return gone
	}
	s.keep(r)
	return err
}

// asGone returns the error of a reservation that is not there, or nil if err does
// not say so.
func asGone(err error) error {
	e, ok := errors.AsType[*ResponseError](err)
	if !ok || e.Status != http.StatusNotFound {
		return nil
	}
	return &bucket.Failure{Kind: backend.ErrUnavailable, Err: e, Temporary: true}
}

// keep remembers a reservation for another attempt: nobody can write that entry
// otherwise.
func (s *store) keep(r *reservation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) >= maxKept {
		clear(s.kept)
	}
	s.kept[r.key] = r
}

// takeKept returns a reservation that was kept, to one caller.
func (s *store) takeKept(key string, life time.Duration) *reservation {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.kept[key]
	delete(s.kept, key)
	if !ok || time.Since(r.made) > life {
		return nil
	}
	return r
}

// finish makes an entry visible whose content is there. If that fails, it may
// have happened all the same.
func (s *store) finish(ctx context.Context, r *reservation, size int64) error {
	err := s.protocol.finalize(ctx, r.key, r.slot, size)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if key, _, lookupErr := s.protocol.lookup(ctx, r.key); lookupErr == nil && key == r.key {
		return nil
	}
	return err
}

// reserveBlob reserves an entry for a blob, or returns nil if the blob turns out
// to be there with this size. An entry that somebody else has reserved is waited
// for; if nothing comes of it, or if it is wrong, the next one is taken.
func (s *store) reserveBlob(ctx context.Context, key string, size int64) (*reservation, error) {
	entry := entryOf(key)
	next, number := entry, 0
	for range maxStuck {
		r, err := s.reserve(ctx, next, reservationLife)
		if !errors.Is(err, errExists) {
			return r, err
		}
		if !s.protocol.read {
			return nil, nil // its key says that it is this blob
		}
		f, got, err := s.awaitBlob(ctx, key, next)
		switch {
		case errors.Is(err, backend.ErrDenied): // as above, and nobody may look
			return nil, nil
		case errors.Is(err, errKept):
			continue
		case err == nil && got == size:
			return nil, nil
		case err != nil && !errors.Is(err, backend.ErrNotFound):
			return nil, err
		}
		number = max(number, f.number) + 1
		next = numbered(entry+"#", number)
	}
	return nil, &bucket.Failure{Kind: backend.ErrUnavailable, Err: fmt.Errorf("%d entries of this blob are reserved and not finished", maxStuck)}
}

// errKept says that there is a reservation to take up.
var errKept = errors.New("a reservation was kept")

// awaitBlob waits until the blob that somebody else is writing is there, and
// returns its entry and size. It returns ErrNotFound if that takes too long.
func (s *store) awaitBlob(ctx context.Context, key, reserved string) (f found, size int64, err error) {
	err = s.poll(ctx, reserved, func() (done bool, err error) {
		f, size, err = s.headBlob(ctx, key)
		if errors.Is(err, backend.ErrNotFound) && f.key == "" {
			return false, nil
		}
		return true, err
	})
	if errors.Is(err, errStuck) {
		err = errNotFound()
	}
	return f, size, err
}

// errStuck says that nothing has come of a reservation.
var errStuck = errors.New("an entry was reserved and not finished")

// poll asks again and again until it is done, a reservation of key is there to
// take up (errKept), or its writer counts as crashed (errStuck).
func (s *store) poll(ctx context.Context, key string, ask func() (done bool, err error)) error {
	return s.pollFor(ctx, s.opts.StuckAfter, key, ask)
}

// pollFor is poll with another time. Its waits are told.
func (s *store) pollFor(ctx context.Context, patience time.Duration, key string, ask func() (done bool, err error)) error {
	limited, cancel := context.WithTimeoutCause(ctx, patience, errStuck)
	defer cancel()
	for wait := firstPoll; ; wait = min(2*wait, lastPoll) {
		if s.isKept(key) {
			return errKept
		}
		if done, err := ask(); done || err != nil {
			return err
		}
		backend.TraceRetry(ctx, "lookup", errAwaited, wait)
		if calls.Pause(limited, wait) != nil {
			return context.Cause(limited)
		}
	}
}

// errAwaited is why something is looked up again.
var errAwaited = errors.New("the service does not find yet what was written, or is being written by another")

func (s *store) isKept(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.kept[key]
	return ok
}
