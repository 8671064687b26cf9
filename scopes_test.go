package larder_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

// scoped is a store that keeps each ref in two scopes.
type scoped struct {
	*mem.Backend

	fails map[string]error // by scope
}

func (s scoped) Info() backend.Info {
	info := s.Backend.Info()
	info.Scopes = []string{"branch", "main"}
	return info
}

func (s scoped) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	scope, ok := backend.ScopeOf(ctx)
	if !ok {
		scope = "branch"
	}
	if err := s.fails[scope]; err != nil {
		return backend.Ref{}, err
	}
	return s.Backend.GetRef(ctx, name+"-"+scope)
}

func TestImportOverlaysTheScopesOfAStore(t *testing.T) {
	broken := errors.New("broken on purpose")
	for _, tt := range []struct {
		name   string
		refs   []string
		fails  map[string]error
		want   []string
		kinds  []larder.DegradationKind
		source error
	}{
		{"both", []string{"branch", "main"}, nil, []string{"base", "of branch", "of main"}, nil, nil},
		{"the first", []string{"branch"}, nil, []string{"base", "of branch"}, nil, nil},
		{"the second", []string{"main"}, nil, []string{"base", "of main"}, nil, nil},
		{"none", nil, nil, nil, []larder.DegradationKind{larder.SourceMissing}, backend.ErrNotFound},
		{"the second, and the first fails", []string{"branch", "main"}, map[string]error{"branch": broken}, []string{"base", "of main"}, []larder.DegradationKind{larder.SourceFailed}, nil},
		{"all fail", []string{"main"}, map[string]error{"branch": broken, "main": broken}, nil, []larder.DegradationKind{larder.SourceFailed}, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := scoped{mem.New(), tt.fails}
			for _, scope := range tt.refs {
				export(t, cacheOf(t, "base", "of "+scope), larder.Target{Backend: store.Backend, Ref: "ref-" + scope})
			}
			found, report, err := larder.Import(t.Context(), []larder.Target{{Backend: store, Ref: "ref"}}, larder.ImportOptions{})
			if err != nil || !errors.Is(report.Sources[0].Err, tt.source) {
				t.Fatalf("Import() = %v, source %v, want nil, %v", err, report.Sources[0].Err, tt.source)
			}
			if diff := cmp.Diff(tt.want, steps(found.Manifest, "base", "of branch", "of main")); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.kinds, degradations(report)); diff != "" {
				t.Errorf("degradations (-want +got):\n%s", diff)
			}
			for _, l := range found.Manifest.Layers {
				readImported(t, found, blob.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size})
			}
		})
	}
}
