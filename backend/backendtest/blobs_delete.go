package backendtest

import (
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

func deleteCases() []testCase {
	deletes := func(c backend.Capabilities) bool { return c.DeleteBlobs }
	return []testCase{
		{name: "delete/removes blobs", needs: deletes, run: deleteRemoves},
		{name: "delete/what is not there is a success", needs: deletes, run: deleteMissing},
		{name: "delete/takes any number of digests", needs: deletes, run: deleteMany},
	}
}

func deleteRemoves(t *testing.T, e *env) {
	gone, kept := content(1, 100), content(2, 100)
	e.put(t, kept)
	for range 2 { // the second time after it was put again
		d := e.put(t, gone)
		wantErr(t, "Delete(present)", e.Delete(t.Context(), d.Digest), nil)
		e.wantNoBlob(t, d)
		e.other(t).wantNoBlob(t, d)
		e.wantBlob(t, kept)
	}
}

func deleteMissing(t *testing.T, e *env) {
	wantErr(t, "Delete(absent, empty store)", e.Delete(t.Context(), absent(1).Digest), nil)
	d := e.put(t, content(1, 100))
	wantErr(t, "Delete(absent, present, absent)", e.Delete(t.Context(), absent(1).Digest, d.Digest, absent(2).Digest), nil)
	e.wantNoBlob(t, d)
	wantErr(t, "Delete(same again)", e.Delete(t.Context(), d.Digest), nil)
	wantErr(t, "Delete()", e.Delete(t.Context()), nil)
}

func deleteMany(t *testing.T, e *env) {
	first, last, kept := e.put(t, content(1, 10)), e.put(t, content(2, 10)), content(3, 10)
	e.put(t, kept)
	digests := []blob.Digest{first.Digest}
	for i := range manyDigests {
		digests = append(digests, absent(i).Digest)
	}
	digests = append(digests, last.Digest, first.Digest)
	wantErr(t, "Delete(1103 digests)", e.Delete(t.Context(), digests...), nil)
	e.wantNoBlob(t, first)
	e.wantNoBlob(t, last)
	e.wantBlob(t, kept)
}
