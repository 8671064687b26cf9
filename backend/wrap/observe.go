package wrap

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Observer is told what happens at a backend. Functions that are nil are not
// called; the others are called at the same time from several goroutines, hold
// up the operation meanwhile, and therefore must return quickly.
type Observer struct {
	// Start is called when an operation begins. For a listing that is each
	// range over it.
	Start func(Call)
	// Bytes is called when bytes have been read from the store (Open) or from
	// the source (Put). Bytes that a retry moves again are reported again.
	Bytes func(c Call, n int64)
	// Retry is called before a part of the operation is tried again, after err,
	// once wait has passed.
	Retry func(c Call, err error, wait time.Duration)
	// Wait is called after the operation has waited for its turn.
	Wait func(c Call, waited time.Duration)
	// Done is called once for each Start: for Open when the reader is closed,
	// for a listing when it ends.
	Done func(Result)
	// Now is the clock. Nil means [time.Now].
	Now func() time.Time
}

// Call is an operation on a backend.
type Call struct {
	// Driver is the name of the backend's driver.
	Driver string
	// Op is the operation, by the name it has in [backend.Error].
	Op string
	// Key is the digest or ref concerned, or "".
	Key string
	// Count is the number of digests that Stat and Delete are about, otherwise 0.
	Count int
}

// Result is how an operation went.
type Result struct {
	Call
	// Err is what the operation returned; of an Open also what reading returned,
	// but for the end.
	Err error
	// Failed says that Err is a failure. Answers are not: that something is not
	// there, that a condition does not hold, or that CopyFrom has to leave it to
	// an ordinary copy.
	Failed bool
	// Duration is the time from Start to Done, that of the caller included.
	Duration time.Duration
	// BytesIn were read from the store, BytesOut from the source of a Put, and
	// both include documents.
	BytesIn, BytesOut int64
	// Items is the number of items listed.
	Items int64
	// Requests is the number of requests that the driver reported, which not all
	// do; Retries how often a part was tried again.
	Requests, Retries int64
	// Waited is the time spent waiting for a turn and before retries.
	Waited time.Duration
}

// Observe returns b with o told of every operation but Info.
func Observe(b backend.Backend, o Observer) backend.Backend {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &observe{next: b, observer: o, driver: b.Info().Driver}
}

type observe struct {
	next     backend.Backend
	observer Observer
	driver   string
}

var (
	_ backend.Backend   = (*observe)(nil)
	_ backend.Unwrapper = (*observe)(nil)
	_ backend.RawOpener = (*observe)(nil)
	_ backend.Copier    = (*observe)(nil)
)

func (o *observe) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	ctx, m := o.begin(ctx, Call{Op: opStat, Key: keyOf(digests), Count: len(digests)})
	found, err := o.next.Stat(ctx, digests...)
	return found, m.done(err)
}

func (o *observe) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return o.open(ctx, o.next.Open, d, off, n)
}

// OpenRaw opens a blob without verification.
func (o *observe) OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return o.open(ctx, rawOpener(o.next), d, off, n)
}

func (o *observe) open(ctx context.Context, open opener, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	ctx, m := o.begin(ctx, Call{Op: opOpen, Key: string(d.Digest)})
	r, err := open(ctx, d, off, n)
	if err != nil {
		return nil, m.done(err)
	}
	return tapReader(r, &openTap{measured: m}), nil
}

func (o *observe) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	ctx, m := o.begin(ctx, Call{Op: opPut, Key: string(d.Digest)})
	if src != nil {
		src = tapSource(src, &putObserver{measured: m})
	}
	return m.done(o.next.Put(ctx, d, src))
}

// CopyFrom takes a blob over from another backend, if the store can.
func (o *observe) CopyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	ctx, m := o.begin(ctx, Call{Op: opCopy, Key: string(d.Digest)})
	return m.done(copyFrom(ctx, o.next, src, d))
}

func (o *observe) Delete(ctx context.Context, digests ...blob.Digest) error {
	ctx, m := o.begin(ctx, Call{Op: opDelete, Key: keyOf(digests), Count: len(digests)})
	return m.done(o.next.Delete(ctx, digests...))
}

func (o *observe) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return observedList(ctx, o, opList, o.next.List)
}

func (o *observe) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	ctx, m := o.begin(ctx, Call{Op: opGetRef, Key: name})
	ref, err := o.next.GetRef(ctx, name)
	m.in.Add(int64(len(ref.Data)))
	return ref, m.done(err)
}

func (o *observe) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	ctx, m := o.begin(ctx, Call{Op: opPutRef, Key: name})
	m.out.Add(int64(len(doc.Data)))
	v, err := o.next.PutRef(ctx, name, doc, cond)
	return v, m.done(err)
}

func (o *observe) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	ctx, m := o.begin(ctx, Call{Op: opDeleteRef, Key: name})
	return m.done(o.next.DeleteRef(ctx, name, cond))
}

func (o *observe) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	return observedList(ctx, o, opListRefs, o.next.ListRefs)
}

func observedList[T any](
	ctx context.Context, o *observe, op string, list func(context.Context) iter.Seq2[T, error],
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, m := o.begin(ctx, Call{Op: op})
		var last error
		defer func() { _ = m.done(last) }()
		for item, err := range list(ctx) {
			if last = err; err == nil {
				m.items.Add(1)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

func (o *observe) Info() backend.Info { return o.next.Info() }

func (o *observe) Close() error {
	m := o.start(Call{Op: opClose})
	return m.done(o.next.Close())
}

func (o *observe) Unwrap() backend.Backend { return o.next }
