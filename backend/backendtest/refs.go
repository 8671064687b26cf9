package backendtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/larder-build/larder/backend"
)

func refCases() []testCase {
	return []testCase{
		{name: "ref/a missing one is not found", run: refMissing},
		{name: "ref/returns what was put", run: refReturns},
		{name: "ref/is replaced without condition", run: refReplaced},
		{name: "ref/the same document may be put again", run: refSameAgain},
		{name: "ref/memory is not shared with callers", run: refUnshared},
		{name: "ref/is replaced as a whole", run: refWhole},
		{name: "ref/leaves others and blobs alone", run: refAlone},
	}
}

func documentCases() []testCase {
	return []testCase{
		{name: "document/up to the limit", run: documentLimits},
		{name: "document/beyond the limit is too large", run: documentTooLarge},
	}
}

func refMissing(t *testing.T, e *env) {
	e.wantNoRef(t, "main")
	e.putRef(t, "main", e.doc(t, "main"), backend.Always)
	e.wantNoRef(t, "main2")
	e.wantNoRef(t, "mai")
}

func refReturns(t *testing.T, e *env) {
	for _, size := range []int64{0, 10_000, min(1<<20, documentLimit(e.Info()))} {
		t.Run(bytesOf(size), func(t *testing.T) {
			name := fmt.Sprintf("size-%d", size)
			doc := e.sizedDoc(t, name, size)
			v := e.putRef(t, name, doc, backend.Always)
			for _, e := range []*env{e, e.other(t)} {
				e.wantRef(t, name, doc)
				if got := e.getRef(t, name).Version; got != v {
					t.Errorf("GetRef(%s).Version = %q, want %q as PutRef returned", name, got, v)
				}
			}
		})
	}
}

func refReplaced(t *testing.T, e *env) {
	first, second := e.doc(t, "first"), e.sizedDoc(t, "second", 5000)
	v1 := e.putRef(t, "main", first, backend.Always)
	v2 := e.putRef(t, "main", second, backend.Always)
	e.wantRef(t, "main", second)
	if v1 == v2 {
		t.Errorf("PutRef(second document) = %q, want another version than the first's", v2)
	}
	e.putRef(t, "main", first, backend.Always)
	e.wantRef(t, "main", first)
	e.other(t).wantRef(t, "main", first)
}

func refSameAgain(t *testing.T, e *env) {
	doc := e.doc(t, "x")
	for range 2 {
		e.putRef(t, "main", doc, backend.Always)
		e.wantRef(t, "main", doc)
	}
	e.putRef(t, "copy", doc, backend.Always)
	e.wantRef(t, "main", doc)
	e.wantRef(t, "copy", doc)
}

// refUnshared changes what was written and what was read.
func refUnshared(t *testing.T, e *env) {
	doc := e.doc(t, "x")
	want := doc
	want.Data = bytes.Clone(doc.Data)
	e.putRef(t, "main", doc, backend.Always)
	clear(doc.Data)
	e.wantRef(t, "main", want)
	clear(e.getRef(t, "main").Data)
	e.wantRef(t, "main", want)
}

// refWhole reads a ref all the time while it changes between documents of
// different lengths.
func refWhole(t *testing.T, e *env) {
	docs := []backend.Document{e.sizedDoc(t, "long", 100_000), e.doc(t, "short")}
	e.putRef(t, "main", docs[0], backend.Always)
	readers := []*env{e, e.other(t)}
	written := make(chan struct{})
	for _, err := range race(5, func(i int) error {
		if i > 0 {
			return readers[i%2].readWhole(t.Context(), written, docs)
		}
		defer close(written)
		for round := range 2 * e.h.rounds() {
			if _, err := e.PutRef(t.Context(), "main", docs[round%2], backend.Always); err != nil {
				return err
			}
		}
		return nil
	}) {
		wantErr(t, "PutRef(main) and GetRef(main) at the same time", err, nil)
	}
}

// readWhole reads a ref until it is no longer written. It must always be one of
// docs.
func (e *env) readWhole(ctx context.Context, written <-chan struct{}, docs []backend.Document) error {
	for {
		r, err := e.GetRef(ctx, "main")
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(docs, func(d backend.Document) bool { return bytes.Equal(d.Data, r.Data) }) {
			return fmt.Errorf("GetRef(main) while it is written = %s, want one of the documents", brief(r.Data))
		}
		select {
		case <-written:
			return nil
		default:
		}
	}
}

func refAlone(t *testing.T, e *env) {
	data, doc := content(1, 100), e.doc(t, "a")
	e.put(t, data)
	e.putRef(t, "a", doc, backend.Always)
	e.putRef(t, "b", e.doc(t, "b"), backend.Always)
	e.wantRef(t, "a", doc)
	e.wantBlob(t, data)
}

func documentLimits(t *testing.T, e *env) {
	limit := documentLimit(e.Info())
	if e.h.MaxDocument > 0 {
		limit = min(limit, e.h.MaxDocument)
	}
	doc := e.sizedDoc(t, "large", limit)
	e.putRef(t, "main", doc, backend.Always)
	e.wantRef(t, "main", doc)
}

func documentTooLarge(t *testing.T, e *env) {
	limit := documentLimit(e.Info())
	small, large := e.doc(t, "small"), e.sizedDoc(t, "large", limit+1)
	_, err := e.PutRef(t.Context(), "main", large, backend.Always)
	wantErr(t, fmt.Sprintf("PutRef(%d bytes)", limit+1), err, backend.ErrTooLarge)
	e.wantNoRef(t, "main")
	e.putRef(t, "main", small, backend.Always)
	_, err = e.PutRef(t.Context(), "main", large, backend.Always)
	wantErr(t, fmt.Sprintf("PutRef(%d bytes)", limit+1), err, backend.ErrTooLarge)
	e.wantRef(t, "main", small)
}
