package s3_test

import (
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/s3test"
)

// cache is the bucket of the server in this process.
const cache = "cache"

// newFake returns a server in this process with one bucket.
func newFake(t *testing.T, o s3test.Options) *s3test.Server {
	t.Helper()
	if o.Keys == nil {
		o.Keys = map[string]string{accessKey: secretKey}
	}
	o.Buckets = append(o.Buckets, cache)
	return s3test.New(t, o)
}

// openFake opens the bucket of the server as AWS's, with options changed.
func openFake(t *testing.T, s *s3test.Server, change func(*s3.Options)) *s3.Backend {
	t.Helper()
	o := s3.Options{Endpoint: s.URL, Quirks: "aws", AccessKeyID: accessKey, SecretAccessKey: secretKey}
	if change != nil {
		change(&o)
	}
	b, err := s3.Open(t.Context(), cache, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// put stores data, which must succeed.
func put(t *testing.T, b backend.Backend, data []byte) blob.Descriptor {
	t.Helper()
	d := blob.Describe("application/vnd.oci.image.layer.v1.tar+gzip", data)
	if err := b.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Fatalf("Put() = %v, want nil", err)
	}
	return d
}
