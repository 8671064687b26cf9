package wrap_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/wrap"
)

// TestReadOnlyMethods requires of every method of the interface that it is
// either refused or passed on, so that a new one has to be decided about.
func TestReadOnlyMethods(t *testing.T) {
	refused := []string{"Put", "Delete", "PutRef", "DeleteRef"}
	passed := []string{"Stat", "Open", "List", "GetRef", "ListRefs", "Close"}
	for _, m := range interfaceMethods() {
		store := &recorder{caps: everything}
		err := callMethod(t, wrap.ReadOnly(store), m)
		switch {
		case slices.Contains(refused, m.Name):
			if !errors.Is(err, backend.ErrReadOnly) || len(store.calls) > 0 {
				t.Errorf("%s() = %v and arrives as %v, want ErrReadOnly and nothing sent", m.Name, err, store.calls)
			}
		case slices.Contains(passed, m.Name):
			if err != nil || !slices.Equal(store.calls, []string{m.Name}) {
				t.Errorf("%s() = %v and arrives as %v, want nil, and once", m.Name, err, store.calls)
			}
		case m.Name != "Info":
			t.Errorf("%s is neither refused nor passed on", m.Name)
		}
	}
}

func TestReadOnlyCopier(t *testing.T) {
	store := &recorder{caps: everything}
	if err := copyTo(&recorder{}, someBlob)(t.Context(), wrap.ReadOnly(store)); !errors.Is(err, backend.ErrReadOnly) {
		t.Errorf("CopyFrom() = %v, want ErrReadOnly", err)
	}
	// Not even a wrapper around it leads past it.
	for name, wrapped := range wrappers {
		if err := copyTo(&recorder{}, someBlob)(t.Context(), wrapped(wrap.ReadOnly(store))); !errors.Is(err, backend.ErrReadOnly) {
			t.Errorf("CopyFrom() through %s = %v, want ErrReadOnly", name, err)
		}
	}
	if len(store.calls) > 0 {
		t.Errorf("the store was asked: %v", store.calls)
	}
	// It can be read from, by a copier too.
	receiver := &recorder{}
	if err := copyTo(wrap.ReadOnly(store), someBlob)(t.Context(), wrap.Check(receiver)); err != nil {
		t.Errorf("CopyFrom(read-only) = %v, want nil", err)
	}
	if receiver.args[0][0] != backend.Backend(store) {
		t.Errorf("CopyFrom(read-only) arrives with %T, want the store", receiver.args[0][0])
	}
	if err := openRaw(someBlob, 0)(t.Context(), wrap.ReadOnly(store)); err != nil || !slices.Equal(store.calls, []string{"Open"}) {
		t.Errorf("OpenRaw() = %v and arrives as %v, want nil, as Open", err, store.calls)
	}
}

func TestReadOnlyInfo(t *testing.T) {
	store := &recorder{caps: everything}
	want := store.Info()
	want.Capabilities = backend.Capabilities{ListRefs: true, ListBlobs: true, BlobAges: true}
	if diff := cmp.Diff(want, wrap.ReadOnly(store).Info()); diff != "" {
		t.Errorf("Info() differs (-want +got):\n%s", diff)
	}
	if got := wrap.ReadOnly(&recorder{}).Info().Capabilities; got != (backend.Capabilities{}) {
		t.Errorf("Capabilities of a store that has none = %+v, want none", got)
	}
	// A capability that is added has to be decided about.
	if got := reflect.TypeFor[backend.Capabilities]().NumField(); got != 8 {
		t.Errorf("Capabilities has %d fields, want 8: which of them need writing?", got)
	}
}
