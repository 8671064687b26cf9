package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faultproxy"
	"github.com/larder-build/larder/internal/faultsuite"
	"github.com/larder-build/larder/internal/s3test"
)

// expired answers as S3 does to a token whose time is over.
func expired(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(`<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>`))
}

// slowDown answers as S3 does to too many requests.
func slowDown(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`))
}

// disturbed is the suite of faults over a server. Each store is a prefix.
func (s server) disturbed(t *testing.T) {
	t.Helper()
	name := s.newBucket(t)
	faultsuite.Run(t, faultsuite.Harness{
		Server: s.endpoint,
		Open: func(tb testing.TB, url, store string) backend.Backend {
			tb.Helper()
			opts := s.options()
			opts.Endpoint, opts.Prefix, opts.RefreshAge = url, store+"/", 0
			opts.AccessKeyID, opts.SecretAccessKey, opts.Credentials = "", "", renewable{}
			b, err := s3.Open(tb.Context(), name, opts)
			if err != nil {
				tb.Fatal(err)
			}
			return b
		},
		Expired: faultproxy.Fault{Answer: expired, Match: func(r *http.Request) bool {
			return r.Method != http.MethodHead // whose answer says nothing
		}},
	})
}

func TestFaults(t *testing.T) {
	fake := s3test.New(t, s3test.Options{Keys: map[string]string{accessKey: secretKey}})
	server{endpoint: fake.URL, quirks: "aws", region: "us-east-1", fake: fake}.disturbed(t)
}

func TestFaultsVersityGW(t *testing.T) { fromEnv(t, "LARDER_TEST_VERSITYGW", "").disturbed(t) }

// TestUploadFaults has each request of an upload in parts go wrong. It succeeds
// in the end, and leaves no upload open, also when it is given up.
func TestUploadFaults(t *testing.T) {
	data := random(pieces + 1)
	requests := map[string]func(*http.Request) bool{
		"create":   func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") },
		"part":     func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "5" },
		"complete": func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") },
	}
	faults := map[string]faultproxy.Fault{
		"reset":    {Kind: faultproxy.Reset},
		"lost":     {Kind: faultproxy.Lost},
		"truncate": {Kind: faultproxy.Truncate},
		"slow":     {Kind: faultproxy.Answer, Answer: slowDown},
		"expired":  {Kind: faultproxy.Answer, Answer: expired},
	}
	for at, match := range requests {
		for kind, fault := range faults {
			t.Run(kind+" at "+at, func(t *testing.T) {
				if testing.Short() && kind != "lost" {
					t.Skip("one kind is enough")
				}
				t.Parallel() // they wait before they send a part again
				fake := s3test.New(t, s3test.Options{MinPart: fakePart, Keys: map[string]string{accessKey: secretKey}})
				s := server{endpoint: fake.URL, quirks: "aws", region: "us-east-1", fake: fake}
				fault.Match = match
				s.uploadThrough(t, fault, data)
			})
		}
	}
}

// uploadThrough puts a blob while a fault strikes once, and then while it
// strikes always.
func (s server) uploadThrough(t *testing.T, fault faultproxy.Fault, data []byte) {
	t.Helper()
	d := blob.Describe("", data)
	for _, times := range []int{1, -1} {
		name := s.newBucket(t)
		proxy := faultproxy.New(t, s.endpoint)
		fault.Times = times
		proxy.Inject(fault)
		opts := s.options()
		opts.Endpoint, opts.RefreshAge = proxy.URL, 0
		opts.AccessKeyID, opts.SecretAccessKey, opts.Credentials = "", "", renewable{}
		driver, err := s3.Open(t.Context(), name, opts)
		if err != nil {
			t.Fatal(err)
		}
		b := wrap.Retry(driver, wrap.RetryOptions{Attempts: 2, First: time.Microsecond})
		err = b.Put(t.Context(), d, stream(data))
		_ = b.Close()
		if times == 1 && err != nil {
			t.Errorf("Put() with one fault = %v, want nil", err)
		}
		if err != nil && backend.Kind(err) == nil {
			t.Errorf("Put() = %v, want an error of a kind", err)
		}
		if open := s.fake.Uploads(); open != 0 {
			t.Errorf("Put() = %v left %d uploads open, want none", err, open)
		}
		if keys := s.fake.Keys(name); err == nil != (len(keys) == 1) && fault.Kind != faultproxy.Lost && fault.Kind != faultproxy.Truncate {
			t.Errorf("Put() = %v left the objects %q", err, keys)
		}
	}
}

// TestUploadCanceled cancels an upload in parts at each of its requests.
func TestUploadCanceled(t *testing.T) {
	fake := s3test.New(t, s3test.Options{MinPart: fakePart, Keys: map[string]string{accessKey: secretKey}})
	s := server{endpoint: fake.URL, quirks: "aws", region: "us-east-1", fake: fake}
	data := random(pieces + 1)
	for _, at := range []string{"uploads", "partNumber", "uploadId"} {
		t.Run(at, func(t *testing.T) {
			proxy := faultproxy.New(t, s.endpoint)
			opts := s.options()
			opts.Endpoint = proxy.URL
			b, err := s3.Open(t.Context(), s.newBucket(t), opts)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close() })
			ctx, cancel := context.WithCancel(t.Context())
			var once sync.Once
			// The request is done, and its answer comes too late.
			proxy.Inject(faultproxy.Fault{Kind: faultproxy.Stall, Times: 1, After: 1 << 40, Match: func(r *http.Request) bool {
				q := r.URL.Query()
				if !q.Has(at) || r.Method == http.MethodDelete || at == "uploadId" && q.Has("partNumber") {
					return false
				}
				once.Do(func() { time.AfterFunc(50*time.Millisecond, cancel) })
				return true
			}})
			err = b.Put(ctx, blob.Describe("", data), stream(data))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Put(canceled) = %v, want %v", err, context.Canceled)
			}
			if open := fake.Uploads(); open != 0 {
				t.Errorf("Put(canceled at %s) left %d uploads open, want none", at, open)
			}
		})
	}
}

// renewable are credentials that can be asked for again.
type renewable struct{}

func (renewable) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, Source: "test"}, nil
}

// random returns n bytes that no compression shortens.
func random(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// stream is a source that cannot be read anywhere but at its end.
func stream(data []byte) blob.Source {
	return blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data))), nil
	})
}
