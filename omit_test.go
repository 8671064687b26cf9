package larder_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

// full is a store that takes no more than so many blobs, and documents if it
// still takes refs.
type full struct {
	*mem.Backend

	blobs map[blob.Digest]bool // that it takes
	refs  bool
}

func omitted(op string) error {
	return &backend.Error{Op: op, Backend: "full", Kind: backend.ErrReadOnly, Omittable: true}
}

func (f full) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	if !f.blobs[d.Digest] {
		return omitted("put")
	}
	return f.Backend.Put(ctx, d, src)
}

func (f full) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	if !f.refs {
		return "", omitted("put ref")
	}
	return f.Backend.PutRef(ctx, name, doc, cond)
}

func TestExportGoesOnWithoutWhatIsOmitted(t *testing.T) {
	c := cacheOf(t, "a", "b")
	for _, tt := range []struct {
		name    string
		to      full
		outcome larder.Outcome
		has     []string
		kinds   int // degradations
	}{
		{"everything", full{mem.New(), nil, false}, larder.Skipped, nil, 1},
		{"all blobs", full{mem.New(), nil, true}, larder.Skipped, nil, 1},
		{"one blob", full{mem.New(), map[blob.Digest]bool{c.layer(0): true}, true}, larder.Published, []string{"a"}, 1},
		{"one blob and the ref", full{mem.New(), map[blob.Digest]bool{c.layer(0): true}, false}, larder.Skipped, nil, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other := larder.Target{Backend: mem.New(), Ref: "main"}
			to := larder.Target{Backend: tt.to, Ref: "main"}
			second := larder.Target{Backend: tt.to, Ref: "second"} // on the same store
			report, err := larder.Export(t.Context(), c.Manifest, c, []larder.Target{to, second, other}, larder.ExportOptions{})
			if err != nil {
				t.Fatalf("Export() = %v, want nil", err)
			}
			for _, r := range report.Targets[:2] {
				if r.Outcome != tt.outcome || len(r.Degradations) != tt.kinds {
					t.Errorf("Export(%s) has %s %+v, want %s with %d degradations", r.Ref, r.Outcome, r.Degradations, tt.outcome, tt.kinds)
				}
				for _, d := range r.Degradations {
					if d.Kind != larder.WriteOmitted || !strings.Contains(d.Detail, "read-only") {
						t.Errorf("degradation = %+v, want %s with the reason", d, larder.WriteOmitted)
					}
				}
			}
			if report.Targets[2].Outcome != larder.Published {
				t.Errorf("Export(other) has %s, want %s", report.Targets[2].Outcome, larder.Published)
			}
			var has []string
			if tt.outcome == larder.Published {
				has = steps(inspect(t, to).Manifest, "a", "b")
			}
			if diff := cmp.Diff(tt.has, has); diff != "" {
				t.Errorf("steps of the ref (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhatIsAskedForByNameIsNotOmitted has verbs whose whole purpose is to write.
func TestWhatIsAskedForByNameIsNotOmitted(t *testing.T) {
	c := cacheOf(t, "a", "b")
	from := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, c, from)
	to := []larder.Target{{Backend: full{mem.New(), nil, true}, Ref: "main"}}
	_, copyErr := larder.Copy(t.Context(), from, to, larder.CopyOptions{})
	_, mergeErr := larder.Merge(t.Context(), []larder.Target{from}, to, larder.ExportOptions{})
	_, promoteErr := larder.Promote(t.Context(), from, larder.Target{Backend: to[0].Backend, Ref: "other"}, larder.ExportOptions{})
	for verb, err := range map[string]error{"Copy": copyErr, "Merge": mergeErr, "Promote": promoteErr} {
		if !errors.Is(err, backend.ErrReadOnly) {
			t.Errorf("%s() = %v, want %v", verb, err, backend.ErrReadOnly)
		}
	}
}

func TestSaveGoesOnWithoutWhatIsOmitted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		refs bool
		want []larder.Outcome
	}{
		{"alone", true, []larder.Outcome{larder.Skipped}},
		{"only blobs are refused", true, []larder.Outcome{larder.Skipped, larder.Published, larder.Skipped}},
		{"refs too", false, []larder.Outcome{larder.Skipped, larder.Published}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var to []larder.Target
			for _, outcome := range tt.want {
				target := larder.Target{Backend: mem.New(), Ref: "main"}
				if outcome == larder.Skipped {
					target.Backend = full{mem.New(), nil, tt.refs}
				}
				to = append(to, target)
			}
			report, err := larder.Save(t.Context(), "key", []larder.Directory{{Path: dir, Name: "dir"}}, to, larder.SaveOptions{})
			if err != nil {
				t.Fatalf("Save() = %v, want nil", err)
			}
			for i, want := range tt.want {
				r := report.Targets[i]
				if r.Outcome != want || (want == larder.Skipped) != (len(r.Degradations) == 1) {
					t.Errorf("target %d: %s %+v, want %s", i, r.Outcome, r.Degradations, want)
				}
				found, err := larder.Lookup(t.Context(), "key", to[i:i+1], larder.RestoreOptions{})
				if err != nil || found.Hit != (want == larder.Published) {
					t.Errorf("target %d: Lookup() = %t, %v, want what was published", i, found.Hit, err)
				}
			}
		})
	}
}
