package wrap

import (
	"context"
	"io"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Limiter bounds how many operations are under way. It may be shared by
// several backends, such as all that reach the same host.
//
// Calls and open readers are counted apart, up to the limit each, because a
// reader lives as long as its user likes: whoever holds one can always make a
// call, and what a Put reads from a backend with the same limiter is part of
// that Put. Listings occupy a slot only while they wait for the store, not
// while their items are used. One thing is left to the caller: a goroutine that
// opens a second reader before it has closed the first waits for others to
// close theirs, so at least one slot must be left to those who need only one.
type Limiter struct {
	calls, readers *semaphore.Weighted
}

// NewLimiter returns a limiter of n calls and n open readers; n below 1 is 1.
func NewLimiter(n int) *Limiter {
	n = max(n, 1)
	return &Limiter{calls: semaphore.NewWeighted(int64(n)), readers: semaphore.NewWeighted(int64(n))}
}

// Limit returns b with the operations that are under way bounded by l. Calls
// wait for their turn in order, or until their context ends; a
// [backend.Trace] is told how long. Info and Close never wait.
func Limit(b backend.Backend, l *Limiter) backend.Backend { return &limit{next: b, limiter: l} }

type limit struct {
	next    backend.Backend
	limiter *Limiter
}

var (
	_ backend.Backend   = (*limit)(nil)
	_ backend.Unwrapper = (*limit)(nil)
	_ backend.RawOpener = (*limit)(nil)
	_ backend.Copier    = (*limit)(nil)
)

// holderKey marks contexts of calls that hold a slot of a limiter.
type holderKey struct{ *Limiter }

// enter waits for a slot. The returned context marks what belongs to the call;
// leave gives the slot back and may be called again.
func (l *limit) enter(ctx context.Context, slots *semaphore.Weighted, op string) (held context.Context, leave func(), err error) {
	if ctx.Value(holderKey{l.limiter}) != nil {
		return ctx, func() {}, nil
	}
	if err := acquire(ctx, slots, op); err != nil {
		return nil, nil, err
	}
	leave = sync.OnceFunc(func() { slots.Release(1) })
	return context.WithValue(ctx, holderKey{l.limiter}, true), leave, nil
}

// acquire waits for a slot and reports how long that took.
func acquire(ctx context.Context, slots *semaphore.Weighted, op string) error {
	if slots.TryAcquire(1) {
		return nil
	}
	began := time.Now()
	err := slots.Acquire(ctx, 1)
	backend.TraceWait(ctx, op, time.Since(began))
	return err
}

// call runs f in a slot.
func (l *limit) call(ctx context.Context, op string, f func(ctx context.Context) error) error {
	ctx, leave, err := l.enter(ctx, l.limiter.calls, op)
	if err != nil {
		return err
	}
	defer leave()
	return f(ctx)
}

func (l *limit) Stat(ctx context.Context, digests ...blob.Digest) (found map[blob.Digest]backend.BlobInfo, err error) {
	err = l.call(ctx, opStat, func(ctx context.Context) error {
		found, err = l.next.Stat(ctx, digests...)
		return err
	})
	return found, err
}

func (l *limit) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return l.open(ctx, l.next.Open, d, off, n)
}

// OpenRaw opens a blob without verification.
func (l *limit) OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return l.open(ctx, rawOpener(l.next), d, off, n)
}

// open opens a reader that holds a slot until it is closed.
func (l *limit) open(ctx context.Context, open opener, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	ctx, leave, err := l.enter(ctx, l.limiter.readers, opOpen)
	if err != nil {
		return nil, err
	}
	r, err := open(ctx, d, off, n)
	if err != nil {
		leave()
		return nil, err
	}
	return tapReader(r, onClose(leave)), nil
}

func (l *limit) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	return l.call(ctx, opPut, func(ctx context.Context) error { return l.next.Put(ctx, d, src) })
}

// CopyFrom takes a blob over from another backend, if the store can.
func (l *limit) CopyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	return l.call(ctx, opCopy, func(ctx context.Context) error { return copyFrom(ctx, l.next, src, d) })
}

func (l *limit) Delete(ctx context.Context, digests ...blob.Digest) error {
	return l.call(ctx, opDelete, func(ctx context.Context) error { return l.next.Delete(ctx, digests...) })
}

func (l *limit) GetRef(ctx context.Context, name string) (ref backend.Ref, err error) {
	err = l.call(ctx, opGetRef, func(ctx context.Context) error {
		ref, err = l.next.GetRef(ctx, name)
		return err
	})
	return ref, err
}

func (l *limit) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (v backend.Version, err error) {
	err = l.call(ctx, opPutRef, func(ctx context.Context) error {
		v, err = l.next.PutRef(ctx, name, doc, cond)
		return err
	})
	return v, err
}

func (l *limit) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	return l.call(ctx, opDeleteRef, func(ctx context.Context) error { return l.next.DeleteRef(ctx, name, cond) })
}

func (l *limit) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return limitedList(ctx, l, opList, l.next.List)
}

func (l *limit) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	return limitedList(ctx, l, opListRefs, l.next.ListRefs)
}

// limitedList gives the slot back while an item is used, so that the user can
// make calls, and takes one again before the store is asked for more.
func limitedList[T any](
	ctx context.Context, l *limit, op string, list func(context.Context) iter.Seq2[T, error],
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		held, leave, err := l.enter(ctx, l.limiter.calls, op)
		var none T
		if err != nil {
			yield(none, err)
			return
		}
		defer func() { leave() }()
		for item, itemErr := range list(held) {
			leave()
			if !yield(item, itemErr) || itemErr != nil {
				return
			}
			// The mark of held stays true: it is the same call with a new slot.
			if _, leave, err = l.enter(ctx, l.limiter.calls, op); err != nil {
				leave = func() {}
				yield(none, err)
				return
			}
		}
	}
}

func (l *limit) Info() backend.Info      { return l.next.Info() }
func (l *limit) Close() error            { return l.next.Close() }
func (l *limit) Unwrap() backend.Backend { return l.next }
