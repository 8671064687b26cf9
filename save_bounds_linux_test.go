package larder_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

// saver saves one file under keys, at times of its own.
type saver struct {
	larder.Target
	dir  string
	now  time.Time
	opts larder.SaveOptions
}

func newSaver(tb testing.TB, opts larder.SaveOptions) *saver {
	tb.Helper()
	s := &saver{dir: tb.TempDir(), now: epoch, opts: opts}
	s.Target = larder.Target{Backend: clocked(&s.now), Ref: "main"}
	tb.Cleanup(func() { _ = s.Backend.Close() })
	return s
}

// save saves content under a key, an hour after the last save.
func (s *saver) save(tb testing.TB, key, content string) *larder.TargetReport {
	tb.Helper()
	s.now = s.now.Add(time.Hour)
	s.opts.Export.Now = func() time.Time { return s.now }
	if old, err := os.ReadFile(filepath.Join(s.dir, "tree", "file")); err != nil || string(old) != content {
		putFile(tb, s.dir, "tree/file", content)
	}
	report, err := larder.Save(tb.Context(), key, []larder.Directory{{Path: filepath.Join(s.dir, "tree"), Name: "tree"}}, []larder.Target{s.Target}, s.opts)
	if err != nil {
		tb.Fatalf("Save(%s) = %v", key, err)
	}
	return report.Targets[0]
}

// keys returns those of the given keys that can be restored.
func (s *saver) keys(tb testing.TB, keys ...string) string {
	tb.Helper()
	var found []string
	for _, key := range keys {
		if hit, err := larder.Lookup(tb.Context(), key, []larder.Target{s.Target}, larder.RestoreOptions{}); err != nil {
			tb.Fatal(err)
		} else if hit.Hit {
			found = append(found, key)
		}
	}
	return strings.Join(found, " ")
}

func TestSaveKeepsTheNewestKeys(t *testing.T) {
	s := newSaver(t, larder.SaveOptions{MaxKeys: 2})
	for _, key := range []string{"a", "b", "c"} {
		s.save(t, key, key)
	}
	if got := s.keys(t, "a", "b", "c"); got != "b c" {
		t.Errorf("keys are %q, want the newest two", got)
	}
	if got := s.save(t, "b", "changed").Dropped; got != nil {
		t.Errorf("a key that was there drops %q", got)
	}
	if got := s.save(t, "d", "d").Dropped; !cmp.Equal(got, []string{"c"}) || s.keys(t, "b", "c", "d") != "b d" {
		t.Errorf("dropped %q, and kept %q", got, s.keys(t, "b", "c", "d"))
	}
}

func TestSaveDropsOldKeys(t *testing.T) {
	s := newSaver(t, larder.SaveOptions{MaxAge: 10 * time.Hour})
	s.save(t, "a", "a")
	s.save(t, "b", "b")
	s.now = s.now.Add(8 * time.Hour)
	if got := s.save(t, "c", "c").Dropped; got != nil {
		t.Errorf("dropped %q within their age", got)
	}
	// b is saved again as it was, which makes it young.
	if got := s.save(t, "b", "b"); got.Outcome != larder.Published || !cmp.Equal(got.Dropped, []string{"a"}) {
		t.Errorf("outcome is %s, dropped %q", got.Outcome, got.Dropped)
	}
	if got := s.save(t, "b", "b"); got.Outcome != larder.Unchanged {
		t.Errorf("a young key was published again: %s", got.Outcome)
	}
	s.now = s.now.Add(8 * time.Hour)
	if got := s.save(t, "b", "b"); !cmp.Equal(got.Dropped, []string{"c"}) || s.keys(t, "a", "b", "c") != "b" {
		t.Errorf("dropped %q, and kept %q", got.Dropped, s.keys(t, "a", "b", "c"))
	}
	s.now = s.now.Add(100 * time.Hour)
	if s.save(t, "b", "b"); s.keys(t, "b") != "b" {
		t.Error("the key that was saved is gone")
	}
}

// A key's layers leave the manifest with it, those that others need stay.
func TestDroppedKeysLeaveWithTheirLayers(t *testing.T) {
	s := newSaver(t, larder.SaveOptions{MaxKeys: 1})
	s.save(t, "a", "a")
	before := inspect(t, larder.Target{Backend: s.Backend, Ref: "main.dirs"}).Totals
	s.save(t, "b", "b")
	if diff := cmp.Diff(before, inspect(t, larder.Target{Backend: s.Backend, Ref: "main.dirs"}).Totals, cmpopts.IgnoreFields(larder.Totals{}, "Bytes")); diff != "" {
		t.Errorf("totals of one key differ (-before +after)\n%s", diff)
	}
}

// TestRacingSavesKeepBoth saves another key between reading and writing the ref.
func TestRacingSavesKeepBoth(t *testing.T) {
	s, other := newSaver(t, larder.SaveOptions{MaxKeys: 2}), newSaver(t, larder.SaveOptions{MaxKeys: 2})
	store := faulty.New(s.Backend)
	other.Target, other.now = s.Target, epoch.Add(2*time.Hour)
	s.save(t, "old", "old")
	s.Backend = store
	store.Inject(faulty.Fault{Op: faulty.PutRef, Before: func() { other.save(t, "theirs", "theirs") }})
	s.save(t, "ours", "ours")
	if got := s.keys(t, "old", "ours", "theirs"); got != "ours theirs" {
		t.Errorf("keys are %q, want both and not the old one", got)
	}
}

func TestSaveOfSomeDirectoriesOfAKeyIsUnchanged(t *testing.T) {
	b, dir := newBed(t), project(t)
	both := []larder.Directory{{Path: dir, Name: "one"}, {Path: dir, Name: "two"}}
	opts := larder.SaveOptions{Snapshots: b.snapshots}
	if _, err := larder.Save(t.Context(), "k", both, []larder.Target{b.target}, opts); err != nil {
		t.Fatal(err)
	}
	report, err := larder.Save(t.Context(), "k", both[1:], []larder.Target{b.target}, opts)
	if err != nil || report.Targets[0].Outcome != larder.Unchanged {
		t.Errorf("Save(two) = %+v, %v, want nothing published", report.Targets[0], err)
	}
}

// TestSaveRenewsOldRefs saves an unchanged tree long after it was published, to
// a store that removes what is old.
func TestSaveRenewsOldRefs(t *testing.T) {
	s := newSaver(t, larder.SaveOptions{})
	s.opts.Snapshots = t.TempDir()
	s.save(t, "k", "content")
	if got := s.save(t, "k", "content"); got.Outcome != larder.Unchanged {
		t.Errorf("outcome of a young ref is %s", got.Outcome)
	}
	s.now = s.now.Add(larder.DefaultRefreshAge)
	if got := s.save(t, "k", "content"); got.Outcome != larder.Published {
		t.Errorf("outcome of an old ref is %s", got.Outcome)
	}
	for _, l := range inspect(t, larder.Target{Backend: s.Backend, Ref: "main.dirs"}).Layers {
		if there, err := s.Backend.Stat(t.Context(), l.Digest); err != nil || !there[l.Digest].ModTime.Equal(s.now) {
			t.Errorf("layer %s was renewed at %s, %v, want %s", l.Digest, there[l.Digest].ModTime, err, s.now)
		}
	}
}

// TestSaveSendsLostLayersAgain loses a layer that the ref names: a store that is
// asked says so, and another may notice when the ref is published again.
func TestSaveSendsLostLayersAgain(t *testing.T) {
	for _, noticed := range []bool{false, true} {
		s := newSaver(t, larder.SaveOptions{})
		s.opts.Snapshots = t.TempDir()
		if !noticed {
			s.Backend = mem.New()
		}
		s.save(t, "one", "content")
		for _, l := range inspect(t, larder.Target{Backend: s.Backend, Ref: "main.dirs"}).Layers {
			drop(t, s.Backend, l.Digest)
		}
		if noticed {
			store := faulty.New(s.Backend)
			store.Inject(faulty.Fault{Op: faulty.PutRef, Err: fmt.Errorf("a blob is missing: %w", backend.ErrNotFound)})
			s.Backend = store
		}
		s.save(t, "two", "content")
		into := t.TempDir()
		restored, err := larder.Restore(t.Context(), "two", []larder.Target{s.Target}, larder.RestoreOptions{Into: into})
		if err != nil || !restored.Hit {
			t.Errorf("noticed %t: Restore() = %+v, %v", noticed, restored.Found, err)
		}
	}
}

// What is remembered helps; that it cannot be written down is no error.
func TestMemoryThatCannotBeWritten(t *testing.T) {
	s := newSaver(t, larder.SaveOptions{})
	putFile(t, s.dir, "file", "in the way")
	s.opts.Snapshots = filepath.Join(s.dir, "file", "snapshots")
	s.now = epoch
	s.save(t, "k", "content")
	report, err := larder.Save(t.Context(), "k2", []larder.Directory{{Path: filepath.Join(s.dir, "tree"), Name: "tree"}}, []larder.Target{s.Target}, s.opts)
	if err != nil || !cmp.Equal(degradations(report.Report), []larder.DegradationKind{larder.NotRemembered}) {
		t.Errorf("Save() = %v, with %v", err, degradations(report.Report))
	}
	restored, err := larder.Restore(t.Context(), "k", []larder.Target{s.Target}, larder.RestoreOptions{Into: t.TempDir(), Snapshots: s.opts.Snapshots})
	if err != nil || !cmp.Equal(degradations(restored.Report), []larder.DegradationKind{larder.NotRemembered}) {
		t.Errorf("Restore() = %v, with %v", err, degradations(restored.Report))
	}
}

// TestStepsOfSaveAndRestore adds up the steps: each layer is planned, before any is
// begun, and ends.
func TestStepsOfSaveAndRestore(t *testing.T) {
	b, dir := newBed(t), project(t)
	var mu sync.Mutex
	var planned, moved, ended int64
	open := make(map[blob.Digest]bool)
	progress := func(s larder.Step) {
		mu.Lock()
		defer mu.Unlock()
		switch s.Kind {
		case larder.StepPlanned:
			if moved > 0 {
				t.Errorf("planned after %d bytes were moved: %+v", moved, s)
			}
			planned += s.Bytes
			open[s.Blob] = true
		case larder.StepMoved:
			moved += s.Bytes
		case larder.StepSent, larder.StepFetched:
			ended += s.Bytes
			delete(open, s.Blob)
		default:
			t.Errorf("step %+v", s)
		}
	}
	if _, err := larder.Save(t.Context(), "k", []larder.Directory{{Path: dir, Name: "d"}}, []larder.Target{b.target}, larder.SaveOptions{PackSize: 32 << 10, Export: larder.ExportOptions{Progress: progress}}); err != nil {
		t.Fatal(err)
	}
	if planned == 0 || planned != ended || moved < planned || len(open) > 0 {
		t.Errorf("Save: %d bytes planned, %d moved, %d ended, %d layers open", planned, moved, ended, len(open))
	}
	planned, moved, ended = 0, 0, 0
	restored, err := larder.Restore(t.Context(), "k", []larder.Target{b.target}, larder.RestoreOptions{Into: t.TempDir(), Progress: progress})
	if err != nil {
		t.Fatal(err)
	}
	if want := restored.Directories[0].Fetched.Bytes; planned != want || moved != want || ended != want || len(open) > 0 {
		t.Errorf("Restore: %d bytes planned, %d moved, %d ended, %d layers open, want %d and none", planned, moved, ended, len(open), want)
	}
}
