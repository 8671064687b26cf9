package larder_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

func verify(tb testing.TB, t larder.Target, opts larder.VerifyOptions) *larder.Verification {
	tb.Helper()
	v, err := larder.Verify(tb.Context(), t, opts)
	if err != nil {
		tb.Fatalf("Verify(%s) = %v", t, err)
	}
	return v
}

func digestsOf(defects []larder.Defect) []blob.Digest {
	var all []blob.Digest
	for _, d := range defects {
		all = append(all, d.Digest)
	}
	return all
}

func TestVerifyOfAGoodCache(t *testing.T) {
	c := cacheOf(t, "base", "deps")
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, c, to)
	v := verify(t, to, larder.VerifyOptions{})
	if want := c.Layers[0].Size + c.Layers[1].Size; !v.OK || v.Blobs != 2 || v.Bytes != want || v.RecordsLost != 0 {
		t.Errorf("Verify() = %+v, want ok with 2 blobs and %d bytes", v, want)
	}
}

func TestVerifyProgress(t *testing.T) {
	d := damage(t, mem.EncodingFlat)
	var mu sync.Mutex
	ends := map[larder.StepKind]int{}
	verify(t, d.Target, larder.VerifyOptions{Progress: func(s larder.Step) {
		mu.Lock()
		defer mu.Unlock()
		if s.Kind != larder.StepPlanned && s.Kind != larder.StepMoved {
			ends[s.Kind]++
		}
	}})
	if diff := cmp.Diff(map[larder.StepKind]int{larder.StepFetched: 1, larder.StepFailed: 3}, ends); diff != "" {
		t.Errorf("blobs that ended by kind differ (-want +got):\n%s", diff)
	}
}

// damaged is a cache in a store that has lost or altered some of its blobs.
type damaged struct {
	*cache
	larder.Target
	store                      *faulty.Backend
	missing, flipped, misnamed blob.Digest
}

// damage makes a cache of four steps, of which all but the first are broken,
// each in its own way.
func damage(t *testing.T, encoding string) damaged {
	t.Helper()
	c := cacheOf(t, "base", "flipped", "missing")
	other := cacheOf(t, "misnamed")
	other.Layers[0].DiffID = blob.Describe("", []byte("something else")).Digest
	b := faulty.New(mem.NewWith(mem.Options{Encoding: encoding}))
	to := larder.Target{Backend: b, Ref: "main"}
	export(t, c, to)
	export(t, other, to)
	drop(t, b, c.layer(2))
	b.Inject(faulty.Fault{Op: faulty.Open, Key: string(c.layer(1)), FlipAt: 50, Times: -1})
	return damaged{cache: c, Target: to, store: b, missing: c.layer(2), flipped: c.layer(1), misnamed: other.layer(0)}
}

func TestVerifyFindsEveryDefect(t *testing.T) {
	for _, encoding := range encodings {
		d := damage(t, encoding)
		v := verify(t, d.Target, larder.VerifyOptions{})
		if v.OK || v.RecordsLost != 3 {
			t.Errorf("%s: Verify() = ok %t, %d records lost, want false, 3", encoding, v.OK, v.RecordsLost)
		}
		if got := digestsOf(v.Missing); !slices.Equal(got, []blob.Digest{d.missing}) {
			t.Errorf("%s: missing = %v, want %s", encoding, got, d.missing)
		}
		got, want := digestsOf(v.Corrupt), []blob.Digest{d.flipped, d.misnamed}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: corrupt = %v, want %v", encoding, got, want)
		}
		if _, err := d.Backend.Stat(t.Context(), d.flipped); err != nil {
			t.Errorf("%s: Verify() without repair touched the store: %v", encoding, err)
		}
	}
}

func TestVerifyQuicklyReadsNothing(t *testing.T) {
	d := damage(t, mem.EncodingFlat)
	b := d.store
	before := b.Calls(faulty.Open)
	v := verify(t, d.Target, larder.VerifyOptions{Quick: true})
	if v.OK || len(v.Missing) != 1 || len(v.Corrupt) != 0 || v.RecordsLost != 1 {
		t.Errorf("quick Verify() = %+v, want one missing and nothing corrupt", v)
	}
	if got := b.Calls(faulty.Open) - before; got > 1 {
		t.Errorf("quick Verify() opened %d blobs, want at most the missing one", got)
	}
}

func TestVerifyRepairs(t *testing.T) {
	for _, encoding := range encodings {
		d := damage(t, encoding)
		v := verify(t, d.Target, larder.VerifyOptions{Repair: true})
		if v.OK || v.Repaired == nil || v.Repaired.Outcome != larder.Published {
			t.Fatalf("%s: Verify(repair) = %+v, want a published repair", encoding, v)
		}
		if got := steps(inspect(t, d.Target).Manifest, "base", "flipped", "missing", "misnamed"); !slices.Equal(got, []string{"base"}) {
			t.Errorf("%s: the repaired ref has %v, want base", encoding, got)
		}
		if again := verify(t, d.Target, larder.VerifyOptions{}); !again.OK {
			t.Errorf("%s: Verify() after a repair = %+v, want ok", encoding, again)
		}
		found, err := d.Backend.Stat(t.Context(), d.flipped, d.misnamed)
		if err != nil || len(found) != 0 {
			t.Errorf("%s: after a repair the store still has %d corrupt blobs (%v)", encoding, len(found), err)
		}
		// What was quarantined is stored anew by the next export.
		d.store.Clear()
		export(t, d.cache, d.Target)
		if again := verify(t, d.Target, larder.VerifyOptions{}); !again.OK || again.Blobs != 3 {
			t.Errorf("%s: Verify() after the next export = %+v, want ok with 3 blobs", encoding, again)
		}
	}
}

func TestVerifyRepairRemovesARefOfWhichNothingIsLeft(t *testing.T) {
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	c := cacheOf(t, "base")
	export(t, c, to)
	drop(t, to.Backend, c.layer(0))
	v := verify(t, to, larder.VerifyOptions{Repair: true})
	if v.Repaired.Outcome != larder.Removed {
		t.Errorf("Verify(repair) = %s, want %s", v.Repaired.Outcome, larder.Removed)
	}
	if _, err := to.Backend.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("GetRef() = %v, want %v", err, backend.ErrNotFound)
	}
}

func TestVerifyRepairLosesNoRace(t *testing.T) {
	d := damage(t, mem.EncodingFlat)
	b := d.store
	// Another exporter comes between the check and the repair.
	b.Inject(faulty.Fault{Op: faulty.PutRef, Before: func() {
		b.Clear()
		export(t, cacheOf(t, "other"), d.Target)
	}, Times: 1})
	if _, err := larder.Verify(t.Context(), d.Target, larder.VerifyOptions{Repair: true}); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("Verify(repair) = %v, want %v", err, backend.ErrConflict)
	}
	if got := steps(inspect(t, d.Target).Manifest, "other"); len(got) != 1 {
		t.Errorf("the other exporter's record is gone")
	}
}

func TestVerifyTellsDefectsFromAStoreThatDoesNotAnswer(t *testing.T) {
	c := cacheOf(t, "base")
	b := faulty.New(mem.New())
	to := larder.Target{Backend: b, Ref: "main"}
	export(t, c, to)
	b.Inject(faulty.Fault{Op: faulty.Open, Key: string(c.layer(0)), Err: backend.ErrUnavailable, Times: -1})
	if _, err := larder.Verify(t.Context(), to, larder.VerifyOptions{Repair: true}); !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("Verify() = %v, want %v", err, backend.ErrUnavailable)
	}
	b.Clear()
	if got := inspect(t, to).Totals.Results; got != 1 {
		t.Errorf("after a failed verification the ref has %d results, want 1", got)
	}
}

func TestVerifyFindsABlobOfWrongSize(t *testing.T) {
	c := cacheOf(t, "base")
	b := faulty.New(mem.New())
	to := larder.Target{Backend: b, Ref: "main"}
	export(t, c, to)
	b.Inject(faulty.Fault{Op: faulty.Open, Key: string(c.layer(0)), BreakAt: 10, Err: nil, Times: -1})
	v := verify(t, to, larder.VerifyOptions{})
	if got := digestsOf(v.Corrupt); !bytes.Equal([]byte(got[0]), []byte(c.layer(0))) {
		t.Errorf("corrupt = %v, want %s", got, c.layer(0))
	}
}

// mirrored fails the test if a blob is read that may come from a mirror.
type mirrored struct {
	backend.Backend
	t *testing.T
}

func (m mirrored) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	if !backend.IsOrigin(ctx) {
		m.t.Errorf("Open(%s) may be of a mirror", d.Digest)
	}
	return m.Backend.Open(ctx, d, off, n)
}

func TestVerifyReadsTheOrigin(t *testing.T) {
	to := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, cacheOf(t, "base", "deps"), to)
	to.Backend = mirrored{to.Backend, t}
	if found, err := larder.Verify(t.Context(), to, larder.VerifyOptions{}); err != nil || !found.OK || found.Blobs != 2 {
		t.Errorf("Verify() = %+v, %v, want 2 blobs that are ok", found, err)
	}
}
