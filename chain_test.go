package larder_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

const roundTrip = 20 * time.Millisecond

// distant returns a store at a distance, behind the recommended wrappers, and
// with it what it delays.
func distant(b backend.Backend, faults ...faulty.Fault) (backend.Backend, *faulty.Backend) {
	for _, op := range []faulty.Op{faulty.GetRef, faulty.Open, faulty.Stat} {
		faults = append(faults, faulty.Fault{Op: op, Times: -1, Delay: roundTrip})
	}
	far := faulty.New(b, faults...)
	return wrap.Recommended(far, wrap.Options{}), far
}

// TestLongChainTakesFourRoundTrips resolves 20 sources in one store, and in 20.
func TestLongChainTakesFourRoundTrips(t *testing.T) {
	const sources = 20
	for _, encoding := range encodings {
		for _, stores := range []int{1, sources} {
			t.Run(fmt.Sprint(encoding, " in ", stores), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var near, far []backend.Backend
					for range stores {
						b := mem.NewWith(mem.Options{Encoding: encoding})
						behind, _ := distant(b)
						near, far = append(near, b), append(far, behind)
					}
					var chain []larder.Target
					for i := range sources {
						ref := fmt.Sprint("scope-", i)
						export(t, cacheOf(t, "base", "deps", ref), larder.Target{Backend: near[i%stores], Ref: ref})
						chain = append(chain, larder.Target{Backend: far[i%stores], Ref: ref})
					}
					start := time.Now()
					found, _, err := larder.Import(t.Context(), chain, larder.ImportOptions{})
					if took := time.Since(start); err != nil || took > 4*roundTrip {
						t.Errorf("Import() takes %v, %v, want at most %v", took, err, 4*roundTrip)
					}
					if got := len(found.Manifest.Records); got != 2+sources {
						t.Errorf("Import() has %d records, want %d", got, 2+sources)
					}
				})
			})
		}
	}
}

// TestBlackHoleCostsItsTimeout has one source that never answers.
func TestBlackHoleCostsItsTimeout(t *testing.T) {
	for _, stage := range []faulty.Op{faulty.GetRef, faulty.Stat} {
		t.Run(string(stage), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				far, _ := distant(mem.New())
				store := mem.New()
				export(t, cacheOf(t, "base"), larder.Target{Backend: store, Ref: "hole"})
				hole := faulty.New(store, faulty.Fault{Op: stage, Times: -1, Stall: true})
				good := larder.Target{Backend: far, Ref: "good"}
				export(t, cacheOf(t, "base", "good"), good)
				start := time.Now()
				found, report, err := larder.Import(t.Context(), []larder.Target{{Backend: hole, Ref: "hole"}, good}, larder.ImportOptions{Timeout: time.Second})
				if took := time.Since(start); err != nil || took != time.Second {
					t.Errorf("Import() takes %v, %v, want 1 s", took, err)
				}
				if got := steps(found.Manifest, "base", "good"); len(got) != 2 {
					t.Errorf("Import() has %v, want all of the other source", got)
				}
				if err := report.Sources[0].Err; !errors.Is(err, backend.ErrUnavailable) {
					t.Errorf("the black hole's error is %v, want ErrUnavailable", err)
				}
				if got := degradations(report); !slices.Equal(got, []larder.DegradationKind{larder.SourceFailed}) {
					t.Errorf("Import() reports %v, want %s", got, larder.SourceFailed)
				}
			})
		})
	}
}

// TestDefaultSourceTimeout has a source that never answers, no time-out given,
// and one that is waited for on request.
func TestDefaultSourceTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hole := larder.Target{Backend: faulty.New(mem.New(), faulty.Fault{Op: faulty.GetRef, Times: -1, Stall: true}), Ref: "hole"}
		start := time.Now()
		_, _, err := larder.Import(t.Context(), []larder.Target{hole}, larder.ImportOptions{})
		if took := time.Since(start); err != nil || took != larder.DefaultSourceTimeout {
			t.Errorf("Import() takes %v, %v, want %v", took, err, larder.DefaultSourceTimeout)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, _, err := larder.Import(ctx, []larder.Target{hole}, larder.ImportOptions{Timeout: -1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Import(no limit) = %v, want that of the caller's context", err)
		}
	})
}

// counted is a store that remembers what it was asked for.
type counted struct {
	backend.Backend

	mu   sync.Mutex
	stat map[blob.Digest]int
}

func (a *counted) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	a.mu.Lock()
	for _, d := range digests {
		a.stat[d]++
	}
	a.mu.Unlock()
	return a.Backend.Stat(ctx, digests...)
}

// TestStoresAreAskedOnce imports scopes that have most of their blobs in common.
func TestStoresAreAskedOnce(t *testing.T) {
	store := &counted{Backend: mem.New(), stat: map[blob.Digest]int{}}
	common := many("common", 30)
	var chain []larder.Target
	for _, ref := range many("scope", 10) {
		target := larder.Target{Backend: store, Ref: ref}
		export(t, cacheOf(t, append(slices.Clone(common), ref)...), target)
		chain = append(chain, target)
	}
	clear(store.stat)
	found, _ := importFrom(t, chain...)
	if got := len(found.Manifest.Blobs()); got != 40 || len(store.stat) != 40 {
		t.Errorf("Import() has %d blobs and asks for %d, want 40", got, len(store.stat))
	}
	for d, n := range store.stat {
		if n != 1 {
			t.Errorf("the store is asked %d times for %s", n, d)
		}
	}
}

// TestAskingFailsForOneSourceOnly has a first question that fails: whoever
// relied on it asks by itself.
func TestAskingFailsForOneSourceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New())
		a, b := larder.Target{Backend: store, Ref: "a"}, larder.Target{Backend: store, Ref: "b"}
		export(t, cacheOf(t, "base", "a"), a)
		export(t, cacheOf(t, "base", "b", "gone"), b)
		drop(t, store, cacheOf(t, "base", "b", "gone").layer(2), cacheOf(t, "base").layer(0))
		export(t, cacheOf(t, "other"), a)
		store.Inject(faulty.Fault{Op: faulty.GetRef, Key: "b", Delay: roundTrip})
		store.Inject(faulty.Fault{Op: faulty.Stat, Delay: 2 * roundTrip, Err: backend.ErrUnavailable})
		found, report := importFrom(t, a, b)
		if got := steps(found.Manifest, "base", "a", "b"); len(got) > 0 {
			t.Errorf("Import() has %v, want nothing of what is on top of a blob that is gone", got)
		}
		if report.Sources[0].Err == nil || report.Sources[1].Err != nil {
			t.Errorf("the sources' errors are %v and %v, want one for the first", report.Sources[0].Err, report.Sources[1].Err)
		}
	})
}
