package s3_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/s3test"
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

// races lets writers with connections of their own create, replace and, where
// that is declared, delete a ref.
func (s server) races(t *testing.T) {
	t.Helper()
	bucket := s.newBucket(t)
	writers := make([]*s3.Backend, contenders)
	for i := range writers {
		writers[i] = s.open(t, bucket)
		t.Cleanup(func() { _ = writers[i].Close() })
	}
	// What is created and what replaces it differ: ETags are those of content.
	doc := func(step string, i int) backend.Document {
		return backend.Document{Data: fmt.Appendf(nil, `{"step":%q,"writer":%d}`, step, i)}
	}
	mustHold := func(name, step string, winner int) backend.Version {
		t.Helper()
		r, err := writers[0].GetRef(t.Context(), name)
		if err != nil || string(r.Data) != string(doc(step, winner).Data) {
			t.Fatalf("GetRef(%s) = %s, %v, want that of writer %d, who has won", name, r.Data, err, winner)
		}
		return r.Version
	}
	for round := range rounds(t) {
		name := fmt.Sprint("ref-", round)
		v := mustHold(name, "create", race(t, func(i int) error {
			_, err := writers[i].PutRef(t.Context(), name, doc("create", i), backend.Absent)
			return err
		}))
		v = mustHold(name, "replace", race(t, func(i int) error {
			_, err := writers[i].PutRef(t.Context(), name, doc("replace", i), backend.Match(v))
			return err
		}))
		if writers[0].Info().Capabilities.ConditionalDeleteRef {
			race(t, func(i int) error { return writers[i].DeleteRef(t.Context(), name, backend.Match(v)) })
		}
	}
}

func TestRaces(t *testing.T) {
	fake := s3test.New(t, s3test.Options{Keys: map[string]string{accessKey: secretKey}})
	server{endpoint: fake.URL, quirks: "aws", region: "us-east-1", fake: fake}.races(t)
}

// TestRacesVersityGW takes the server for one that is not known: its conditional
// deletes have several winners.
func TestRacesVersityGW(t *testing.T) { fromEnv(t, "LARDER_TEST_VERSITYGW", "").races(t) }

func TestRacesMinIO(t *testing.T) { fromEnv(t, "LARDER_TEST_MINIO", "minio").races(t) }

// TestRaceOfUploads has everybody upload the same large blob in parts: all of
// them succeed, whoever completes first, and no upload is left.
func TestRaceOfUploads(t *testing.T) {
	fake := s3test.New(t, s3test.Options{Keys: map[string]string{accessKey: secretKey}})
	s := server{endpoint: fake.URL, quirks: "aws", region: "us-east-1", fake: fake}
	bucket, data := s.newBucket(t), random(pieces+1)
	d := blob.Describe("", data)
	var group sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		b := s.open(t, bucket)
		t.Cleanup(func() { _ = b.Close() })
		group.Go(func() { errs[i] = b.Put(t.Context(), d, blob.Bytes(data)) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Errorf("Put() of the same blob by %d writers = %v, want nil", len(errs), err)
	}
	if got, _, ok := fake.Object(bucket, "p/blobs/"+d.Digest.String()); !ok || string(got) != string(data) {
		t.Errorf("the blob has %d bytes, want what was put", len(got))
	}
	if open := fake.Uploads(); open != 0 {
		t.Errorf("%d uploads are left open, want none", open)
	}
}
