package backendtest

import (
	"testing"

	"github.com/larder-build/larder/backend"
)

func createCases() []testCase {
	creates := func(c backend.Capabilities) bool { return c.CreateRef }
	return []testCase{
		{name: "create/succeeds where there is no ref", needs: creates, run: createAbsent},
		{name: "create/conflicts with what is there", needs: creates, run: createConflict},
		{name: "create/matching no version is the same", needs: creates, run: createMatchEmpty},
		{name: "create/of a large document keeps its condition", needs: creates, run: createLarge},
		{
			name: "create/succeeds after a delete", run: createAfterDelete,
			needs: func(c backend.Capabilities) bool { return c.CreateRef && c.DeleteRef },
		},
	}
}

func replaceCases() []testCase {
	replaces := func(c backend.Capabilities) bool { return c.ReplaceRef }
	return []testCase{
		{name: "replace/succeeds on the version that was read", needs: replaces, run: replaceCurrent},
		{name: "replace/conflicts on a version that is gone", needs: replaces, run: replaceStale},
		{name: "replace/conflicts where there is no ref", needs: replaces, run: replaceMissing},
		{name: "replace/of a large document keeps its condition", needs: replaces, run: replaceLarge},
	}
}

func deleteRefCases() []testCase {
	deletes := func(c backend.Capabilities) bool { return c.DeleteRef }
	conditional := func(c backend.Capabilities) bool { return c.ConditionalDeleteRef }
	return []testCase{
		{name: "delete ref/removes it and leaves blobs alone", needs: deletes, run: deleteRefRemoves},
		{name: "delete ref/what is not there is a success", needs: deletes, run: deleteRefMissing},
		{name: "delete ref/on condition of absence is invalid", needs: deletes, run: deleteRefAbsent},
		{name: "delete ref/succeeds on the version that was read", needs: conditional, run: deleteRefCurrent},
		{name: "delete ref/conflicts on another version", needs: conditional, run: deleteRefStale},
		{name: "delete ref/conflicts on a version where there is no ref", needs: conditional, run: deleteRefMatchMissing},
	}
}

// wantConflict fails unless PutRef conflicts.
func (e *env) wantConflict(t *testing.T, name string, doc backend.Document, cond backend.Condition) {
	t.Helper()
	v, err := e.PutRef(t.Context(), name, doc, cond)
	wantErr(t, "PutRef("+name+", "+cond.String()+") = "+string(v), err, backend.ErrConflict)
}

func createAbsent(t *testing.T, e *env) {
	doc := e.doc(t, "x")
	v := e.putRef(t, "main", doc, backend.Absent)
	e.wantRef(t, "main", doc)
	if got := e.getRef(t, "main").Version; got != v {
		t.Errorf("GetRef(main).Version = %q, want %q as PutRef returned", got, v)
	}
}

func createConflict(t *testing.T, e *env) {
	first, second := e.doc(t, "first"), e.doc(t, "second")
	for _, cond := range []backend.Condition{backend.Absent, backend.Always} {
		name := cond.String()
		e.putRef(t, name, first, cond)
		e.wantConflict(t, name, second, backend.Absent)
		e.wantConflict(t, name, first, backend.Absent)
		e.other(t).wantConflict(t, name, second, backend.Absent)
		e.wantRef(t, name, first)
	}
}

func createMatchEmpty(t *testing.T, e *env) {
	first, second := e.doc(t, "first"), e.doc(t, "second")
	e.putRef(t, "main", first, backend.Match(""))
	e.wantConflict(t, "main", second, backend.Match(""))
	e.wantRef(t, "main", first)
}

// createLarge is here because stores may send what is large in another way,
// and are known to lose the condition on it.
func createLarge(t *testing.T, e *env) {
	size := min(2<<20, documentLimit(e.Info()))
	first, second := e.sizedDoc(t, "first", size), e.sizedDoc(t, "second", size)
	e.putRef(t, "main", first, backend.Absent)
	e.wantConflict(t, "main", second, backend.Absent)
	e.wantRef(t, "main", first)
}

func createAfterDelete(t *testing.T, e *env) {
	first, second := e.doc(t, "first"), e.doc(t, "second")
	e.putRef(t, "main", first, backend.Absent)
	wantErr(t, "DeleteRef(main)", e.DeleteRef(t.Context(), "main", backend.Always), nil)
	e.putRef(t, "main", second, backend.Absent)
	e.wantRef(t, "main", second)
}

func replaceCurrent(t *testing.T, e *env) {
	first, second, third := e.doc(t, "first"), e.doc(t, "second"), e.doc(t, "third")
	e.putRef(t, "main", first, backend.Always)
	v := e.putRef(t, "main", second, backend.Match(e.getRef(t, "main").Version))
	e.wantRef(t, "main", second)
	other := e.other(t)
	other.putRef(t, "main", third, backend.Match(v))
	e.wantRef(t, "main", third)
}

func replaceStale(t *testing.T, e *env) {
	first, second, third := e.doc(t, "first"), e.doc(t, "second"), e.doc(t, "third")
	stale := e.putRef(t, "main", first, backend.Always)
	e.other(t).putRef(t, "main", second, backend.Match(stale))
	e.wantConflict(t, "main", third, backend.Match(stale))
	e.wantRef(t, "main", second)
	other := e.putRef(t, "other", third, backend.Always)
	e.wantConflict(t, "main", third, backend.Match(other))
	e.wantRef(t, "main", second)
}

func replaceMissing(t *testing.T, e *env) {
	doc := e.doc(t, "x")
	v := e.putRef(t, "other", doc, backend.Always)
	e.wantConflict(t, "main", doc, backend.Match(v))
	e.wantNoRef(t, "main")
	if !e.caps.DeleteRef {
		return
	}
	wantErr(t, "DeleteRef(other)", e.DeleteRef(t.Context(), "other", backend.Always), nil)
	e.wantConflict(t, "other", doc, backend.Match(v))
	e.wantNoRef(t, "other")
}

func replaceLarge(t *testing.T, e *env) {
	size := min(2<<20, documentLimit(e.Info()))
	first, second, third := e.sizedDoc(t, "first", size), e.sizedDoc(t, "second", size), e.sizedDoc(t, "third", size)
	stale := e.putRef(t, "main", first, backend.Always)
	e.putRef(t, "main", second, backend.Match(stale))
	e.wantConflict(t, "main", third, backend.Match(stale))
	e.wantRef(t, "main", second)
}

func deleteRefRemoves(t *testing.T, e *env) {
	data, doc := content(1, 100), e.doc(t, "kept")
	e.put(t, data)
	e.putRef(t, "kept", doc, backend.Always)
	e.putRef(t, "main", e.doc(t, "gone"), backend.Always)
	wantErr(t, "DeleteRef(main)", e.DeleteRef(t.Context(), "main", backend.Always), nil)
	e.wantNoRef(t, "main")
	e.other(t).wantNoRef(t, "main")
	e.wantRef(t, "kept", doc)
	e.wantBlob(t, data)
}

func deleteRefMissing(t *testing.T, e *env) {
	wantErr(t, "DeleteRef(never there)", e.DeleteRef(t.Context(), "main", backend.Always), nil)
	e.putRef(t, "main", e.doc(t, "x"), backend.Always)
	for range 2 {
		wantErr(t, "DeleteRef(main)", e.DeleteRef(t.Context(), "main", backend.Always), nil)
	}
}

func deleteRefAbsent(t *testing.T, e *env) {
	doc := e.doc(t, "x")
	e.putRef(t, "main", doc, backend.Always)
	for _, name := range []string{"main", "missing"} {
		err := e.DeleteRef(t.Context(), name, backend.Absent)
		wantErr(t, "DeleteRef("+name+", absent)", err, backend.ErrInvalid)
	}
	e.wantRef(t, "main", doc)
}

func deleteRefCurrent(t *testing.T, e *env) {
	e.putRef(t, "main", e.doc(t, "first"), backend.Always)
	v := e.putRef(t, "main", e.doc(t, "second"), backend.Always)
	wantErr(t, "DeleteRef(main, current)", e.DeleteRef(t.Context(), "main", backend.Match(v)), nil)
	e.wantNoRef(t, "main")
}

func deleteRefStale(t *testing.T, e *env) {
	doc := e.doc(t, "second")
	stale := e.putRef(t, "main", e.doc(t, "first"), backend.Always)
	e.putRef(t, "main", doc, backend.Always)
	wantErr(t, "DeleteRef(main, stale)", e.DeleteRef(t.Context(), "main", backend.Match(stale)), backend.ErrConflict)
	e.wantRef(t, "main", doc)
}

func deleteRefMatchMissing(t *testing.T, e *env) {
	v := e.putRef(t, "other", e.doc(t, "x"), backend.Always)
	wantErr(t, "DeleteRef(missing, match)", e.DeleteRef(t.Context(), "main", backend.Match(v)), backend.ErrConflict)
	wantErr(t, "DeleteRef(other, match)", e.DeleteRef(t.Context(), "other", backend.Match(v)), nil)
	wantErr(t, "DeleteRef(deleted, match)", e.DeleteRef(t.Context(), "other", backend.Match(v)), backend.ErrConflict)
}
