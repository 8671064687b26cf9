package azblob_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/testserver"
)

// contenders is how many writers race for a blob.
const contenders = 16

// raceRefs lets writers with connections of their own race.
func raceRefs(t *testing.T, opts azblob.Options) {
	t.Helper()
	backendtest.Races(t, func(t *testing.T) backend.Backend {
		t.Helper()
		return open(t, opts)
	})
}

func TestRaces(t *testing.T) {
	_, opts := fake(t, azuretest.Options{})
	raceRefs(t, opts)
}

func TestRacesOnAzurite(t *testing.T) {
	opts := small(testserver.FromTestbed(t, azurite), newContainer())
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
