package wrap_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

// watched returns b observed, and the results so far.
func watched(b backend.Backend) (backend.Backend, *[]wrap.Result) {
	var results []wrap.Result
	return wrap.Observe(b, wrap.Observer{Done: func(r wrap.Result) { results = append(results, r) }}), &results
}

// TestObserveResults compares what is reported of each kind of operation.
func TestObserveResults(t *testing.T) {
	absent := blob.Describe("", []byte("absent"))
	doc := backend.Document{Data: []byte("doc")}
	readSome := func(ctx context.Context, b backend.Backend) error {
		r, err := b.Open(ctx, someBlob, 1, -1)
		if err != nil {
			return err
		}
		_, err = io.ReadFull(r, make([]byte, 2))
		return errors.Join(err, r.Close(), r.Close())
	}
	rewrite := func(cond backend.Condition) use {
		return func(ctx context.Context, b backend.Backend) error {
			_, err := b.PutRef(ctx, "main", doc, cond)
			return err
		}
	}
	hello := string(someBlob.Digest)
	tests := []struct {
		name string
		do   use
		want wrap.Result
	}{
		{"stat of one", stat(someBlob.Digest), wrap.Result{Call: wrap.Call{Op: "stat", Key: hello, Count: 1}}},
		{"stat of two", stat(someBlob.Digest, absent.Digest), wrap.Result{Call: wrap.Call{Op: "stat", Count: 2}}},
		{"open", readSome, wrap.Result{Call: wrap.Call{Op: "open", Key: hello}, BytesIn: 2}},
		{"open of what is absent", open(absent, 0), wrap.Result{Call: wrap.Call{Op: "open", Key: string(absent.Digest)}, Err: backend.ErrNotFound}},
		{"put", put(absent, blob.Bytes([]byte("absent"))), wrap.Result{Call: wrap.Call{Op: "put", Key: string(absent.Digest)}, BytesOut: 6}},
		{"corrupt put", put(absent, blob.Bytes([]byte("absenT"))), wrap.Result{Call: wrap.Call{Op: "put", Key: string(absent.Digest)}, BytesOut: 6, Err: backend.ErrCorrupt, Failed: true}},
		{"delete", remove(absent.Digest), wrap.Result{Call: wrap.Call{Op: "delete", Key: string(absent.Digest), Count: 1}}},
		{"list", list, wrap.Result{Call: wrap.Call{Op: "list"}, Items: 1}},
		{"get ref", getRef("main"), wrap.Result{Call: wrap.Call{Op: "get ref", Key: "main"}, BytesIn: 3}},
		{"get ref of what is absent", getRef("none"), wrap.Result{Call: wrap.Call{Op: "get ref", Key: "none"}, Err: backend.ErrNotFound}},
		{"put ref", rewrite(backend.Always), wrap.Result{Call: wrap.Call{Op: "put ref", Key: "main"}, BytesOut: 3}},
		{"lost race", rewrite(backend.Absent), wrap.Result{Call: wrap.Call{Op: "put ref", Key: "main"}, BytesOut: 3, Err: backend.ErrConflict}},
		{"delete ref", deleteRef("none", backend.Always), wrap.Result{Call: wrap.Call{Op: "delete ref", Key: "none"}}},
		{"list refs", listRefs, wrap.Result{Call: wrap.Call{Op: "list refs"}, Items: 1}},
		{"copy", copyTo(mem.New(), someBlob), wrap.Result{Call: wrap.Call{Op: "copy", Key: hello}, Err: backend.ErrUnsupported}},
		{"close", func(_ context.Context, b backend.Backend) error { return b.Close() }, wrap.Result{Call: wrap.Call{Op: "close"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store, _ := stored(t, []byte("hello"))
			if _, err := store.PutRef(t.Context(), "main", doc, backend.Always); err != nil {
				t.Fatal(err)
			}
			b, results := watched(store)
			err := test.do(t.Context(), b)
			if !errors.Is(err, test.want.Err) || len(*results) != 1 {
				t.Fatalf("got %v and %d results, want %v and one", err, len(*results), test.want.Err)
			}
			test.want.Driver = "mem"
			if diff := cmp.Diff(test.want, (*results)[0], cmpopts.EquateErrors(), cmpopts.IgnoreFields(wrap.Result{}, "Duration")); diff != "" {
				t.Errorf("the result differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestObserveSeesRetriesAndWaits observes what happens further in.
func TestObserveSeesRetriesAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := stored(t, digits(40),
			faulty.Fault{Op: faulty.Open, Err: down(3 * time.Second)},
			faulty.Fault{Op: faulty.Open, BreakAt: 10, Err: errReset},
			faulty.Fault{Op: faulty.Stat, Delay: 5 * time.Second, Times: -1})
		var retried, waited []string
		var progress int64
		var mu sync.Mutex
		results := map[string]wrap.Result{}
		observer := wrap.Observer{
			Retry: func(c wrap.Call, err error, wait time.Duration) {
				retried = append(retried, c.Op+" after "+wait.String())
			},
			Wait:  func(c wrap.Call, turn time.Duration) { waited = append(waited, c.Op+" for "+turn.String()) },
			Bytes: func(_ wrap.Call, n int64) { progress += n },
			Done: func(r wrap.Result) {
				mu.Lock()
				defer mu.Unlock()
				results[r.Op] = r
			},
		}
		b := wrap.Recommended(store, wrap.Options{
			Observer: &observer, Limiter: wrap.NewLimiter(1), Retry: wrap.RetryOptions{Random: longest},
		})
		if _, err := readRange(t.Context(), b, d, 0, -1); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"open after 3s", "open after 400ms"}, retried); diff != "" {
			t.Errorf("retries differ (-want +got):\n%s", diff)
		}
		if got := results["open"]; got.Retries != 2 || got.Waited != 3400*time.Millisecond || got.BytesIn != 40 || got.Duration != got.Waited || progress != 40 {
			t.Errorf("Open is reported as %+v with progress %d, want 2 retries, 3.4s and 40 bytes", got, progress)
		}
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() { _, _ = b.Stat(t.Context(), d.Digest) })
		}
		group.Wait()
		if diff := cmp.Diff([]string{"stat for 5s"}, waited); diff != "" {
			t.Errorf("waits differ (-want +got):\n%s", diff)
		}
	})
}

func TestObserveReadErrors(t *testing.T) {
	store, d := stored(t, digits(40), faulty.Fault{Op: faulty.Open, BreakAt: 10, Err: errReset})
	b, results := watched(store)
	if _, err := readRange(t.Context(), b, d, 0, -1); !errors.Is(err, errReset) {
		t.Fatal(err)
	}
	if got := (*results)[0]; !errors.Is(got.Err, errReset) || !got.Failed || got.BytesIn != 10 {
		t.Errorf("a broken body is reported as %+v, want a failure after 10 bytes", got)
	}
}

// requesting reports requests, as drivers do.
type requesting struct{ backend.Backend }

func (requesting) Stat(ctx context.Context, _ ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	backend.TraceRequest(ctx, "HEAD")
	backend.TraceRequest(ctx, "HEAD")
	return nil, nil
}

func TestCounter(t *testing.T) {
	store := faulty.New(requesting{mem.New()}, faulty.Fault{Op: faulty.Put, Err: errReset})
	var counter wrap.Counter
	if diff := cmp.Diff(wrap.Stats{}, counter.Stats()); diff != "" {
		t.Errorf("Stats() of nothing differ (-want +got):\n%s", diff)
	}
	b := wrap.Observe(store, counter.Observer())
	src := blob.Bytes([]byte("hello"))
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			_ = b.Put(t.Context(), someBlob, src)
			_, _ = b.Stat(t.Context(), someBlob.Digest)
			_, _ = b.GetRef(t.Context(), "none")
		})
	}
	group.Wait()
	got := counter.Stats()
	// A Put may find the blob there and read nothing.
	if got.BytesOut < 5 || got.BytesOut%5 != 0 {
		t.Errorf("Stats().BytesOut = %d, want a multiple of 5", got.BytesOut)
	}
	got.BytesOut = 0
	want := wrap.Stats{
		Calls:    map[string]int64{"put": 10, "stat": 10, "get ref": 10},
		Failures: map[string]int64{"put": 1},
		Requests: 20,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Stats() differ (-want +got):\n%s", diff)
	}
	got.Calls["put"] = 0
	if counter.Stats().Calls["put"] != 10 {
		t.Error("Stats() shares its maps with the counter, want copies")
	}
}

func TestObserveInjectedClock(t *testing.T) {
	now := time.Unix(0, 0)
	var took time.Duration
	b := wrap.Observe(mem.New(), wrap.Observer{
		Now:  func() time.Time { now = now.Add(time.Second); return now },
		Done: func(r wrap.Result) { took = r.Duration },
	})
	if _, err := b.Stat(t.Context()); err != nil || took != time.Second {
		t.Errorf("Stat() = %v and took %v, want nil and 1s by the clock given", err, took)
	}
}

// filing hands out files, as the local backend does, and takes them.
type filing struct {
	backend.Backend
	path string
	got  int64
}

func (f *filing) Open(context.Context, blob.Descriptor, int64, int64) (io.ReadCloser, error) {
	return os.Open(f.path)
}

func (f *filing) Put(ctx context.Context, _ blob.Descriptor, src blob.Source) error {
	r, err := src.Open(ctx)
	if err != nil {
		return err
	}
	if file, ok := r.(interface{ File() (*os.File, int64) }); ok {
		_, f.got = file.File()
	}
	return r.Close()
}

// TestFilesStayFiles moves a file from store to store through everything, so
// that the receiver can copy it as a file.
func TestFilesStayFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	store := &filing{Backend: mem.New(), path: path}
	var counter wrap.Counter
	observer := counter.Observer()
	b := wrap.Recommended(store, wrap.Options{Observer: &observer})
	if err := b.Put(t.Context(), someBlob, backend.RawSourceOf(b, someBlob)); err != nil {
		t.Fatalf("Put() = %v, want nil", err)
	}
	if store.got != 5 {
		t.Errorf("the store was handed a file of %d bytes, want 5", store.got)
	}
	if got := counter.Stats(); got.BytesIn != 5 || got.BytesOut != 5 {
		t.Errorf("counted %d bytes in and %d out, want 5 each", got.BytesIn, got.BytesOut)
	}
}
