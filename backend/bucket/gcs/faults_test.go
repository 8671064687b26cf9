package gcs_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket/gcs"
	"github.com/larder-build/larder/internal/faultproxy"
	"github.com/larder-build/larder/internal/faultsuite"
	"github.com/larder-build/larder/internal/gcstest"
	"github.com/larder-build/larder/internal/testserver"
)

// fail has every fault at every request to a bucket.
func fail(t *testing.T, server, name string, layerSize int) {
	t.Helper()
	faultsuite.Run(t, faultsuite.Harness{
		Server: server, LayerSize: layerSize,
		Open: func(tb testing.TB, url, store string) backend.Backend {
			tb.Helper()
			b := open(tb, gcs.Options{Bucket: name, Endpoint: url, Prefix: store + "/"})
			// Credentials can only expire that have been good.
			if _, err := b.GetRef(tb.Context(), "none"); !errors.Is(err, backend.ErrNotFound) {
				tb.Fatal(err)
			}
			return b
		},
		Expired: faultproxy.Fault{Kind: faultproxy.Answer, Answer: expired},
	})
}

// expired is what the service answers to a token that was good before.
func expired(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write([]byte(`{"error":{"code":401,"message":"Request had invalid authentication credentials.","errors":[{"reason":"authError"}]}}`))
}

func TestFaults(t *testing.T) {
	s := gcstest.New(t, gcstest.Options{Buckets: []string{"caches"}})
	fail(t, s.URL, "caches", 0)
}

func TestFaultsEmulator(t *testing.T) {
	endpoint := testserver.FromTestbed(t, "LARDER_TEST_GCS")
	fail(t, endpoint, newBucket(t, endpoint), 0)
}
