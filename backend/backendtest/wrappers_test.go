package backendtest_test

import (
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
)

// TestWrappers runs the suite over wrappers of stores that can do little: what a
// store refuses has to be refused through every wrapper. That they keep the
// promises of a store that can do everything, package wrap tests.
func TestWrappers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		wrapper func(backend.Backend) backend.Backend
	}{
		{"observe", func(b backend.Backend) backend.Backend { return wrap.Observe(b, wrap.Observer{}) }},
		{"check", wrap.Check},
		{"verify", wrap.Verify},
		{"retry", func(b backend.Backend) backend.Backend { return wrap.Retry(b, wrap.RetryOptions{}) }},
		{"limit", func(b backend.Backend) backend.Backend { return wrap.Limit(b, wrap.NewLimiter(8)) }},
		{"timeout", func(b backend.Backend) backend.Backend { return wrap.Timeout(b, wrap.TimeoutOptions{}) }},
		{"recommended", func(b backend.Backend) backend.Backend { return wrap.Recommended(b, wrap.Options{}) }},
		{"recommended twice", func(b backend.Backend) backend.Backend {
			return wrap.Recommended(wrap.Recommended(b, wrap.Options{}), wrap.Options{Observer: &wrap.Observer{}})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := around(mem.Options{Without: allCapabilities, MaxDocumentSize: 1 << 20}, tt.wrapper)
			h.Rounds = 5
			backendtest.Run(t, h)
		})
	}
}

// TestRecommendedOverOCI runs the suite over the wrappers that every opened
// backend has, around a store whose documents are blobs as well.
func TestRecommendedOverOCI(t *testing.T) {
	o := mem.Options{Encoding: mem.EncodingOCIManifest, MaxDocumentSize: 4 << 20}
	backendtest.Run(t, around(o, func(b backend.Backend) backend.Backend { return wrap.Recommended(b, wrap.Options{}) }))
}
