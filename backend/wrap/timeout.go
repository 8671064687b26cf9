package wrap

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// TimeoutOptions are those of [Timeout].
type TimeoutOptions struct {
	// Stall is how long a store may keep a call without progress; 0 means
	// DefaultStall.
	Stall time.Duration
}

// DefaultStall is the time without progress after which a call is ended.
const DefaultStall = 30 * time.Second

const (
	// batchStep is how many items of a batch earn a call another Stall.
	batchStep = 100
	// slowest is the slowest progress, in bytes a second, that is expected of a
	// store where bytes move out of sight.
	slowest = 512 << 10
	// buffered is how many bytes a driver may have read from a source without
	// having sent them: several parts of an upload.
	buffered = 32 << 20
)

// Timeout returns b with calls ended that make no progress for a time, with an
// error that matches [backend.ErrUnavailable], is temporary and names what
// stalled. There is no limit to how long a call may take that does progress.
//
// Progress of Open is each read that returns, of List and ListRefs each item,
// of Put each read from its source; as drivers read ahead, Put may take longer
// by as much as it takes to send what was read at 512 KiB a second, up to 32
// MiB. The other calls show none, and are given more time only for a large
// batch or document. The time that the caller takes is never counted, nor that
// of a Put's source: between reads, between items, and while a source is read,
// the clock stands still.
//
// A wait that a driver announces, as for the Retry-After of a store, is no stall, and
// a step that it announces is progress, see [backend.Trace].
//
// A call is ended by canceling its context; a reader is closed as well, in case
// its Read obeys no context.
func Timeout(b backend.Backend, o TimeoutOptions) backend.Backend {
	if o.Stall <= 0 {
		o.Stall = DefaultStall
	}
	return &timeout{next: b, stall: o.Stall}
}

type timeout struct {
	next  backend.Backend
	stall time.Duration
}

var (
	_ backend.Backend   = (*timeout)(nil)
	_ backend.Unwrapper = (*timeout)(nil)
	_ backend.RawOpener = (*timeout)(nil)
	_ backend.Copier    = (*timeout)(nil)
)

// start returns a watch over an operation.
func (t *timeout) start(ctx context.Context, op, key string, allowed time.Duration) (context.Context, *watch) {
	ctx, w := startWatch(ctx, allowed, func() error {
		return &backend.Error{
			Op: op, Backend: t.next.Info().Driver, Key: key, Kind: backend.ErrUnavailable,
			Err: fmt.Errorf("stalled: no progress for %v", t.stall), Temporary: true,
		}
	})
	return backend.WithTrace(ctx, &backend.Trace{
		Retry:    func(_ string, _ error, wait time.Duration) { w.extend(wait + allowed) },
		Progress: func() { w.extend(allowed) },
	}), w
}

// forBytes is the time for an operation with n bytes that move out of sight.
func (t *timeout) forBytes(n int64) time.Duration {
	return t.stall + time.Duration(float64(max(n, 0))/slowest*float64(time.Second))
}

// forBatch is the time for a batch of n.
func (t *timeout) forBatch(n int) time.Duration {
	return t.stall * time.Duration(1+n/batchStep)
}

func (t *timeout) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	ctx, w := t.start(ctx, opStat, keyOf(digests), t.forBatch(len(digests)))
	found, err := t.next.Stat(ctx, digests...)
	return found, w.end(err)
}

func (t *timeout) Delete(ctx context.Context, digests ...blob.Digest) error {
	ctx, w := t.start(ctx, opDelete, keyOf(digests), t.forBatch(len(digests)))
	return w.end(t.next.Delete(ctx, digests...))
}

func (t *timeout) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	ctx, w := t.start(ctx, opGetRef, name, t.stall)
	ref, err := t.next.GetRef(ctx, name)
	return ref, w.end(err)
}

func (t *timeout) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	ctx, w := t.start(ctx, opPutRef, name, t.forBytes(int64(len(doc.Data))))
	v, err := t.next.PutRef(ctx, name, doc, cond)
	return v, w.end(err)
}

func (t *timeout) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	ctx, w := t.start(ctx, opDeleteRef, name, t.stall)
	return w.end(t.next.DeleteRef(ctx, name, cond))
}

// CopyFrom takes a blob over from another backend, if the store can.
func (t *timeout) CopyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	ctx, w := t.start(ctx, opCopy, string(d.Digest), t.forBytes(d.Size))
	return w.end(copyFrom(ctx, t.next, src, d))
}

func (t *timeout) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return watchedList(ctx, t, opList, t.next.List)
}

func (t *timeout) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	return watchedList(ctx, t, opListRefs, t.next.ListRefs)
}

func watchedList[T any](
	ctx context.Context, t *timeout, op string, list func(context.Context) iter.Seq2[T, error],
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		watched, w := t.start(ctx, op, "", t.stall)
		defer func() { _ = w.end(nil) }()
		for item, err := range list(watched) {
			// The item that ended a stall is as good as any other.
			if !yield(item, w.verdict(err)) || err != nil {
				return
			}
			w.resume(t.stall)
		}
	}
}

func (t *timeout) Info() backend.Info      { return t.next.Info() }
func (t *timeout) Close() error            { return t.next.Close() }
func (t *timeout) Unwrap() backend.Backend { return t.next }

func (t *timeout) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return t.open(ctx, t.next.Open, d, off, n)
}

// OpenRaw opens a blob without verification.
func (t *timeout) OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return t.open(ctx, rawOpener(t.next), d, off, n)
}
