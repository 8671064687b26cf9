package manifest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// spelled compares times by their spelling, as an encoder would.
var spelled = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Transformer("spelling", func(t time.Time) string { return t.Format(time.RFC3339Nano) }),
}

func requireEqual(t rapid.TB, what string, got, want *Manifest) {
	t.Helper()
	if diff := cmp.Diff(want, got, spelled); diff != "" {
		t.Fatalf("%s: -want +got:\n%s", what, diff)
	}
}

func TestCanonicalDependsOnContentAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := manifests(false).Draw(t, "m")
		canonical := m.Canonical()
		requireEqual(t, "Canonical of another order", shuffled(t, m).Canonical(), canonical)
		requireEqual(t, "Canonical of a canonical one", canonical.Canonical(), canonical)
		if err := canonical.Check(); err != nil {
			t.Fatalf("Check = %v", err)
		}
	})
}

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := manifests(true).Draw(t, "a"), manifests(true).Draw(t, "b"), manifests(true).Draw(t, "c")
		ab := Merge(a, b)
		requireEqual(t, "b, a", Merge(b, a), ab)
		requireEqual(t, "a, b, a", Merge(ab, a), ab)
		all := Merge(a, b, c)
		requireEqual(t, "(a, b), c", Merge(ab, c), all)
		requireEqual(t, "a, (b, c)", Merge(a, Merge(b, c)), all)
		requireEqual(t, "canonical", all.Canonical(), all)
		if err := all.Check(); err != nil {
			t.Fatalf("Check = %v", err)
		}
	})
}
