package registry_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/internal/registrytest"
)

// stage is a registry that demands tokens, with a cache of one layer under
// the tag "main", to which an export adds two.
type stage struct {
	s   *registrytest.Server
	old string // the document of the tag
}

const stageRepo = "team/cache"

func newStage(t *testing.T) *stage {
	t.Helper()
	st := &stage{s: registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Tokens: true, Users: accounts}})}
	if err := st.export(t, 1)(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.old = st.tagged(t)
	st.s.Forget()
	return st
}

// target is the tag as applications open it, but for shorter waits. The caller
// closes its backend.
func (st *stage) target(t *testing.T) larder.Target {
	t.Helper()
	b := open(t, st.s.Host+"/"+stageRepo, registry.Options{Keychain: login("writer", "s3cret-of-writer")})
	return larder.Target{Ref: "main", Backend: wrap.Recommended(b, wrap.Options{
		Retry:   wrap.RetryOptions{First: time.Microsecond},
		Timeout: wrap.TimeoutOptions{Stall: 300 * time.Millisecond},
	})}
}

// export returns what adds a cache of n layers.
func (st *stage) export(t *testing.T, n int) func(context.Context) error {
	t.Helper()
	m, blobs := cacheOf(t, n)
	to := st.target(t)
	return func(ctx context.Context) error {
		defer to.Backend.Close()
		_, err := larder.Export(ctx, m, blobs, []larder.Target{to}, larder.ExportOptions{})
		return err
	}
}

// tagged is the document that the tag has.
func (st *stage) tagged(t *testing.T) string {
	t.Helper()
	_, doc, err := st.s.Manifest(stageRepo, "main")
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// mustBeWhole checks that all of the cache under the tag is there.
func (st *stage) mustBeWhole(t *testing.T) {
	t.Helper()
	st.s.Heal()
	at := st.target(t)
	defer at.Backend.Close()
	found, err := larder.Verify(t.Context(), at, larder.VerifyOptions{})
	if err != nil || !found.OK {
		t.Errorf("Verify = %+v, %v, want a cache that is whole", found, err)
	}
}

// requests names the requests of an export that nothing disturbs.
func requests(t *testing.T) []string {
	t.Helper()
	st := newStage(t)
	if err := st.export(t, 3)(t.Context()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range st.s.Requests() {
		names = append(names, fmt.Sprintf("%02d %s", r.Number, r.Op))
	}
	if len(names) < 8 {
		t.Fatalf("an export makes the requests %q, want some more to disturb", names)
	}
	return names
}

// noGoroutinesLeft checks, after all else, that a test has ended what it started.
func noGoroutinesLeft(t *testing.T) {
	t.Helper()
	current := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, current) })
}

// TestOutageLeavesACacheThatIsWhole has every request fail from one on, for
// each one of an export: the tag has the old cache, or the new one where the
// last answer alone was lost, and the export says what happened.
func TestOutageLeavesACacheThatIsWhole(t *testing.T) {
	noGoroutinesLeft(t)
	outages := faults()
	maps.DeleteFunc(outages, func(_ string, f registrytest.Fault) bool { return f.Kind == registrytest.Truncate })
	for name, fault := range outages {
		fault.Match, fault.Times = nil, -1
		for n, request := range requests(t) {
			t.Run(name+"/"+request, func(t *testing.T) {
				t.Parallel()
				st, fault := newStage(t), fault
				fault.Skip = n
				st.s.Inject(fault)
				err := st.export(t, 3)(t.Context())
				if st.s.Count() <= n && err == nil {
					return // two that came at a time have shared a request this time
				}
				if backend.Kind(err) == nil {
					t.Errorf("export = %v, want an error of some kind", err)
				}
				if fault.Kind != registrytest.Lost && st.tagged(t) != st.old {
					t.Error("the tag has the new cache, want the old one")
				}
				st.mustBeWhole(t)
			})
		}
	}
}

// TestCancellationLeavesTheOldCache cancels an export at each of its requests,
// when it waits for an answer that never comes.
func TestCancellationLeavesTheOldCache(t *testing.T) {
	noGoroutinesLeft(t)
	for n, request := range requests(t) {
		t.Run(request, func(t *testing.T) {
			t.Parallel()
			st := newStage(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			seen := 0
			st.s.Inject(registrytest.Fault{Kind: registrytest.Stall, Times: -1, Match: func(registrytest.Request) bool {
				if seen++; seen <= n {
					return false
				}
				cancel()
				return true
			}})
			err := st.export(t, 3)(ctx)
			if st.s.Count() <= n && err == nil {
				return // as above
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("export = %v, want %v", err, context.Canceled)
			}
			if st.tagged(t) != st.old {
				t.Error("the tag has the new cache, want the old one")
			}
			st.mustBeWhole(t)
		})
	}
}

// TestStallsAreOvercome has each request of an export stall once, with and
// without having moved some bytes.
func TestStallsAreOvercome(t *testing.T) {
	noGoroutinesLeft(t)
	for _, after := range []int64{0, 100} {
		for n, request := range requests(t) {
			t.Run(fmt.Sprintf("after %d bytes/%s", after, request), func(t *testing.T) {
				t.Parallel()
				st := newStage(t)
				st.s.Inject(registrytest.Fault{Kind: registrytest.Stall, Skip: n, After: after})
				if err := st.export(t, 3)(t.Context()); err != nil {
					t.Errorf("export = %v, want nil", err)
				}
				if st.tagged(t) == st.old {
					t.Error("the tag has the old cache, want the new one")
				}
				st.mustBeWhole(t)
			})
		}
	}
}
