package gha

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// maxContests is how often others may write a ref first.
const maxContests = 100

// state is what a ref is at present.
type state struct {
	// key is that of the entry with its document, and its version; "" means that
	// there is none.
	key     string
	content *url.URL
	// own is the number of the newest entry in the scope that is written, which
	// need not be the one with the document.
	own int
}

// find returns the state of a ref: that of the first scope which has it, or of
// the one that the context asks for.
func (s *store) find(ctx context.Context, key string) (state, error) {
	var found state
	scopes := s.scopes.read
	if scope, ok := backend.ScopeOf(ctx); ok {
		scopes = []string{scope}
	}
	for _, scope := range scopes {
		series := seriesOf(key, scope)
		number, content, err := s.newest(ctx, series)
		if err != nil {
			return state{}, err
		}
		if series == seriesOf(key, s.scopes.own) {
			found.own = number
		}
		if number > 0 {
			found.key, found.content = numbered(series, number), content
			return found, nil
		}
	}
	return found, nil
}

// newest returns the number of the newest entry in a series, or 0. One that was
// written here is waited for, as it may take a while until the service finds it.
func (s *store) newest(ctx context.Context, series string) (number int, content *url.URL, err error) {
	own := s.lastFinished(series)
	err = s.poll(ctx, "", func() (done bool, err error) {
		key, where, err := s.protocol.lookup(ctx, series)
		if err != nil {
			return false, err
		}
		number, _ = numberOf(series, key)
		content = where
		return number >= own, nil
	})
	if errors.Is(err, errStuck) { // it was evicted
		s.setFinished(series, 0)
		err = nil
	}
	return number, content, err
}

func (s *store) lastFinished(series string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finished[series]
}

func (s *store) setFinished(series string, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished[series] = number
}

// getRef returns the document of a ref.
func (s *store) getRef(ctx context.Context, key string) (io.ReadCloser, bucket.Object, error) {
	found, err := s.find(ctx, key)
	if err == nil && found.key == "" {
		s.setAbsent(key)
		err = errNotFound()
	}
	if err != nil {
		return nil, bucket.Object{}, err
	}
	r, size, err := s.client.get(ctx, found.content, 0, -1)
	return r, bucket.Object{Size: size, Version: backend.Version(found.key)}, err
}

// putRef writes a ref, if a condition holds: as the next entry in the series of
// the scope that is written. Of those who have seen the same one can reserve it.
func (s *store) putRef(ctx context.Context, key string, body bucket.Body, cond backend.Condition) (bucket.Object, error) {
	if body.Size == 0 {
		return bucket.Object{}, fmt.Errorf("%w: the document is empty, which the service does not store", backend.ErrInvalid)
	}
	if why := s.protocol.readOnly.Load(); why != nil {
		return bucket.Object{}, *why
	}
	r, number, err := s.reserveRef(ctx, key, cond)
	if err != nil {
		return bucket.Object{}, err
	}
	series := seriesOf(key, s.scopes.own)
	o, err := s.writeRef(ctx, r, series, number, body)
	if err == nil {
		err = s.confirm(ctx, series, number)
	}
	if err == nil {
		s.sweepRef(ctx, series, number)
	}
	return o, err
}

// reserveRef reserves the next entry of a ref, if a condition holds, and returns
// its number. Entries that others have reserved are waited for, and stepped over
// if nothing comes of them.
func (s *store) reserveRef(ctx context.Context, key string, cond backend.Condition) (*reservation, int, error) {
	series := seriesOf(key, s.scopes.own)
	stuck, steps := 0, 0 // the last entry that somebody has reserved and not finished, and how many
	for contest := 0; contest < maxContests && steps < maxStuck; contest++ {
		number, seen := s.following(key, cond)
		if contest > 0 || !seen {
			var err error
			if number, err = s.nextNumber(ctx, key, cond); err != nil {
				return nil, 0, err
			}
		}
		number = max(number, stuck+1)
		r, err := s.reserve(ctx, numbered(series, number), s.lease())
		if !errors.Is(err, errExists) {
			return r, number, err
		}
		if s.awaitRef(ctx, series, number) {
			stuck = number
			steps++
		}
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, &bucket.Failure{Kind: backend.ErrConflict, Err: errors.New("others have reserved the next entry again and again")}
}

// following returns the number after the entry that a condition names, or the
// first one if the ref was found absent, without another look: to reserve it shows
// whether there is one already. Where entries can be deleted it does not.
func (s *store) following(key string, cond backend.Condition) (number int, ok bool) {
	absent := s.takeAbsent(key)
	if cond.IsAbsent() {
		ok = absent
	} else {
		v, _ := cond.Version()
		number, ok = numberOf(seriesOf(key, s.scopes.own), string(v))
	}
	return number + 1, ok && s.protocol.read && s.rest == nil
}

// maxAbsent is how many refs are remembered as absent.
const maxAbsent = 4096

// setAbsent remembers that a ref was not found. That says something only if there
// is no scope besides the one that is written, in which it may appear.
func (s *store) setAbsent(key string) {
	if len(s.scopes.read) > 1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.absent) >= maxAbsent {
		clear(s.absent)
	}
	s.absent[key] = true
}

// takeAbsent reports, once, whether a ref was found absent.
func (s *store) takeAbsent(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	absent := s.absent[key]
	delete(s.absent, key)
	return absent
}

// nextNumber returns the number of the entry that is to be written, if a
// condition holds.
func (s *store) nextNumber(ctx context.Context, key string, cond backend.Condition) (int, error) {
	now, err := s.find(ctx, key)
	if !s.protocol.read || errors.Is(err, backend.ErrDenied) {
		return 0, &bucket.Failure{Kind: backend.ErrDenied, Omittable: true, Err: errors.New("a ref cannot be added to by who may not read it")}
	}
	if err != nil {
		return 0, err
	}
	if cond.IsAbsent() && now.key != "" {
		// Whoever reads finds nothing if the content has gone.
		_, err := s.head(ctx, now.content)
		if errors.Is(err, backend.ErrNotFound) {
			now.key = ""
		} else if err != nil {
			return 0, err
		}
	}
	if !cond.Holds(backend.Version(now.key)) {
		return 0, &bucket.Failure{Kind: backend.ErrConflict, Err: fmt.Errorf("the ref is at %q, want %s", now.key, cond)}
	}
	return now.own + 1, nil
}

// awaitRef waits until an entry that somebody else has reserved is found, and
// reports whether nothing has come of it.
func (s *store) awaitRef(ctx context.Context, series string, number int) (stuck bool) {
	err := s.pollFor(ctx, stepPatience*s.opts.StuckAfter, numbered(series, number), func() (bool, error) {
		key, _, err := s.protocol.lookup(ctx, series)
		got, _ := numberOf(series, key)
		return got >= number, err
	})
	return errors.Is(err, errStuck)
}

// writeRef writes the entry of a ref. Who takes longer than others wait gives
// up, lest the entry appears after theirs.
func (s *store) writeRef(ctx context.Context, r *reservation, series string, number int, body bucket.Body) (bucket.Object, error) {
	limited, cancel := context.WithDeadlineCause(ctx, r.made.Add(s.lease()), errLate)
	defer cancel()
	err := s.protocol.put(limited, r.slot, body)
	if err == nil {
		err = s.finish(limited, r, body.Size)
	}
	if err != nil {
		err = s.giveUp(r, err)
		if ctx.Err() == nil && errors.Is(context.Cause(limited), errLate) {
			err = &bucket.Failure{Kind: backend.ErrUnavailable, Err: errLate, Temporary: true}
		}
		return bucket.Object{}, err
	}
	s.setFinished(series, number)
	return bucket.Object{Size: body.Size, Version: backend.Version(r.key)}, nil
}

// How many times Options.StuckAfter the service may take until it finds a
// document that was written, for it to be acknowledged, and how many others wait
// for an entry that is reserved: one and a half minutes, and two. Others wait
// longer than a writer does, by more than its lease, so that nobody steps over a
// document that was acknowledged without having read it.
//
// GitHub's service takes seconds as a rule; minutes have been reported
// (moby/buildkit#5787, actions/cache#1710).
const (
	confirmPatience = 6
	stepPatience    = 8
)

// confirm waits until the service finds a document that was written, or one that
// came after.
func (s *store) confirm(ctx context.Context, series string, number int) error {
	err := s.pollFor(ctx, confirmPatience*s.opts.StuckAfter, "", func() (done bool, err error) {
		key, _, err := s.protocol.lookup(ctx, series)
		newest, _ := numberOf(series, key)
		return newest >= number, err
	})
	if errors.Is(err, errStuck) {
		return &bucket.Failure{Kind: backend.ErrUnavailable, Omittable: true, Err: errors.New("the service does not find the document that was written")}
	}
	return err
}

// errLate says that a ref took too long to write.
var errLate = errors.New("the document took so long to upload that others do not wait for it any more")

// lease is how long the writer of a ref may take.
func (s *store) lease() time.Duration { return s.opts.StuckAfter * 2 / 3 }
