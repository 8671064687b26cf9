package backendtest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/larder-build/larder/backend"
)

func extensionCases() []testCase {
	return []testCase{
		{name: "copier/copies or does nothing", run: copierCopies},
		{name: "raw opener/yields the same bytes", run: rawOpenerReads},
	}
}

// copierCopies takes blobs over from another store of the same kind, if the
// backend can copy at all.
func copierCopies(t *testing.T, e *env) {
	copier, ok := backend.As[backend.Copier](e.Backend)
	if !ok {
		t.Skip("the backend is no Copier")
	}
	from := e.h.newEnv(t)
	data := content(1, 10_000)
	d := from.put(t, data)
	if err := copier.CopyFrom(t.Context(), from.Backend, absent(1)); err == nil {
		t.Errorf("CopyFrom(absent) = nil, want an error")
	}
	e.wantNoBlob(t, absent(1))
	switch err := copier.CopyFrom(t.Context(), from.Backend, d); {
	case errors.Is(err, backend.ErrUnsupported):
		e.wantNoBlob(t, d)
	default:
		wantErr(t, "CopyFrom("+d.Digest.String()+")", err, nil)
		e.wantBlob(t, data)
		wantErr(t, "CopyFrom(again)", copier.CopyFrom(t.Context(), from.Backend, d), nil)
		from.wantBlob(t, data)
	}
}

func rawOpenerReads(t *testing.T, e *env) {
	opener, ok := backend.As[backend.RawOpener](e.Backend)
	if !ok {
		t.Skip("the backend is no RawOpener")
	}
	data := content(1, 10_000)
	r, err := opener.OpenRaw(t.Context(), e.put(t, data), 5, 100)
	if err != nil {
		t.Fatalf("OpenRaw(5, 100) = %v, want nil", err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data[5:105]) {
		t.Errorf("OpenRaw(5, 100) = %s, %v, want %s", brief(got), err, brief(data[5:105]))
	}
	wantErr(t, "Close()", r.Close(), nil)
}
