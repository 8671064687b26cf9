package scenario_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/registrytest"
	"github.com/larder-build/larder/internal/s3test"
	"github.com/larder-build/larder/internal/testserver"
)

// store is a kind of store: at returns the location of a new one, without a ref.
type store struct {
	name string
	at   func(*testing.T) string
}

// stores are all kinds, in this process and, where the testbed has started them,
// as the real servers.
func stores() []store {
	return []store{
		{"local", directory},
		{"mem", func(*testing.T) string { return "type=mem" }},
		{"registry", repository},
		{"s3", bucket},
		{"azblob", func(t *testing.T) string {
			t.Helper()
			return newContainer(t, azuretest.New(t, azuretest.Options{}).URL)
		}},
		{"CNCF distribution", func(t *testing.T) string {
			t.Helper()
			return "type=registry,ref=" + testserver.FromTestbed(t, "LARDER_TEST_REGISTRY") + "/" + newName()
		}},
		{"versitygw", func(t *testing.T) string {
			t.Helper()
			return newBucket(t, testserver.FromTestbed(t, "LARDER_TEST_VERSITYGW"))
		}},
		{"MinIO", func(t *testing.T) string {
			t.Helper()
			return newBucket(t, testserver.FromTestbed(t, "LARDER_TEST_MINIO"))
		}},
		{"Azurite", func(t *testing.T) string {
			t.Helper()
			return newContainer(t, testserver.FromTestbed(t, "LARDER_TEST_AZURITE"))
		}},
	}
}

// everywhere are all kinds of which one location serves any build, and GitHub's
// as a run on main has it.
func everywhere() []store {
	return append(stores(), store{"gha", func(t *testing.T) string {
		t.Helper()
		return newActions(t).on(onBranch("main"))
	}})
}

func directory(t *testing.T) string {
	t.Helper()
	return "type=local,src=" + filepath.Join(t.TempDir(), "cache")
}

func repository(t *testing.T) string {
	t.Helper()
	return "type=registry,ref=" + registrytest.New(t, registrytest.Options{}).Host + "/cache"
}

func bucket(t *testing.T) string {
	t.Helper()
	return bucketAt(s3test.New(t, s3test.Options{Buckets: []string{"cache"}}).URL, "cache", s3test.AccessKey, s3test.SecretKey)
}

func newName() string { return "scenario-" + strings.ToLower(rand.Text()[:12]) }

func bucketAt(endpoint, bucket, key, secret string) string {
	return fmt.Sprintf("type=s3,bucket=%s,region=us-east-1,endpoint_url=%s,use_path_style=true,access_key_id=%s,secret_access_key=%s", bucket, endpoint, key, secret)
}

// newBucket makes a bucket at a server of the testbed.
func newBucket(t *testing.T, endpoint string) string {
	t.Helper()
	const key, secret = "testbed", "testbedsecret"
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint), UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
	})
	name := newName()
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return bucketAt(endpoint, name, key, secret)
}

// newContainer makes a container in an account.
func newContainer(t *testing.T, account string) string {
	t.Helper()
	name := newName()
	if _, err := azuretest.NewContainer(t.Context(), account, name); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("type=azblob,account_url=%s,secret_access_key=%s,container=%s", account, azuretest.Key, name)
}

// recorder is a transport that remembers the requests that change something.
type recorder struct {
	next http.RoundTripper

	mu       sync.Mutex
	mutating []string
	requests int
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.requests++
	switch req.Method {
	case http.MethodGet, http.MethodHead:
	default:
		if strings.HasSuffix(req.URL.Path, "/GetCacheEntryDownloadURL") {
			break // how GitHub's cache is asked
		}
		r.mutating = append(r.mutating, req.Method+" "+req.URL.Path)
	}
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}

// since forgets what was recorded, and returns it.
func (r *recorder) since() (mutating []string, requests int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	mutating, requests = r.mutating, r.requests
	r.mutating, r.requests = nil, 0
	return mutating, requests
}
