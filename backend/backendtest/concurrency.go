package backendtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"go.uber.org/goleak"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

func concurrencyCases() []testCase {
	return []testCase{
		{name: "concurrency/calls do not disturb each other", run: concurrentCalls},
		{name: "concurrency/no goroutine is left behind", run: leavesNoGoroutine},
	}
}

// concurrentCalls has each worker see to blobs and refs of its own, while
// others list all of them.
func concurrentCalls(t *testing.T, e *env) {
	const workers, steps = 8, 5
	shared := content(99, 50_000)
	e.put(t, shared)
	docs := e.contenderDocs(t)
	other := e.other(t)
	for _, err := range race(workers, func(i int) error {
		w := worker{env: []*env{e, other}[i%2], ctx: t.Context(), shared: shared, doc: docs[i]}
		for step := range steps {
			if err := w.step(i, step); err != nil {
				return fmt.Errorf("worker %d, step %d: %w", i, step, err)
			}
		}
		return nil
	}) {
		wantErr(t, "calls at the same time", err, nil)
	}
}

type worker struct {
	*env

	//nolint:containedctx // The worker is a loop of one test, whose context this is.
	ctx    context.Context
	shared []byte
	doc    backend.Document
}

func (w worker) step(i, step int) error {
	data := content(uint64(1000*i+step), 20_000)
	d, name := describe(data), fmt.Sprintf("worker-%d", i)
	if err := w.Put(w.ctx, d, blob.Bytes(data)); err != nil {
		return err
	}
	if _, err := w.PutRef(w.ctx, name, w.doc, backend.Always); err != nil {
		return err
	}
	for _, want := range [][]byte{data, w.shared} {
		if got, err := w.read(w.ctx, describe(want), 0, -1); err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("Open() = %s, %w, want %s", brief(got), err, brief(want))
		}
	}
	if r, err := w.GetRef(w.ctx, name); err != nil || !bytes.Equal(r.Data, w.doc.Data) {
		return fmt.Errorf("GetRef(%s) = %s, %w, want %s", name, brief(r.Data), err, brief(w.doc.Data))
	}
	if w.caps.ListBlobs {
		for _, err := range w.List(w.ctx) {
			if err != nil {
				return err
			}
		}
	}
	if w.caps.DeleteBlobs {
		return w.Delete(w.ctx, d.Digest)
	}
	return nil
}

// leavesNoGoroutine ends calls in every way and closes the backend, after which
// nothing may run that did not before. Connections that were idle then are
// gone as well.
func leavesNoGoroutine(t *testing.T, e *env) {
	before := goleak.IgnoreCurrent()
	data := content(1, 1<<20)
	d := e.put(t, data)
	e.wantBlob(t, data)
	e.putRef(t, "main", e.doc(t, "x"), backend.Always)
	e.abandon(t, d)
	wantErr(t, "Close()", e.Close(), nil)
	if err := goleak.Find(before); err != nil {
		t.Errorf("after Close: %v, want no goroutine left", err)
	}
}

// abandon leaves calls unfinished: a reader open when the backend is closed, one
// whose context ends, puts that fail, listings that stop.
func (e *env) abandon(t *testing.T, d blob.Descriptor) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	for _, ctx := range []context.Context{ctx, t.Context()} {
		r, err := e.Open(ctx, d, 0, -1)
		if err != nil {
			t.Fatalf("Open(%s) = %v, want nil", d.Digest, err)
		}
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Fatalf("Read(first bytes) = %v, want nil", err)
		}
	}
	cancel()
	bad := content(2, 300_000)
	ctx, cancel = context.WithCancel(t.Context())
	wantErr(t, "Put(canceled)", e.Put(ctx, describe(bad), canceling(bad, cancel)), context.Canceled)
	wantErr(t, "Put(wrong content)", e.Put(t.Context(), describe(bad), sourceOf(bad[1:])), backend.ErrCorrupt)
	if e.caps.ListBlobs {
		for _, err := range e.List(t.Context()) {
			wantErr(t, "List(first)", err, nil)
			break
		}
	}
	if e.caps.ListRefs {
		for _, err := range e.ListRefs(t.Context()) {
			wantErr(t, "ListRefs(first)", err, nil)
			break
		}
	}
}
