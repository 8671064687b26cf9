package wrap_test

import (
	"context"
	"iter"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
)

// diagnosed is a store that tells how it was asked about itself.
type diagnosed struct {
	backend.Backend

	asked []backend.DiagnoseOptions
}

func (d *diagnosed) Diagnose(_ context.Context, o backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	d.asked = append(d.asked, o)
	return slices.Values([]backend.Finding{{Check: "endpoint", Status: backend.FindingOK}})
}

func TestDiagnoseIsPassedOn(t *testing.T) {
	for name, tt := range map[string]struct {
		wrap     func(backend.Backend) backend.Backend
		readOnly bool
	}{
		"recommended": {func(b backend.Backend) backend.Backend { return wrap.Recommended(b, wrap.Options{}) }, false},
		"read-only":   {wrap.ReadOnly, true},
		"both": {func(b backend.Backend) backend.Backend {
			return wrap.Recommended(wrap.ReadOnly(b), wrap.Options{})
		}, true},
	} {
		store := &diagnosed{Backend: mem.New()}
		d, ok := backend.As[backend.Diagnoser](tt.wrap(store))
		if !ok {
			t.Errorf("%s: there is no Diagnoser, want one", name)
			continue
		}
		refs := []string{"main"}
		got := slices.Collect(d.Diagnose(t.Context(), backend.DiagnoseOptions{Refs: refs}))
		if len(got) != 1 || got[0].Check != "endpoint" {
			t.Errorf("%s: Diagnose() = %v, want the store's finding", name, got)
		}
		want := []backend.DiagnoseOptions{{ReadOnly: tt.readOnly, Refs: refs}}
		if diff := cmp.Diff(want, store.asked); diff != "" {
			t.Errorf("%s: the store was asked with (-want +got):\n%s", name, diff)
		}
	}
}

func TestDiagnoseOfAStoreWithoutFindings(t *testing.T) {
	b := wrap.Recommended(mem.New(), wrap.Options{})
	if d, ok := backend.As[backend.Diagnoser](b); ok {
		for f := range d.Diagnose(t.Context(), backend.DiagnoseOptions{}) {
			t.Errorf("Diagnose() yields %v, want nothing", f)
		}
	}
}
