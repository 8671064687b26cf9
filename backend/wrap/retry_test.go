package wrap_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

// down is a failure that may pass.
func down(after time.Duration) error {
	return &backend.Error{
		Op: "call", Backend: "test", Key: "k", Kind: backend.ErrUnavailable, Err: errors.New("503 slow down"),
		Temporary: true, RetryAfter: after,
	}
}

// waits returns a context and the waits before retries that are reported to it.
func waits(ctx context.Context) (context.Context, *[]time.Duration) {
	var list []time.Duration
	return backend.WithTrace(ctx, &backend.Trace{
		Retry: func(_ string, _ error, wait time.Duration) { list = append(list, wait) },
	}), &list
}

// longest makes each random wait as long as it can be.
func longest() float64 { return 1 }

func TestRetryWaits(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name    string
		options wrap.RetryOptions
		err     error
		fails   int // how often the store fails
		waits   []time.Duration
		ok      bool
	}{
		{"first time", wrap.RetryOptions{}, down(0), 0, nil, true},
		{"doubling", wrap.RetryOptions{Attempts: 6, First: s, Longest: 5 * s}, down(0), 5, []time.Duration{s, 2 * s, 4 * s, 5 * s, 5 * s}, true},
		{"defaults", wrap.RetryOptions{}, down(0), 9, []time.Duration{s / 5, 2 * s / 5, 4 * s / 5, 8 * s / 5}, false},
		{"no second attempt", wrap.RetryOptions{Attempts: 1}, down(0), 1, nil, false},
		{"as the store asks", wrap.RetryOptions{Attempts: 3, First: s}, down(7 * s), 2, []time.Duration{7 * s, 7 * s}, true},
		{"longer than the store asks", wrap.RetryOptions{Attempts: 3, First: 3 * s}, down(s), 2, []time.Duration{3 * s, 6 * s}, true},
		{"asked beyond the longest", wrap.RetryOptions{First: s, Longest: 2 * s}, down(60 * s), 1, []time.Duration{60 * s}, true},
		{"asked beyond the budget", wrap.RetryOptions{Budget: 10 * s}, down(11 * s), 1, nil, false},
		{"budget used up", wrap.RetryOptions{Budget: 10 * s}, down(4 * s), 9, []time.Duration{4 * s, 4 * s}, false},
		{"not temporary", wrap.RetryOptions{}, backend.ErrDenied, 1, nil, false},
		{"no wait at random", wrap.RetryOptions{Random: func() float64 { return 0 }}, down(0), 2, []time.Duration{0, 0}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := faulty.New(mem.New())
				if test.fails > 0 {
					store.Inject(faulty.Fault{Op: faulty.Stat, Err: test.err, Times: test.fails})
				}
				if test.options.Random == nil {
					test.options.Random = longest
				}
				ctx, got := waits(t.Context())
				began := time.Now()
				_, err := wrap.Retry(store, test.options).Stat(ctx, someBlob.Digest)
				if diff := cmp.Diff(test.waits, *got); diff != "" {
					t.Errorf("waits differ (-want +got):\n%s", diff)
				}
				if took := time.Since(began); took != sum(test.waits) {
					t.Errorf("Stat() took %v, want %v", took, sum(test.waits))
				}
				if calls := store.Calls(faulty.Stat); calls != len(test.waits)+1 {
					t.Errorf("Stat() was tried %d times, want %d", calls, len(test.waits)+1)
				}
				checkVerdict(t, err, test.err, test.ok)
			})
		})
	}
}

func sum(waits []time.Duration) (total time.Duration) {
	for _, wait := range waits {
		total += wait
	}
	return total
}

// checkVerdict requires success, or the store's error as one that is final.
func checkVerdict(t *testing.T, err, want error, ok bool) {
	t.Helper()
	if ok {
		if err != nil {
			t.Errorf("got %v, want nil", err)
		}
		return
	}
	if kind := backend.Kind(want); !errors.Is(err, kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
	if _, temporary := backend.Temporary(err); temporary {
		t.Errorf("got %v, which is temporary, want it marked as final", err)
	}
}

// TestRetryNests shows that what an inner Retry gave up, an outer does not
// start over.
func TestRetryNests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New(), faulty.Fault{Op: faulty.GetRef, Err: down(0), Times: -1})
		b := wrap.Retry(wrap.Retry(store, wrap.RetryOptions{}), wrap.RetryOptions{})
		if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrUnavailable) {
			t.Errorf("GetRef() = %v, want ErrUnavailable", err)
		}
		if got := store.Calls(faulty.GetRef); got != 5 {
			t.Errorf("GetRef() was tried %d times, want 5", got)
		}
	})
}

func TestRetrySaysWhyItGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tests := []struct {
			name string
			err  error
			want string
		}{
			{"plain", down(0), "test: call k: unavailable: gave up after 2 attempts: 503 slow down"},
			{"wrapped", fmt.Errorf("outside: %w", down(0)), "test: call k: unavailable: gave up after 2 attempts: outside: test: call k: unavailable: 503 slow down"},
			{"no cause", &backend.Error{Op: "stat", Backend: "test", Kind: backend.ErrLimited, Temporary: true}, "test: stat: limit reached: gave up after 2 attempts"},
		}
		for _, test := range tests {
			store := faulty.New(mem.New(), faulty.Fault{Op: faulty.Put, Err: test.err, Times: -1})
			err := wrap.Retry(store, wrap.RetryOptions{Attempts: 2}).Put(t.Context(), someBlob, blob.Bytes(nil))
			if err == nil || err.Error() != test.want {
				t.Errorf("%s: Put() = %v, want %s", test.name, err, test.want)
			}
		}
	})
}

func TestRetryObeysContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New(), faulty.Fault{Op: faulty.GetRef, Err: down(time.Minute), Times: -1})
		b := wrap.Retry(store, wrap.RetryOptions{})

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, err := b.GetRef(ctx, "main")
		if !errors.Is(err, context.Canceled) || !errors.Is(err, backend.ErrUnavailable) || time.Since(began) != time.Second {
			t.Errorf("GetRef(canceled) = %v after %v, want context.Canceled with the cause, after 1s", err, time.Since(began))
		}

		// A wait that the context would end is not even started.
		ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		began = time.Now()
		_, err = b.GetRef(ctx, "main")
		if !errors.Is(err, backend.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 0 {
			t.Errorf("GetRef(deadline) = %v after %v, want ErrUnavailable at once", err, time.Since(began))
		}
		if got := store.Calls(faulty.GetRef); got != 2 {
			t.Errorf("GetRef() was tried %d times, want once each", got)
		}
	})
}

func TestRetryAfterContextEndsMidCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := faulty.New(mem.New(), faulty.Fault{Op: faulty.Stat, Err: down(0), Before: cancel, Times: -1})
	_, err := wrap.Retry(store, wrap.RetryOptions{}).Stat(ctx, someBlob.Digest)
	if !errors.Is(err, context.Canceled) || store.Calls(faulty.Stat) != 1 {
		t.Errorf("Stat() = %v after %d attempts, want context.Canceled after one", err, store.Calls(faulty.Stat))
	}
}

// TestRetryEveryMethod fails each method once.
func TestRetryEveryMethod(t *testing.T) {
	for _, m := range interfaceMethods() {
		op, ok := opOf(m)
		if !ok {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := faulty.New(&recorder{caps: everything}, faulty.Fault{Op: op, Err: down(0)})
				if err := callMethod(t, wrap.Retry(store, wrap.RetryOptions{}), m); err != nil || store.Calls(op) != 2 {
					t.Errorf("%s() = %v after %d attempts, want nil after 2", m.Name, err, store.Calls(op))
				}
			})
		})
	}
}

// TestRetryPutOpensTheSourceAgain puts a blob whose first body is lost.
func TestRetryPutOpensTheSourceAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New(), faulty.Fault{Op: faulty.Put, Err: down(0), Lost: true, Times: 2})
		b := wrap.Retry(store, wrap.RetryOptions{})
		if err := b.Put(t.Context(), someBlob, blob.Bytes([]byte("hello"))); err != nil {
			t.Fatalf("Put() = %v, want nil", err)
		}
		got, err := blob.ReadAll(t.Context(), someBlob, backend.SourceOf(b, someBlob), 5)
		if string(got) != "hello" || err != nil {
			t.Errorf("ReadAll = %q, %v, want hello", got, err)
		}
	})
}

// fill puts n blobs and n refs, and returns their names.
func fill(t *testing.T, b backend.Backend, n int) (digests, refs []string) {
	t.Helper()
	for i := range n {
		data := []byte{byte(i)}
		d := blob.Describe("", data)
		name := fmt.Sprintf("ref%d", i)
		if err := b.Put(t.Context(), d, blob.Bytes(data)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.PutRef(t.Context(), name, backend.Document{Data: data}, backend.Always); err != nil {
			t.Fatal(err)
		}
		digests, refs = append(digests, string(d.Digest)), append(refs, name)
	}
	slices.Sort(digests)
	slices.Sort(refs)
	return digests, refs
}

// TestRetryListRepeatsNothing breaks listings several times.
func TestRetryListRepeatsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New())
		digests, refs := fill(t, store, 10)
		for _, op := range []faulty.Op{faulty.List, faulty.ListRefs} {
			for _, at := range []int64{3, 1, 7} {
				store.Inject(faulty.Fault{Op: op, Err: down(0), BreakAt: at})
			}
		}
		b := wrap.Retry(store, wrap.RetryOptions{})
		var gotDigests, gotRefs []string
		for info, err := range b.List(t.Context()) {
			if err != nil {
				t.Fatalf("List yields %v", err)
			}
			gotDigests = append(gotDigests, string(info.Digest))
		}
		for info, err := range b.ListRefs(t.Context()) {
			if err != nil {
				t.Fatalf("ListRefs yields %v", err)
			}
			gotRefs = append(gotRefs, info.Name)
		}
		slices.Sort(gotDigests)
		slices.Sort(gotRefs)
		if diff := cmp.Diff([][]string{digests, refs}, [][]string{gotDigests, gotRefs}); diff != "" {
			t.Errorf("listed differently (-want +got):\n%s", diff)
		}
		if l, r := store.Calls(faulty.List), store.Calls(faulty.ListRefs); l != 4 || r != 4 {
			t.Errorf("List and ListRefs were started %d and %d times, want 4 each", l, r)
		}
	})
}

func TestRetryListEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New())
		fill(t, store, 3)
		store.Inject(faulty.Fault{Op: faulty.List, Err: down(0), BreakAt: 1, Times: -1})
		var items, failures int
		for info, err := range wrap.Retry(store, wrap.RetryOptions{}).List(t.Context()) {
			if items++; err == nil {
				continue
			}
			failures++
			if info != (backend.BlobInfo{}) || !errors.Is(err, backend.ErrUnavailable) {
				t.Errorf("List yields %v, %v, want a zero item and ErrUnavailable", info, err)
			}
		}
		if items > 4 || failures != 1 {
			t.Errorf("List yields %d pairs with %d errors, want at most 4, the last of them one", items, failures)
		}
		// A caller that stops is not asked again.
		store.Clear()
		starts := store.Calls(faulty.List)
		for _, err := range wrap.Retry(store, wrap.RetryOptions{}).List(t.Context()) {
			if err != nil {
				t.Errorf("List yields %v", err)
			}
			break
		}
		if got := store.Calls(faulty.List) - starts; got != 1 {
			t.Errorf("a listing that was left was started %d times, want once", got)
		}
	})
}
