// Package faulty makes a backend fail on demand: for tests of everything that
// has to cope with stores as they are.
package faulty

import (
	"context"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/strikes"
)

// Op is a method of a backend.
type Op string

// The methods that can fail.
const (
	Stat      Op = "stat"
	Open      Op = "open"
	Put       Op = "put"
	Delete    Op = "delete"
	List      Op = "list"
	GetRef    Op = "get ref"
	PutRef    Op = "put ref"
	DeleteRef Op = "delete ref"
	ListRefs  Op = "list refs"
)

// Fault is something that goes wrong with the calls of one method. What happens
// is, in this order: Delay, Stall, Before, then Err, before or after the call is
// made. The positions concern the bytes that a reader of Open yields.
type Fault struct {
	Op Op
	// Key limits the fault to calls about this digest or ref; "" means all.
	Key string
	// Times is how many calls it concerns: 0 means one, below zero all.
	Times int
	// Skip lets this many calls pass first.
	Skip int

	// Delay passes before the call.
	Delay time.Duration
	// Stall blocks the call until its context ends, whose error it returns.
	Stall bool
	// Before is called before the call.
	Before func()
	// Err is returned in place of making the call.
	Err error
	// Lost makes the call before returning Err: the store did what was asked,
	// and the answer was lost.
	Lost bool
	// BreakAt, if not zero, ends the body after that many bytes: with Err, or
	// as if the blob were that short.
	BreakAt int64
	// FlipAt, if not zero, inverts the byte of the body at that offset.
	FlipAt int64
	// StallAt, if not zero, makes the body block at that offset until its
	// context ends.
	StallAt int64
}

// body reports whether the fault concerns what Open's reader yields.
func (f *Fault) body() bool { return f.BreakAt != 0 || f.FlipAt != 0 || f.StallAt != 0 }

// Backend passes calls on to another backend, except where faults intervene.
// It may be bypassed, as by backend.As.
type Backend struct {
	backend.Backend

	faults strikes.List[Fault]

	mu    sync.Mutex
	calls map[Op]int
}

// New returns b with faults.
func New(b backend.Backend, faults ...Fault) *Backend {
	f := &Backend{Backend: b, calls: make(map[Op]int)}
	for _, fault := range faults {
		f.Inject(fault)
	}
	return f
}

// Inject adds a fault. Of several that fit a call the first added applies.
func (b *Backend) Inject(f Fault) { b.faults.Add(f, f.Skip, f.Times) }

// Clear removes all faults.
func (b *Backend) Clear() { b.faults.Clear() }

// Calls returns how often a method has been called.
func (b *Backend) Calls(op Op) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[op]
}

// Unwrap implements backend.Unwrapper.
func (b *Backend) Unwrap() backend.Backend { return b.Backend }

// next counts a call and returns the fault that applies to it, or nil.
func (b *Backend) next(op Op, keys ...string) *Fault {
	b.mu.Lock()
	b.calls[op]++
	b.mu.Unlock()
	return b.faults.Next(func(f *Fault) bool { return f.Op == op && (f.Key == "" || slices.Contains(keys, f.Key)) })
}

// call makes a call under the fault that applies to it.
func call[T any](ctx context.Context, f *Fault, do func() (T, error)) (result T, err error) {
	if f == nil {
		return do()
	}
	if err := f.wait(ctx); err != nil {
		return result, err
	}
	if f.Before != nil {
		f.Before()
	}
	switch {
	case f.Err == nil || f.body():
		return do()
	case f.Lost:
		if _, err := do(); err != nil {
			return result, err
		}
	}
	return result, f.Err
}

// wait delays or stalls a call.
func (f *Fault) wait(ctx context.Context) error {
	if f.Stall {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.Delay == 0 {
		return nil
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stat implements backend.Backend.
func (b *Backend) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	return call(ctx, b.next(Stat, texts(digests)...), func() (map[blob.Digest]backend.BlobInfo, error) {
		return b.Backend.Stat(ctx, digests...)
	})
}

// Open implements backend.Backend.
func (b *Backend) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	f := b.next(Open, string(d.Digest))
	r, err := call(ctx, f, func() (io.ReadCloser, error) { return b.Backend.Open(ctx, d, off, n) })
	if err != nil || f == nil || !f.body() {
		return r, err
	}
	return &reader{ReadCloser: r, ctx: ctx, fault: f}, nil
}

// Put implements backend.Backend.
func (b *Backend) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	_, err := call(ctx, b.next(Put, string(d.Digest)), func() (struct{}, error) {
		return struct{}{}, b.Backend.Put(ctx, d, src)
	})
	return err
}

// Delete implements backend.Backend.
func (b *Backend) Delete(ctx context.Context, digests ...blob.Digest) error {
	_, err := call(ctx, b.next(Delete, texts(digests)...), func() (struct{}, error) {
		return struct{}{}, b.Backend.Delete(ctx, digests...)
	})
	return err
}

// List implements backend.Backend.
func (b *Backend) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return sequence(ctx, func() *Fault { return b.next(List) }, b.Backend.List)
}

// GetRef implements backend.Backend.
func (b *Backend) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	return call(ctx, b.next(GetRef, name), func() (backend.Ref, error) { return b.Backend.GetRef(ctx, name) })
}

// PutRef implements backend.Backend.
func (b *Backend) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	return call(ctx, b.next(PutRef, name), func() (backend.Version, error) {
		return b.Backend.PutRef(ctx, name, doc, cond)
	})
}

// DeleteRef implements backend.Backend.
func (b *Backend) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	_, err := call(ctx, b.next(DeleteRef, name), func() (struct{}, error) {
		return struct{}{}, b.Backend.DeleteRef(ctx, name, cond)
	})
	return err
}

// ListRefs implements backend.Backend.
func (b *Backend) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	return sequence(ctx, func() *Fault { return b.next(ListRefs) }, b.Backend.ListRefs)
}

// sequence is a listing under a fault: with Err it breaks after BreakAt items.
func sequence[T any](ctx context.Context, next func() *Fault, list func(context.Context) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		f := next()
		var zero T
		if f == nil {
			list(ctx)(yield)
			return
		}
		if err := f.wait(ctx); err != nil {
			yield(zero, err)
			return
		}
		if f.Before != nil {
			f.Before()
		}
		var n int64
		for item, err := range list(ctx) {
			if f.Err != nil && n == f.BreakAt {
				yield(zero, f.Err)
				return
			}
			if n++; !yield(item, err) {
				return
			}
		}
		if f.Err != nil {
			yield(zero, f.Err)
		}
	}
}

func texts(digests []blob.Digest) []string {
	out := make([]string, len(digests))
	for i, d := range digests {
		out[i] = string(d)
	}
	return out
}
