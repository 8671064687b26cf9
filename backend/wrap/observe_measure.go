package wrap

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-build/larder/backend"
)

// measured is an operation that is being observed.
type measured struct {
	observer *Observer
	call     Call
	began    time.Time

	in, out, items, requests, retries, waited atomic.Int64
}

// start reports the start of an operation.
func (o *observe) start(c Call) *measured {
	c.Driver = o.driver
	if o.observer.Start != nil {
		o.observer.Start(c)
	}
	return &measured{observer: &o.observer, call: c, began: o.observer.Now()}
}

// begin is start for operations below which something happens, which reaches
// the observer through the returned context.
func (o *observe) begin(ctx context.Context, c Call) (context.Context, *measured) {
	m := o.start(c)
	return backend.WithTrace(ctx, &backend.Trace{
		Request: func(string) { m.requests.Add(1) },
		Retry:   func(_ string, err error, wait time.Duration) { m.retry(err, wait) },
		Wait:    func(_ string, waited time.Duration) { m.wait(waited) },
	}), m
}

func (m *measured) retry(err error, wait time.Duration) {
	m.retries.Add(1)
	m.waited.Add(int64(wait))
	if m.observer.Retry != nil {
		m.observer.Retry(m.call, err, wait)
	}
}

func (m *measured) wait(waited time.Duration) {
	m.waited.Add(int64(waited))
	if m.observer.Wait != nil {
		m.observer.Wait(m.call, waited)
	}
}

func (m *measured) bytes(total *atomic.Int64, n int64) {
	if n == 0 {
		return
	}
	total.Add(n)
	if m.observer.Bytes != nil {
		m.observer.Bytes(m.call, n)
	}
}

// done reports the end of the operation and returns err.
func (m *measured) done(err error) error {
	if m.observer.Done != nil {
		m.observer.Done(Result{
			Call:     m.call,
			Err:      err,
			Failed:   isFailure(m.call.Op, err),
			Duration: m.observer.Now().Sub(m.began),
			BytesIn:  m.in.Load(),
			BytesOut: m.out.Load(),
			Items:    m.items.Load(),
			Requests: m.requests.Load(),
			Retries:  m.retries.Load(),
			Waited:   time.Duration(m.waited.Load()),
		})
	}
	return err
}

// isFailure reports whether err is more than an answer.
func isFailure(op string, err error) bool {
	switch {
	case err == nil, errors.Is(err, backend.ErrNotFound), errors.Is(err, backend.ErrConflict):
		return false
	case op == opCopy && errors.Is(err, backend.ErrUnsupported):
		return false
	default:
		return true
	}
}

// openTap measures what is read from a blob.
type openTap struct {
	*measured
	mu   sync.Mutex
	err  error
	once sync.Once
}

func (t *openTap) reading() {}

func (t *openTap) read(n int, err error) {
	t.bytes(&t.in, int64(n))
	if err == nil || errors.Is(err, io.EOF) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
}

func (t *openTap) handed(n int64) { t.bytes(&t.in, n) }

func (t *openTap) closed() {
	t.once.Do(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		_ = t.done(t.err)
	})
}

// putObserver measures what is read from the sources of a Put.
type putObserver struct{ *measured }

func (t *putObserver) reading()            {}
func (t *putObserver) read(n int, _ error) { t.bytes(&t.out, int64(n)) }
func (t *putObserver) handed(n int64)      { t.bytes(&t.out, n) }
func (t *putObserver) closed()             {}
