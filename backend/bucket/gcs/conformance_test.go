package gcs_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/bucket"
	"github.com/larder-build/larder/backend/bucket/gcs"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/gcstest"
	"github.com/larder-build/larder/internal/testserver"
)

// newBucket makes a bucket at the emulator and returns its name.
func newBucket(tb testing.TB, endpoint string) string {
	tb.Helper()
	c, err := storage.NewClient(tb.Context(), option.WithoutAuthentication(), option.WithEndpoint(endpoint+"/storage/v1/"))
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close()
	name := "larder-" + strings.ToLower(rand.Text()[:16])
	if err := c.Bucket(name).Create(tb.Context(), "testbed", nil); err != nil {
		tb.Fatal(err)
	}
	return name
}

func open(tb testing.TB, opts gcs.Options) *bucket.Backend {
	tb.Helper()
	b, err := gcs.Open(tb.Context(), opts)
	if err != nil {
		tb.Fatalf("Open() = %v, want a backend", err)
	}
	tb.Cleanup(func() { b.Close() })
	return b
}

// opened is a backend and what it was opened with.
type opened struct {
	*bucket.Backend

	opts gcs.Options
}

// conform runs the suite over new places, as where returns them.
func conform(t *testing.T, where func(testing.TB) gcs.Options, h backendtest.Harness) {
	t.Helper()
	h.New = func(tb testing.TB) backend.Backend {
		tb.Helper()
		opts := where(tb)
		opts.Prefix, opts.RefreshAge, opts.PartSize = "p/", -1, 100_000
		return opened{open(tb, opts), opts}
	}
	h.Reopen = func(tb testing.TB, b backend.Backend) backend.Backend {
		tb.Helper()
		opts := b.(opened).opts //nolint:errcheck // New has made it
		return opened{open(tb, opts), opts}
	}
	h.Plant = func(tb testing.TB, b backend.Backend, d blob.Digest, data []byte) {
		tb.Helper()
		of := b.(opened).Bucket() //nolint:errcheck // New has made it
		if err := of.WriteAll(context.WithoutCancel(tb.Context()), "p/blobs/"+d.String(), data, nil); err != nil {
			tb.Fatal(err)
		}
	}
	if os.Getenv("LARDER_SOAK") == "full" {
		h.Rounds = 500
	}
	h.PartSize, h.AgeStep = 512<<10, time.Second
	backendtest.Run(t, h)
}

// TestConformance runs over the service as it is documented, in this process.
func TestConformance(t *testing.T) {
	conform(t, func(tb testing.TB) gcs.Options {
		tb.Helper()
		s := gcstest.New(tb, gcstest.Options{Buckets: []string{"caches"}, PageSize: 10})
		return gcs.Options{Bucket: "caches", Anonymous: true, Transport: s.Transport()}
	}, backendtest.Harness{PageSize: 10})
}

func TestConformanceEmulator(t *testing.T) {
	endpoint := testserver.FromTestbed(t, "LARDER_TEST_GCS")
	conform(t, func(tb testing.TB) gcs.Options {
		tb.Helper()
		return gcs.Options{Bucket: newBucket(tb, endpoint), Endpoint: endpoint}
	}, backendtest.Harness{MaxDocument: 8 << 20})
}
