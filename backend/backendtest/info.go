package backendtest

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/larder-build/larder/backend"
)

func infoCases() []testCase {
	return []testCase{
		{name: "info/describes the store", run: infoDescribes},
		{name: "info/never changes", run: infoNeverChanges},
	}
}

func infoDescribes(t *testing.T, e *env) {
	info := e.Info()
	if info.Driver == "" {
		t.Errorf("Info().Driver is empty, want a name")
	}
	if info.Location == "" {
		t.Errorf("Info().Location is empty, want a location")
	}
	if encodings := []string{"flat", "oci-manifest"}; !slices.Contains(encodings, info.Encoding) {
		t.Errorf("Info().Encoding = %q, want one of %q", info.Encoding, encodings)
	}
	if info.MaxDocumentSize < 0 || info.MaxDocumentSize > backend.MaxDocumentSize {
		t.Errorf("Info().MaxDocumentSize = %d, want 0 to %d", info.MaxDocumentSize, backend.MaxDocumentSize)
	}
}

func infoNeverChanges(t *testing.T, e *env) {
	want := e.Info()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	steps := []struct {
		name string
		do   func()
	}{
		{"Put", func() { e.put(t, []byte("x")) }},
		{"PutRef", func() { e.putRef(t, "main", e.doc(t, "x"), backend.Always) }},
		{"a call that fails", func() { _, _ = e.GetRef(ended, "main") }},
		{"Close", func() { _ = e.Close() }},
	}
	for _, step := range steps {
		step.do()
		if got := e.Info(); !reflect.DeepEqual(got, want) {
			t.Errorf("Info() after %s = %+v, want %+v", step.name, got, want)
		}
	}
}
