package wrap_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

// gauge measures how many calls of Stat are under way, each of which takes a
// second.
type gauge struct {
	backend.Backend
	mu        sync.Mutex
	now, most int
}

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
	g.most = max(g.most, g.now)
}

func (g *gauge) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	g.add(1)
	defer g.add(-1)
	time.Sleep(time.Second) //nolint:forbidigo // The clock is that of a bubble.
	return g.Backend.Stat(ctx, digests...)
}

func TestLimitBoundsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{Backend: mem.New()}
		limiter := wrap.NewLimiter(3)
		// The limiter is shared by two wrappers.
		sharing := []backend.Backend{wrap.Limit(g, limiter), wrap.Limit(g, limiter)}
		var waited time.Duration
		var mu sync.Mutex
		ctx := backend.WithTrace(t.Context(), &backend.Trace{Wait: func(_ string, d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			waited += d
		}})
		began := time.Now()
		var group sync.WaitGroup
		for i := range 9 {
			group.Go(func() {
				if _, err := sharing[i%2].Stat(ctx, someBlob.Digest); err != nil {
					t.Errorf("Stat() = %v, want nil", err)
				}
			})
		}
		group.Wait()
		if took := time.Since(began); g.most != 3 || took != 3*time.Second {
			t.Errorf("9 calls took %v with %d at a time, want 3s with 3", took, g.most)
		}
		if waited != 3*(1+2)*time.Second {
			t.Errorf("reported waits of %v, want 9s", waited)
		}
	})
}

func TestLimitWaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New(), faulty.Fault{Op: faulty.Stat, Stall: true})
		b := wrap.Limit(store, wrap.NewLimiter(0)) // is one
		holding, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _, _ = b.Stat(holding, someBlob.Digest) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for name, do := range map[string]use{"Stat": stat(someBlob.Digest), "GetRef": getRef("main"), "List": list, "Put": put(someBlob, blob.Bytes(nil))} {
			if err := do(ctx, b); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s while the limit is reached = %v, want context.DeadlineExceeded", name, err)
			}
		}
		stop()
		group.Wait()
		if _, err := b.Stat(t.Context(), someBlob.Digest); err != nil || store.Calls(faulty.Stat) != 2 {
			t.Errorf("Stat() when there is a turn again = %v, want nil; the store was asked %d times, want 2", err, store.Calls(faulty.Stat))
		}
	})
}

func TestLimitBoundsReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := stored(t, digits(40))
		b := wrap.Limit(store, wrap.NewLimiter(2))
		var open []io.ReadCloser
		for range 2 {
			r, err := b.Open(t.Context(), d, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, r)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Open(ctx, d, 0, -1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third Open() = %v, want context.DeadlineExceeded", err)
		}
		// Who holds readers can make calls.
		if _, err := b.Stat(t.Context(), d.Digest); err != nil {
			t.Errorf("Stat() with readers open = %v, want nil", err)
		}
		// Closing twice gives one slot back, not two.
		_ = open[0].Close()
		_ = open[0].Close()
		r, err := b.Open(t.Context(), d, 0, -1)
		if err != nil {
			t.Fatalf("Open() after Close = %v, want nil", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Open(ctx, d, 0, -1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Open() after a double Close = %v, want context.DeadlineExceeded", err)
		}
		_ = r.Close()
		_ = open[1].Close()
	})
}

// TestLimitFailuresGiveBack fails more often than there are slots.
func TestLimitFailuresGiveBack(t *testing.T) {
	store, d := stored(t, digits(4), faulty.Fault{Op: faulty.Open, Err: errReset, Times: 5}, faulty.Fault{Op: faulty.Stat, Err: errReset, Times: 5})
	b := wrap.Limit(store, wrap.NewLimiter(1))
	for range 5 {
		if _, err := b.Open(t.Context(), d, 0, -1); !errors.Is(err, errReset) {
			t.Fatalf("Open() = %v, want %v", err, errReset)
		}
		if _, err := b.Stat(t.Context()); !errors.Is(err, errReset) {
			t.Fatalf("Stat() = %v, want %v", err, errReset)
		}
	}
	if got, err := readRange(t.Context(), b, d, 0, -1); len(got) != 4 || err != nil {
		t.Errorf("read = %v, %v, want 4 bytes", got, err)
	}
}

// TestLimitCopyWithinOneSlot copies between backends of one limiter, as many at
// a time as there are slots: what a Put reads is part of the Put.
func TestLimitCopyWithinOneSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := wrap.NewLimiter(1)
		store, d := stored(t, digits(40))
		from, to := wrap.Recommended(store, wrap.Options{Limiter: limiter}), wrap.Recommended(mem.New(), wrap.Options{Limiter: limiter})
		// All readers of the limiter are in use, and stay so.
		r, err := from.Open(t.Context(), d, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if err := to.Put(t.Context(), d, backend.SourceOf(from, d)); err != nil {
					t.Errorf("Put() = %v, want nil", err)
				}
			})
		}
		group.Wait()
	})
}

// TestLimitListLeavesTheSlot makes calls for each item listed.
func TestLimitListLeavesTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := mem.New()
		fill(t, store, 5)
		b := wrap.Limit(store, wrap.NewLimiter(1))
		count := 0
		for info, err := range b.ListRefs(t.Context()) {
			if err != nil {
				t.Fatalf("ListRefs yields %v", err)
			}
			if _, err := b.GetRef(t.Context(), info.Name); err != nil {
				t.Errorf("GetRef() = %v, want nil", err)
			}
			count++
		}
		if count != 5 {
			t.Errorf("listed %d refs, want 5", count)
		}
		for _, err := range b.List(t.Context()) {
			if err != nil {
				t.Errorf("List yields %v", err)
			}
			break
		}
		if _, err := b.Stat(t.Context()); err != nil {
			t.Errorf("Stat() after a listing that was left = %v, want nil", err)
		}
	})
}

// TestLimitListIsCancelled ends the context while an item is used and another
// call has the slot.
func TestLimitListIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New())
		fill(t, store, 5)
		store.Inject(faulty.Fault{Op: faulty.Stat, Stall: true})
		b := wrap.Limit(store, wrap.NewLimiter(1))
		ctx, cancel := context.WithCancel(t.Context())
		holding, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		var last error
		count := 0
		for _, err := range b.List(ctx) {
			count++
			if last = err; err != nil {
				continue
			}
			group.Go(func() { _, _ = b.Stat(holding, someBlob.Digest) })
			synctest.Wait()
			cancel()
		}
		if !errors.Is(last, context.Canceled) || count != 2 {
			t.Errorf("List yields %d pairs, the last with %v, want 2, context.Canceled", count, last)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Stat(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stat() = %v, want context.DeadlineExceeded: the listing gave back a slot it had not", err)
		}
		stop()
		group.Wait()
	})
}

// endless never yields.
type endless struct{ backend.Backend }

func (endless) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return func(yield func(backend.BlobInfo, error) bool) {
		<-ctx.Done()
		yield(backend.BlobInfo{}, ctx.Err())
	}
}
