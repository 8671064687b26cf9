package s3_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/s3test"
)

// races lets writers with connections of their own race.
func (s server) races(t *testing.T) {
	t.Helper()
	bucket := s.newBucket(t)
	backendtest.Races(t, func(t *testing.T) backend.Backend {
		t.Helper()
		b := s.open(t, bucket)
		t.Cleanup(func() { _ = b.Close() })
		return b
	})
}

func TestRaces(t *testing.T) {
	fake := s3test.New(t, s3test.Options{MinPart: fakePart, Keys: map[string]string{accessKey: secretKey}})
	server{endpoint: fake.URL, quirks: "aws", region: "us-east-1", fake: fake}.races(t)
}

// TestRacesVersityGW takes the server for one that is not known: its conditional
// deletes have several winners.
func TestRacesVersityGW(t *testing.T) { fromEnv(t, "LARDER_TEST_VERSITYGW", "").races(t) }

func TestRacesMinIO(t *testing.T) { fromEnv(t, "LARDER_TEST_MINIO", "minio").races(t) }

// TestRaceOfUploads has everybody upload the same large blob in parts: all of
// them succeed, whoever completes first, and no upload is left.
func TestRaceOfUploads(t *testing.T) {
	fake := s3test.New(t, s3test.Options{MinPart: fakePart, Keys: map[string]string{accessKey: secretKey}})
	s := server{endpoint: fake.URL, quirks: "aws", region: "us-east-1", fake: fake}
	bucket, data := s.newBucket(t), random(wholeParts*int(s.part())+1)
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
