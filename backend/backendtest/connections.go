package backendtest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
)

func closeCases() []testCase {
	return []testCase{
		{name: "close/makes later calls fail", run: closeLaterCalls},
		{name: "close/again does nothing", run: closeAgain},
		{name: "close/ends open readers", run: closeReaders},
		{name: "close/waits for nothing", run: closeWaits},
	}
}

func connectionCases() []testCase {
	return []testCase{
		{name: "connection/sees what another has written", run: connectionSees},
		{name: "connection/outlives another", run: connectionOutlives},
	}
}

func closeLaterCalls(t *testing.T, e *env) {
	unchanged := e.prepare(t)
	calls := e.calls(t)
	other := e.other(t)
	wantErr(t, "Close()", e.Close(), nil)
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			wantErr(t, c.name, c.do(t.Context(), e.Backend), fs.ErrClosed)
		})
	}
	if e.h.Reopen != nil {
		unchanged(t, other)
	}
}

func closeAgain(t *testing.T, e *env) {
	for range 3 {
		wantErr(t, "Close()", e.Close(), nil)
	}
	for _, err := range race(4, func(int) error { return e.Close() }) {
		wantErr(t, "Close(at the same time)", err, nil)
	}
}

func closeReaders(t *testing.T, e *env) {
	for _, size := range []int{1000, max(4<<20, e.h.PartSize+1)} {
		t.Run(bytesOf(size), func(t *testing.T) {
			e := e.h.newEnv(t)
			r, err := e.Open(t.Context(), e.put(t, content(1, size)), 0, -1)
			if err != nil {
				t.Fatalf("Open(%d bytes) = %v, want nil", size, err)
			}
			defer func() { _ = r.Close() }()
			if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
				t.Fatalf("Read(first bytes) = %v, want nil", err)
			}
			wantErr(t, "Close()", e.Close(), nil)
			if n, err := io.Copy(io.Discard, r); err == nil {
				t.Errorf("Read(rest after Close) = %d bytes without error, want an error", n)
			}
		})
	}
}

// closeWaits closes a backend from within a source that it is reading. A
// backend that waited for its calls would never get on.
func closeWaits(t *testing.T, e *env) {
	closing := sync.OnceValue(func() error {
		closed := make(chan error, 1)
		go func() { closed <- e.Close() }()
		select {
		case err := <-closed:
			return err
		case <-time.After(10 * time.Second):
			return context.DeadlineExceeded
		}
	})
	data := content(1, 200_000)
	src := sourceThen(data[:100_000], func(context.Context, []byte) (int, error) {
		_ = closing()
		return 0, errSource
	})
	if err := e.Put(t.Context(), describe(data), src); err == nil {
		t.Errorf("Put(failing source) = nil, want an error")
	}
	wantErr(t, "Close(during Put)", closing(), nil)
	src.check(t)
}

// connectionSees has both connections read after every write, so that one that
// remembers what it has read shows.
func connectionSees(t *testing.T, e *env) {
	both := []*env{e, e.other(t)}
	other := both[1]
	for i := range 6 {
		data, doc := content(uint64(i), 1000), e.doc(t, fmt.Sprintf("document %d", i))
		for _, e := range both {
			e.wantNoBlob(t, describe(data))
		}
		both[i%2].put(t, data)
		both[i%2].putRef(t, "main", doc, backend.Always)
		for _, e := range both {
			e.wantBlob(t, data)
			e.wantRef(t, "main", doc)
		}
	}
	if e.caps.ListRefs {
		listingOfRefs(e).want(t, other, map[string]bool{"main": true})
	}
}

func connectionOutlives(t *testing.T, e *env) {
	if e.h.Reopen == nil {
		t.Skip("Harness.Reopen is nil: there can be only one connection")
	}
	data, doc := content(1, 1000), e.doc(t, "x")
	before := e.other(t)
	e.put(t, data)
	e.putRef(t, "main", doc, backend.Always)
	wantErr(t, "Close()", e.Close(), nil)
	for _, e := range []*env{before, e.other(t)} {
		e.wantBlob(t, data)
		e.wantRef(t, "main", doc)
		e.put(t, content(2, 10))
	}
}
