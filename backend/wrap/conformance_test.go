package wrap_test

import (
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
)

// wrappers are all that leave the contract as it is.
var wrappers = map[string]func(backend.Backend) backend.Backend{
	"Observe": func(b backend.Backend) backend.Backend { return wrap.Observe(b, wrap.Observer{}) },
	"Check":   wrap.Check,
	"Verify":  wrap.Verify,
	"Retry":   func(b backend.Backend) backend.Backend { return wrap.Retry(b, wrap.RetryOptions{}) },
	"Limit":   func(b backend.Backend) backend.Backend { return wrap.Limit(b, wrap.NewLimiter(8)) },
	"Timeout": func(b backend.Backend) backend.Backend { return wrap.Timeout(b, wrap.TimeoutOptions{}) },
	"Recommended": func(b backend.Backend) backend.Backend {
		return wrap.Recommended(b, wrap.Options{Observer: &wrap.Observer{}})
	},
}

// TestConformance runs the suite of all backends over each wrapper.
func TestConformance(t *testing.T) {
	for name, wrapped := range wrappers {
		t.Run(name, func(t *testing.T) {
			stores := map[backend.Backend]*mem.Backend{}
			add := func(store *mem.Backend) backend.Backend {
				b := wrapped(store)
				stores[b] = store
				return b
			}
			backendtest.Run(t, backendtest.Harness{
				New:    func(testing.TB) backend.Backend { return add(mem.New()) },
				Reopen: func(_ testing.TB, b backend.Backend) backend.Backend { return add(stores[b].Reopen()) },
				Rounds: 5,
			})
		})
	}
}
