package azblob_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/internal/azuretest"
)

// contenders is how many writers race for a ref.
const contenders = 16

// rounds is how often they race: LARDER_TEST_RACES times, or a few.
func rounds(tb testing.TB) int {
	tb.Helper()
	text := os.Getenv("LARDER_TEST_RACES")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatalf("LARDER_TEST_RACES is %q, want a number", text)
	}
	return n
}

// race has all contenders write at the same time, and returns who has won.
func race(t *testing.T, write func(i int) error) int {
	t.Helper()
	var group sync.WaitGroup
	start := make(chan struct{})
	errs := make([]error, contenders)
	for i := range errs {
		group.Go(func() {
			<-start
			errs[i] = write(i)
		})
	}
	close(start)
	group.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Fatalf("writers %d and %d have won, want one", winner, i)
		case !errors.Is(err, backend.ErrConflict):
			t.Fatalf("PutRef() of a loser = %v, want %v", err, backend.ErrConflict)
		}
	}
	if winner < 0 {
		t.Fatalf("nobody has won: %v", errs)
	}
	return winner
}

// raceRefs lets writers with connections of their own create, replace and delete
// a ref.
func raceRefs(t *testing.T, opts azblob.Options) {
	t.Helper()
	writers := make([]*azblob.Backend, contenders)
	for i := range writers {
		writers[i] = open(t, opts)
	}
	doc := func(i int) backend.Document { return backend.Document{Data: fmt.Appendf(nil, `{"writer":%d}`, i)} }
	mustHold := func(name string, winner int) backend.Version {
		t.Helper()
		r, err := writers[0].GetRef(t.Context(), name)
		if err != nil || string(r.Data) != string(doc(winner).Data) {
			t.Fatalf("GetRef(%s) = %s, %v, want that of writer %d, who has won", name, r.Data, err, winner)
		}
		return r.Version
	}
	for round := range rounds(t) {
		name := fmt.Sprint("ref-", round)
		v := mustHold(name, race(t, func(i int) error {
			_, err := writers[i].PutRef(t.Context(), name, doc(i), backend.Absent)
			return err
		}))
		v = mustHold(name, race(t, func(i int) error {
			_, err := writers[i].PutRef(t.Context(), name, doc(i), backend.Match(v))
			return err
		}))
		race(t, func(i int) error { return writers[i].DeleteRef(t.Context(), name, backend.Match(v)) })
		if _, err := writers[0].GetRef(t.Context(), name); !errors.Is(err, backend.ErrNotFound) {
			t.Fatalf("GetRef(%s) after its deletion = %v, want %v", name, err, backend.ErrNotFound)
		}
	}
}

func TestRaces(t *testing.T) {
	_, opts := fake(t, azuretest.Options{})
	raceRefs(t, opts)
}

func TestRacesOnAzurite(t *testing.T) {
	opts := small(azurite(t), newContainer())
	opts.CreateContainer = true
	raceRefs(t, opts)
}

// TestRaceOfUploads has everybody upload the same large blob in blocks: all of
// them succeed, whoever commits first. A commit discards the blocks of others;
// only a damaged blob is written more than once.
func TestRaceOfUploads(t *testing.T) {
	data := content(1, 20_000)
	key := "blobs/" + describe(data).Digest.String()
	for name, damaged := range map[string]bool{"new blob": false, "damaged blob": true} {
		t.Run(name, func(t *testing.T) {
			s, opts := fake(t, azuretest.Options{})
			opts.BlockSize = 1000
			if damaged {
				s.Put("cache", key, []byte("damaged"))
			}
			var group sync.WaitGroup
			errs := make([]error, contenders)
			for i := range errs {
				b := open(t, opts)
				group.Go(func() { errs[i] = b.Put(t.Context(), describe(data), stream(data)) })
			}
			group.Wait()
			if err := errors.Join(errs...); err != nil {
				t.Errorf("Put() of the same blob by %d writers = %v, want nil", contenders, err)
			}
			if got, ok := s.Get("cache", key); !ok || string(got) != string(data) {
				t.Errorf("the blob has %d bytes, want what was put", len(got))
			}
			commits := 0
			for _, r := range s.Requests() {
				if r.Op == "Put Block List" && r.Code == "" {
					commits++
				}
			}
			if !damaged && commits != 1 {
				t.Errorf("the blob was committed %d times, want once", commits)
			}
		})
	}
}

// TestCommitsDiscardBlocks has another writer commit a blob when all blocks of an
// upload are there: the upload finds the blob in the place of its blocks.
func TestCommitsDiscardBlocks(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	opts.BlockSize = 1000
	data := content(1, 10_000)
	key := "blobs/" + describe(data).Digest.String()
	s.Put("cache", key, []byte("damaged"))
	var staged atomic.Int32
	s.After = func(op string) {
		if op == "Put Block" && staged.Add(1) == 20 { // once for nothing: there is something
			s.Put("cache", key, data)
		}
	}
	put(t, open(t, opts), data)
	last := s.Requests()[s.Count()-2:]
	if last[0].Code != "InvalidBlockList" || last[1].Op != "Get Blob Properties" {
		t.Errorf("Put() ends with %+v, want a refused commit and a look at the blob", last)
	}
}

// TestUploadsShareNoBlocks has another writer stage content that is wrong when
// all blocks of an upload are there: they are none of its own.
func TestUploadsShareNoBlocks(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	opts.BlockSize = 1000
	data := content(1, 10_000)
	other := open(t, opts)
	var staged atomic.Int32
	s.After = func(op string) {
		if op == "Put Block" && staged.Add(1) == 10 {
			if err := other.Put(t.Context(), describe(data), stream(content(2, 10_000))); !errors.Is(err, backend.ErrCorrupt) {
				t.Errorf("Put(wrong content) = %v, want %v", err, backend.ErrCorrupt)
			}
		}
	}
	put(t, open(t, opts), data)
	if got, _ := s.Get("cache", "blobs/"+describe(data).Digest.String()); string(got) != string(data) {
		t.Error("the blob has blocks of another upload in it")
	}
}
