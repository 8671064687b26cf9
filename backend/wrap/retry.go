package wrap

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// RetryOptions are those of [Retry]. The zero value tries five times.
type RetryOptions struct {
	// Attempts is how often a call is made at most; 0 means 5.
	Attempts int
	// First is the longest wait before the second attempt; 0 means 200 ms. It
	// doubles with each further one.
	First time.Duration
	// Longest bounds that doubling; 0 means 20 s. A store that asks for a
	// longer wait gets it.
	Longest time.Duration
	// Budget is how long a call may wait in all; 0 means 2 min. It is not
	// started on a wait that would exceed it.
	Budget time.Duration
	// Random returns a number in [0, 1), by which waits are multiplied, so that
	// clients that failed together do not come back together. Nil means that of
	// the standard library.
	Random func() float64
}

func (o RetryOptions) withDefaults() RetryOptions {
	if o.Attempts <= 0 {
		o.Attempts = 5
	}
	if o.First <= 0 {
		o.First = 200 * time.Millisecond
	}
	if o.Longest <= 0 {
		o.Longest = 20 * time.Second
	}
	if o.Budget <= 0 {
		o.Budget = 2 * time.Minute
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return o
}

// Retry returns b with calls made again that failed with a temporary error (see
// [backend.Temporary]), after a random wait that grows with each attempt and is
// never shorter than what the store asked for. Nothing is tried again once the
// context has ended, nor if it would end during the wait. An error that remains
// is marked as not temporary, so that retries never multiply.
//
// A body that breaks off is resumed where it did; one that has moved a megabyte
// since then has all attempts again. A listing that is started again repeats no
// item, for which it remembers 32 bytes of each blob and the name of each ref.
//
// If a conditional PutRef fails temporarily and then with a conflict, the ref
// is read: when it has the very document that was to be written, the first
// attempt was the one that succeeded. Whoever uses a ref as a lock must
// therefore write something into it that nobody else writes. In the same way, a
// ref that is gone when its conditional deletion is tried again was deleted.
func Retry(b backend.Backend, o RetryOptions) backend.Backend {
	return &retry{next: b, options: o.withDefaults()}
}

type retry struct {
	next    backend.Backend
	options RetryOptions
}

var (
	_ backend.Backend   = (*retry)(nil)
	_ backend.Unwrapper = (*retry)(nil)
	_ backend.RawOpener = (*retry)(nil)
	_ backend.Copier    = (*retry)(nil)
)

// effort is what has been spent on one call.
type effort struct {
	options  RetryOptions
	op       string
	failures int
	waited   time.Duration
}

func (r *retry) effort(op string) *effort { return &effort{options: r.options, op: op} }

// again waits and returns nil if a call that failed with err is to be made
// again. Otherwise it returns the error to give up with.
func (e *effort) again(ctx context.Context, err error) error {
	after, temporary := backend.Temporary(err)
	if !temporary {
		return err
	}
	if ctx.Err() != nil {
		return ended(ctx, err)
	}
	if e.failures++; e.failures >= e.options.Attempts {
		return giveUp(err, "gave up after %d attempts", e.failures)
	}
	wait := max(after, e.backoff())
	if e.waited+wait > e.options.Budget {
		return giveUp(err, "gave up after %d attempts and waiting %v: the next wait of %v exceeds the budget of %v",
			e.failures, e.waited, wait, e.options.Budget)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return giveUp(err, "gave up after %d attempts: the context ends before the next wait of %v", e.failures, wait)
	}
	e.waited += wait
	backend.TraceRetry(ctx, e.op, err, wait)
	return sleep(ctx, wait, err)
}

// backoff returns a random wait, up to twice as long at each failure.
func (e *effort) backoff() time.Duration {
	longest := e.options.First
	for range e.failures - 1 {
		if longest = 2 * longest; longest >= e.options.Longest {
			break
		}
	}
	return time.Duration(e.options.Random() * float64(min(longest, e.options.Longest)))
}

// sleep waits, or returns an error if ctx ends meanwhile.
func sleep(ctx context.Context, wait time.Duration, err error) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx, err)
	}
}

// ended returns the error of a context that ended an effort, with the failure
// that came before.
func ended(ctx context.Context, err error) error {
	return fmt.Errorf("%w, after: %w", ctx.Err(), err)
}

// giveUp returns err as one that is not temporary, with the reason.
func giveUp(err error, format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	var e *backend.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", reason, err)
	}
	final := *e
	final.Temporary = false
	// What is wrapped around e, or in it, remains to be found.
	cause := e.Err
	if err != error(e) { //nolint:errorlint // The question is whether e is wrapped.
		cause = err
	}
	if cause == nil {
		final.Err = errors.New(reason)
	} else {
		final.Err = fmt.Errorf("%s: %w", reason, cause)
	}
	return &final
}

// attempt calls f until it succeeds or the effort is over.
func attempt[T any](ctx context.Context, e *effort, f func() (T, error)) (T, error) {
	for {
		v, err := f()
		if err == nil {
			return v, nil
		}
		if err := e.again(ctx, err); err != nil {
			var none T
			return none, err
		}
	}
}

// do is attempt for calls that return no more than an error.
func (r *retry) do(ctx context.Context, op string, f func() error) error {
	_, err := attempt(ctx, r.effort(op), func() (struct{}, error) { return struct{}{}, f() })
	return err
}

func (r *retry) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	return attempt(ctx, r.effort(opStat), func() (map[blob.Digest]backend.BlobInfo, error) {
		return r.next.Stat(ctx, digests...)
	})
}

func (r *retry) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return r.open(ctx, r.next.Open, d, off, n)
}

// OpenRaw opens a blob without verification.
func (r *retry) OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return r.open(ctx, rawOpener(r.next), d, off, n)
}

func (r *retry) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	return r.do(ctx, opPut, func() error { return r.next.Put(ctx, d, src) })
}

// CopyFrom takes a blob over from another backend, if the store can.
func (r *retry) CopyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	return r.do(ctx, opCopy, func() error { return copyFrom(ctx, r.next, src, d) })
}

func (r *retry) Delete(ctx context.Context, digests ...blob.Digest) error {
	return r.do(ctx, opDelete, func() error { return r.next.Delete(ctx, digests...) })
}

func (r *retry) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	return attempt(ctx, r.effort(opGetRef), func() (backend.Ref, error) { return r.next.GetRef(ctx, name) })
}

func (r *retry) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return retriedList(ctx, r, opList, r.next.List, func(i backend.BlobInfo) (sum [32]byte) {
		// A digest that is not one is left to the caller to find out.
		_, _ = hex.Decode(sum[:], []byte(i.Digest)[min(len("sha256:"), len(i.Digest)):])
		return sum
	})
}

func (r *retry) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	return retriedList(ctx, r, opListRefs, r.next.ListRefs, func(i backend.RefInfo) string { return i.Name })
}

// retriedList starts a listing anew that has failed, without the items that the
// caller has by then.
func retriedList[T any, K comparable](
	ctx context.Context, r *retry, op string, list func(context.Context) iter.Seq2[T, error], key func(T) K,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		e, seen := r.effort(op), map[K]struct{}{}
		for {
			stopped, err := listNew(list(ctx), seen, key, yield)
			if stopped || err == nil {
				return
			}
			if err := e.again(ctx, err); err != nil {
				var none T
				yield(none, err)
				return
			}
		}
	}
}

// listNew yields the items that have not been seen. It returns the error that
// ended the listing, and whether the caller stopped it.
func listNew[T any, K comparable](
	list iter.Seq2[T, error], seen map[K]struct{}, key func(T) K, yield func(T, error) bool,
) (stopped bool, err error) {
	for item, err := range list {
		if err != nil {
			return false, err
		}
		k := key(item)
		if _, repeated := seen[k]; repeated {
			continue
		}
		seen[k] = struct{}{}
		if !yield(item, nil) {
			return true, nil
		}
	}
	return false, nil
}

func (r *retry) Info() backend.Info      { return r.next.Info() }
func (r *retry) Close() error            { return r.next.Close() }
func (r *retry) Unwrap() backend.Backend { return r.next }
