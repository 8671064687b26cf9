package faultsuite

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/internal/faultproxy"
)

// once has a fault strike one request: the verb succeeds all the same.
func (st *stage) once(t *testing.T, fault faultproxy.Fault, n int) {
	t.Helper()
	s := st.newScene(t, options(fault, false))
	s.inject(fault, n)
	if err := st.verb.run(t.Context(), s); err != nil {
		t.Errorf("%s = %v, want nil", st.verb.name, err)
	}
	s.mustHaveSucceeded(t)
}

// lasts has a fault strike every request from one on: the verb says what has
// happened, and what was there is there still. Where an answer alone is lost,
// the new cache may be there instead, all of it.
func (st *stage) lasts(t *testing.T, fault faultproxy.Fault, n int) {
	t.Helper()
	s := st.newScene(t, options(fault, true))
	fault.Times = -1
	s.inject(fault, n)
	err := st.verb.run(t.Context(), s)
	switch {
	case err == nil && !s.struck(n):
		return
	case err == nil && fault.After > 0:
		s.mustHaveSucceeded(t) // all of an answer had come before it struck
		return
	case backend.Kind(err) == nil:
		t.Errorf("%s = %v, want an error of some kind", st.verb.name, err)
	}
	done := fault.Kind == faultproxy.Lost || fault.After > 0 || st.h.Confirms
	s.mustBeIntact(t, done)
}

// canceled cancels the verb when a request waits for an answer that never comes.
func (st *stage) canceled(t *testing.T, n int) {
	t.Helper()
	s := st.newScene(t, wrap.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var since time.Time
	s.inject(faultproxy.Fault{Kind: faultproxy.Stall, Times: -1, Match: func(*http.Request) bool {
		if s.seen.Load() == int64(n) { // that one
			since = time.Now()
			cancel()
		}
		return true
	}}, n)
	err := st.verb.run(ctx, s)
	if err == nil && !s.struck(n) {
		return
	}
	if took := time.Since(since); took > time.Second {
		t.Errorf("%s has ended %v after its cancellation, want at most a second", st.verb.name, took)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%s = %v, want %v", st.verb.name, err, context.Canceled)
	}
	s.mustBeIntact(t, st.h.Confirms)
}
