package backend_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
)

func TestTraceReportsToAllAround(t *testing.T) {
	var got []string
	traced := func(ctx context.Context, name string) context.Context {
		return backend.WithTrace(ctx, &backend.Trace{
			Request: func(op string) { got = append(got, name+" request "+op) },
			Retry: func(op string, err error, wait time.Duration) {
				got = append(got, fmt.Sprintf("%s retry %s %v %s", name, op, err, wait))
			},
		})
	}
	ctx := traced(backend.WithTrace(traced(t.Context(), "outer"), &backend.Trace{}), "inner")
	backend.TraceRequest(ctx, "put")
	backend.TraceRetry(ctx, "open", errors.New("lost"), time.Second)
	want := []string{"inner request put", "outer request put", "inner retry open lost 1s", "outer retry open lost 1s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports differ (-want +got):\n%s", diff)
	}
}

func TestTraceIsOptional(t *testing.T) {
	called := false
	_ = backend.WithTrace(t.Context(), &backend.Trace{Request: func(string) { called = true }})
	backend.TraceRequest(t.Context(), "put")
	backend.TraceRetry(t.Context(), "put", nil, 0)
	if called {
		t.Errorf("TraceRequest(context without trace) reported, want silence")
	}
}

func TestTracesOfSeveralCalls(t *testing.T) {
	var got []string
	traced := func(ctx context.Context, name string) context.Context {
		return backend.WithTrace(ctx, &backend.Trace{Request: func(op string) { got = append(got, name+" "+op) }})
	}
	shared := traced(t.Context(), "shared")
	ctx := backend.WithTracesOf(t.Context(), t.Context(), traced(shared, "one"), traced(traced(shared, "outer"), "two"), shared)
	backend.TraceRequest(ctx, "put")
	slices.Sort(got)
	if diff := cmp.Diff([]string{"one put", "outer put", "shared put", "two put"}, got); diff != "" {
		t.Errorf("reports differ (-want +got):\n%s", diff)
	}
	backend.TraceRequest(backend.WithTracesOf(t.Context()), "put") // to nobody
	if len(got) != 4 {
		t.Errorf("reports to nobody: %v, want none", got[4:])
	}
}
