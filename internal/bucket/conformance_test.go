package bucket_test

import (
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/bucket/buckettest"
)

// options are those of a small backend, so that little data has several parts.
func options() bucket.Options {
	return bucket.Options{
		Driver: "test", Location: "type=test", Keys: bucket.Concatenated("p/", "blobs/", "manifests/"),
		RefreshAge: -1, PartSize: 100_000,
	}
}

func TestConformance(t *testing.T) {
	memory := func() bucket.Store { return buckettest.NewMemory() }
	for _, tt := range []struct {
		name string
		new  func() bucket.Store
	}{
		{"whole objects", memory},
		{"parts", func() bucket.Store { return buckettest.Parts{Memory: buckettest.NewMemory()} }},
		{"verifying", func() bucket.Store {
			m := buckettest.NewMemory()
			m.Can.VerifiesDigest = true
			return buckettest.Parts{Memory: m}
		}},
		{"least", func() bucket.Store {
			m := buckettest.NewMemory()
			m.Can = bucket.Features{NoDelete: true, NoList: true, NoAges: true}
			return m
		}},
		{"unordered", func() bucket.Store {
			m := buckettest.NewMemory()
			m.Can.Unordered = true
			return m
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.Run(t, backendtest.Harness{
				New: func(tb testing.TB) backend.Backend {
					tb.Helper()
					return bucket.New(tb.Context(), tt.new(), options())
				},
				Reopen: func(tb testing.TB, b backend.Backend) backend.Backend {
					tb.Helper()
					return bucket.New(tb.Context(), storeOf(b), options())
				},
				Plant: func(_ testing.TB, b backend.Backend, d blob.Digest, data []byte) {
					memoryOf(storeOf(b)).Set("p/blobs/"+d.String(), data)
				},
				PartSize: 800_000,
				PageSize: 1000,
				// The limit is that of the package, and tested once.
				MaxDocument: 4 << 20,
				Rounds:      10,
			})
		})
	}
}

func storeOf(b backend.Backend) bucket.Store { return b.(*bucket.Backend).Store() } //nolint:errcheck // It is one.

func memoryOf(s bucket.Store) *buckettest.Memory {
	if p, ok := s.(buckettest.Parts); ok {
		return p.Memory
	}
	return s.(*buckettest.Memory) //nolint:errcheck // There are two kinds.
}
