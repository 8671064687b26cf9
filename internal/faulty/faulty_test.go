package faulty_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

var (
	errBroken = errors.New("broken")
	data      = []byte("0123456789")
	desc      = blob.Describe("", data)
)

// TestConformance runs the suite over a backend without faults.
func TestConformance(t *testing.T) {
	stores := map[backend.Backend]*mem.Backend{}
	add := func(m *mem.Backend) backend.Backend {
		b := faulty.New(m)
		stores[b] = m
		return b
	}
	backendtest.Run(t, backendtest.Harness{
		New:    func(testing.TB) backend.Backend { return add(mem.New()) },
		Reopen: func(_ testing.TB, b backend.Backend) backend.Backend { return add(stores[b].Reopen()) },
		Rounds: 3,
	})
}

// stored returns a backend with one blob and the given faults.
func stored(t *testing.T, faults ...faulty.Fault) *faulty.Backend {
	t.Helper()
	m := mem.New()
	if err := m.Put(t.Context(), desc, blob.Bytes(data)); err != nil {
		t.Fatal(err)
	}
	return faulty.New(m, faults...)
}

func read(ctx context.Context, b backend.Backend) ([]byte, error) {
	r, err := b.Open(ctx, desc, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestBodies(t *testing.T) {
	flipped := bytes.Clone(data)
	flipped[4] ^= 0xff
	tests := []struct {
		name  string
		fault faulty.Fault
		want  []byte
		err   error
	}{
		{"none", faulty.Fault{Op: faulty.Put, Err: errBroken}, data, nil},
		{"refused", faulty.Fault{Op: faulty.Open, Err: errBroken}, nil, errBroken},
		{"broken", faulty.Fault{Op: faulty.Open, BreakAt: 4, Err: errBroken}, data[:4], errBroken},
		{"short", faulty.Fault{Op: faulty.Open, BreakAt: 4}, data[:4], nil},
		{"flipped", faulty.Fault{Op: faulty.Open, FlipAt: 4}, flipped, nil},
		{"for another key", faulty.Fault{Op: faulty.Open, Key: "other", Err: errBroken}, data, nil},
		{"for this key", faulty.Fault{Op: faulty.Open, Key: string(desc.Digest), Err: errBroken}, nil, errBroken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, err := read(t.Context(), stored(t, test.fault)); !bytes.Equal(got, test.want) || !errors.Is(err, test.err) {
				t.Errorf("read = %q, %v, want %q, %v", got, err, test.want, test.err)
			}
		})
	}
}

func TestTimesAndSkip(t *testing.T) {
	b := stored(t, faulty.Fault{Op: faulty.Stat, Err: errBroken, Skip: 1, Times: 2})
	for i, want := range []error{nil, errBroken, errBroken, nil} {
		if _, err := b.Stat(t.Context(), desc.Digest); !errors.Is(err, want) {
			t.Errorf("Stat() number %d = %v, want %v", i+1, err, want)
		}
	}
	b.Inject(faulty.Fault{Op: faulty.Stat, Err: errBroken, Times: -1})
	b.Clear()
	if _, err := b.Stat(t.Context(), desc.Digest); err != nil || b.Calls(faulty.Stat) != 5 || b.Calls(faulty.Open) != 0 {
		t.Errorf("Stat() after Clear = %v; %d calls, want nil and 5", err, b.Calls(faulty.Stat))
	}
}

func TestLostAnswers(t *testing.T) {
	doc := backend.Document{Data: []byte("x")}
	for _, lost := range []bool{true, false} {
		b := stored(t, faulty.Fault{Op: faulty.PutRef, Err: errBroken, Lost: lost})
		if _, err := b.PutRef(t.Context(), "main", doc, backend.Always); !errors.Is(err, errBroken) {
			t.Errorf("PutRef() = %v, want %v", err, errBroken)
		}
		if _, err := b.GetRef(t.Context(), "main"); (err == nil) != lost {
			t.Errorf("lost %v: GetRef() = %v, want it written only if the answer was lost", lost, err)
		}
	}
}

func TestDelayAndStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stored(t,
			faulty.Fault{Op: faulty.Stat, Delay: time.Minute},
			faulty.Fault{Op: faulty.Stat, Stall: true},
			faulty.Fault{Op: faulty.Open, StallAt: 3},
			faulty.Fault{Op: faulty.List, Stall: true})
		began := time.Now()
		if _, err := b.Stat(t.Context(), desc.Digest); err != nil || time.Since(began) != time.Minute {
			t.Errorf("delayed Stat() = %v after %v, want nil after 1m", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Stat(ctx, desc.Digest); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stalled Stat() = %v, want context.DeadlineExceeded", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := read(ctx, b); string(got) != "012" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stalled body = %q, %v, want 012, context.DeadlineExceeded", got, err)
		}
		for _, err := range b.List(ctx) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("stalled List yields %v, want context.DeadlineExceeded", err)
			}
		}
	})
}

func TestListsBreak(t *testing.T) {
	for _, at := range []int64{0, 1, 5} {
		called := false
		b := stored(t, faulty.Fault{Op: faulty.List, Err: errBroken, BreakAt: at, Before: func() { called = true }})
		var items int64
		var last error
		for _, err := range b.List(t.Context()) {
			if last = err; err == nil {
				items++
			}
		}
		if !errors.Is(last, errBroken) || items != min(at, 1) || !called {
			t.Errorf("List broken after %d yields %d items and %v, Before called %v, want %d, %v, true", at, items, last, called, min(at, 1), errBroken)
		}
	}
}
