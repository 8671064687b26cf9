package backend

import (
	"context"
	"time"
)

// Trace receives what happens below a call, where the caller cannot see it:
// requests that drivers make, and retries. It travels in a context, as the
// standard library's httptrace does. The functions may be nil; they may be
// called at the same time from several goroutines and must return quickly.
type Trace struct {
	// Request is called for each request sent to a store.
	Request func(op string)
	// Retry is called before an operation is tried again, after err, once wait
	// has passed.
	Retry func(op string, err error, wait time.Duration)
	// Wait is called after an operation has waited for its turn, because as
	// many as are allowed were under way.
	Wait func(op string, waited time.Duration)
	// Progress is called when an operation of several steps has done one.
	Progress func()
}

type traceKey struct{}

// WithTrace returns a context whose calls report to t, and to the trace that
// ctx already has.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, &tracers{own: t, outer: tracersOf(ctx)})
}

// tracers is a trace and those around it.
type tracers struct {
	own   *Trace
	outer *tracers
}

func tracersOf(ctx context.Context) *tracers {
	t, _ := ctx.Value(traceKey{}).(*tracers)
	return t
}

// TraceRequest reports a request to the traces of ctx. Drivers call it once for
// each request that they send.
func TraceRequest(ctx context.Context, op string) {
	for t := tracersOf(ctx); t != nil; t = t.outer {
		if t.own.Request != nil {
			t.own.Request(op)
		}
	}
}

// TraceRetry reports a retry to the traces of ctx. Whoever repeats a request
// calls it.
func TraceRetry(ctx context.Context, op string, err error, wait time.Duration) {
	for t := tracersOf(ctx); t != nil; t = t.outer {
		if t.own.Retry != nil {
			t.own.Retry(op, err, wait)
		}
	}
}

// TraceWait reports a wait for a turn to the traces of ctx. Whoever limits
// concurrency calls it.
func TraceWait(ctx context.Context, op string, waited time.Duration) {
	for t := tracersOf(ctx); t != nil; t = t.outer {
		if t.own.Wait != nil {
			t.own.Wait(op, waited)
		}
	}
}

// TraceProgress reports to the traces of ctx that an operation gets on. Drivers call
// it where calls take several requests one after the other.
func TraceProgress(ctx context.Context) {
	for t := tracersOf(ctx); t != nil; t = t.outer {
		if t.own.Progress != nil {
			t.own.Progress()
		}
	}
}

// WithTracesOf returns ctx with the traces of other contexts too, each of them
// once: for what is done for several calls at a time.
func WithTracesOf(ctx context.Context, others ...context.Context) context.Context {
	seen := map[*Trace]bool{}
	all := tracersOf(ctx)
	for t := all; t != nil; t = t.outer {
		seen[t.own] = true
	}
	for _, other := range others {
		for t := tracersOf(other); t != nil; t = t.outer {
			if !seen[t.own] {
				seen[t.own] = true
				all = &tracers{own: t.own, outer: all}
			}
		}
	}
	return context.WithValue(ctx, traceKey{}, all)
}
