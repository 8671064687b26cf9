package larder_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/internal/faulty"
)

// TestExportGivesUpARefThatStandsStill has stores whose reads and writes
// contradict each other for ever.
func TestExportGivesUpARefThatStandsStill(t *testing.T) {
	for _, test := range []struct {
		name  string
		there bool
		says  string
	}{
		{"not found, and yet there", false, "there is none"},
		{"there, and yet changed", true, "it is at version"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := faulty.New(mem.New())
			to := larder.Target{Backend: b, Ref: "main"}
			if test.there {
				export(t, cacheOf(t, "base"), to)
			}
			b.Inject(faulty.Fault{Op: faulty.PutRef, Times: -1, Err: backend.ErrConflict})
			c := cacheOf(t, "base", "deps")
			report, err := larder.Export(t.Context(), c.Manifest, c, []larder.Target{to}, larder.ExportOptions{})
			if !errors.Is(err, backend.ErrConflict) || report.Targets[0].Outcome != larder.Failed {
				t.Errorf("%s: Export() = %s, %v, want failed, %v", test.name, report.Targets[0].Outcome, err, backend.ErrConflict)
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "ref main") {
				t.Errorf("%s: Export() = %v, want ref main and %q in it", test.name, err, test.says)
			}
		})
	}
}

// TestExportOutlastsConflicts has a store lose a race more often in a row than a
// ref may stand still, because others do change it.
func TestExportOutlastsConflicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := mem.New()
		b := faulty.New(store)
		to := larder.Target{Backend: b, Ref: "main"}
		others := 0
		b.Inject(faulty.Fault{Op: faulty.PutRef, Times: 50, Before: func() {
			others++
			export(t, cacheOf(t, strings.Repeat("x", others)), larder.Target{Backend: store, Ref: "main"})
		}})
		export(t, cacheOf(t, "mine"), to)
		if got := steps(inspect(t, to).Manifest, "mine", "x", strings.Repeat("x", 50)); len(got) != 3 {
			t.Errorf("after 50 lost races the ref has %q of mine and the others' records, want 3", got)
		}
	})
}

// TestCopyOfTheSameIsUnchanged is about a copy that replaces what is there, into
// another encoding than its own: the ref is left alone all the same.
func TestCopyOfTheSameIsUnchanged(t *testing.T) {
	from := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: "oci-manifest"}), Ref: "main"}
	b := faulty.New(mem.NewWith(mem.Options{Encoding: "flat"}))
	to := larder.Target{Backend: b, Ref: "main"}
	export(t, cacheOf(t, "base", "deps"), from)
	copyTo(t, from, larder.CopyOptions{}, to)
	written := b.Calls(faulty.PutRef)
	if got := copyTo(t, from, larder.CopyOptions{}, to).Targets[0]; got.Outcome != larder.Unchanged || got.Reused.Blobs != 2 {
		t.Errorf("second Copy() = %s with %d reused, want unchanged with 2", got.Outcome, got.Reused.Blobs)
	}
	if got := b.Calls(faulty.PutRef) - written; got != 0 {
		t.Errorf("second Copy() has written the ref %d times, want 0", got)
	}
}
