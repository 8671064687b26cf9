package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/s3test"
	"github.com/larder-build/larder/internal/testserver"
)

// The keys of the servers that internal/testbed starts.
const (
	accessKey = "testbed"
	secretKey = "testbedsecret"
)

// Parts of real servers have at least 5 MiB. Those of servers in this process need
// not be so large.
const (
	realPart = 5 << 20
	fakePart = 256 << 10
)

// pieces is the size above which blobs are sent and fetched in parts, at a server
// in this process.
const pieces = wholeParts * fakePart

// wholeParts is how many parts a blob must be larger than to be moved in parts.
const wholeParts = 8

// server is a running S3 server.
type server struct {
	endpoint string
	quirks   string
	region   string
	// parted has the suite include blobs that are moved in parts.
	parted bool
	// fake is set if it is one in this process.
	fake *s3test.Server
}

// client returns the SDK's own client of the server.
func (s server) client() *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: aws.String(s.endpoint), UsePathStyle: true, Region: s.region,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
}

// newBucket returns the name of a new bucket.
func (s server) newBucket(tb testing.TB) string {
	tb.Helper()
	name := "larder-" + strings.ToLower(rand.Text()[:16])
	if s.fake != nil {
		s.fake.AddBucket(name)
		return name
	}
	if _, err := s.client().CreateBucket(tb.Context(), &sdk.CreateBucketInput{Bucket: &name}); err != nil {
		tb.Fatal(err)
	}
	return name
}

// options are those that reach the server.
func (s server) options() s3.Options {
	return s3.Options{
		Endpoint: s.endpoint, Quirks: s.quirks, AccessKeyID: accessKey, SecretAccessKey: secretKey,
		Prefix: "p/", RefreshAge: -1, PartSize: s.part(),
	}.WithMinPart(s.part())
}

// part is the size of parts.
func (s server) part() int64 {
	if s.fake != nil {
		return fakePart
	}
	return realPart
}

func (s server) open(tb testing.TB, bucket string) *s3.Backend {
	tb.Helper()
	b, err := s3.Open(tb.Context(), bucket, s.options())
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// connection remembers the bucket of a backend.
type connection struct {
	*s3.Backend
	bucket string
}

// fakePage is how many objects the server in this process lists at once.
const fakePage = 50

func (s server) pageSize() int {
	if s.fake != nil {
		return fakePage
	}
	return 1000
}

// conformance runs the suite against a server.
func (s server) conformance(t *testing.T, skip map[string]string, refuses func(string) bool) {
	t.Helper()
	partSize := 0
	if s.parted {
		partSize = wholeParts * int(s.part())
	}
	backendtest.Run(t, backendtest.Harness{
		New: func(tb testing.TB) backend.Backend {
			tb.Helper()
			name := s.newBucket(tb)
			return connection{s.open(tb, name), name}
		},
		Reopen: func(tb testing.TB, b backend.Backend) backend.Backend {
			tb.Helper()
			name := b.(connection).bucket //nolint:errcheck // New has made it.
			return connection{s.open(tb, name), name}
		},
		Plant: func(tb testing.TB, b backend.Backend, d blob.Digest, data []byte) {
			tb.Helper()
			if s.fake != nil {
				s.fake.Set(b.(connection).bucket, "p/blobs/"+d.String(), data) //nolint:errcheck // New has made it.
				return
			}
			_, err := s.client().PutObject(context.WithoutCancel(tb.Context()), &sdk.PutObjectInput{
				Bucket: aws.String(b.(connection).bucket), Key: aws.String("p/blobs/" + d.String()), Body: bytes.NewReader(data), //nolint:errcheck // New has made it.
			})
			if err != nil {
				tb.Fatal(err)
			}
		},
		Skip:        skip,
		Refuses:     refuses,
		PartSize:    partSize,
		PageSize:    s.pageSize(),
		MaxDocument: 2 << 20,
		Rounds:      10,
		AgeStep:     time.Second,
	})
}

func fromEnv(t *testing.T, name, quirks string) server {
	t.Helper()
	endpoint := testserver.FromTestbed(t, name)
	return server{endpoint: endpoint, quirks: quirks, region: "us-east-1", parted: true}
}

// nested is why a ref cannot be below another one on a store of files.
const nested = "the server keeps objects in files, and a file is no directory"

// TestConformance runs the suite against a server in this process that behaves
// as AWS does, and as stores that keep fewer promises.
func TestConformance(t *testing.T) {
	for _, tt := range []struct {
		name, quirks string
		server       s3test.Quirks
		parted       bool
	}{
		{name: "aws", quirks: "aws", parted: true},
		{name: "minio", quirks: "minio", server: s3test.Quirks{IgnoreConditionalDelete: true}},
		{name: "gcs", quirks: "gcs", server: s3test.Quirks{
			IgnoreConditions: true, NoBatchDelete: true, UnsignedEncoding: true, IgnorePayloadHash: true,
		}},
		{name: "r2", quirks: "r2", parted: true, server: s3test.Quirks{EqualParts: true, IgnoreConditionalDelete: true}},
		{name: "generic", server: s3test.Quirks{StaleTouch: true, IgnorePayloadHash: true, IgnoreConditionalDelete: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && tt.name != "aws" {
				t.Skip("one kind of store is enough")
			}
			region := s3test.Region
			if tt.name == "r2" || tt.name == "gcs" {
				region = "auto"
			}
			fake := s3test.New(t, s3test.Options{
				Quirks: tt.server, Region: region, PageSize: fakePage, MinPart: fakePart, Keys: map[string]string{accessKey: secretKey},
			})
			server{endpoint: fake.URL, quirks: tt.quirks, region: region, fake: fake, parted: tt.parted}.conformance(t, nil, nil)
		})
	}
}

func TestConformanceVersityGW(t *testing.T) {
	fromEnv(t, "LARDER_TEST_VERSITYGW", "").conformance(t,
		map[string]string{"name/similar ones are different refs": nested},
		func(name string) bool { return name == "a/b/c/d/e/f" }, // there is a ref "a"
	)
}

func TestConformanceMinIO(t *testing.T) {
	const unlisted = "the server does not list what is below another object"
	fromEnv(t, "LARDER_TEST_MINIO", "minio").conformance(t, map[string]string{
		"name/similar ones are different refs": unlisted,
		"name/odd ones are kept as they are":   unlisted,
	}, nil)
}
