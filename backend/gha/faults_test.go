package gha_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/internal/faultsuite"
	"github.com/larder-build/larder/internal/ghaserver"
)

// TestFaults disturbs each request in turn, in both versions of the protocol if
// there is time. Each store is a scope.
func TestFaults(t *testing.T) {
	versions := []int{2}
	if os.Getenv("LARDER_SOAK") == "full" {
		versions = []int{1, 2}
	}
	for _, version := range versions {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			s := ghaserver.New(t, ghaserver.Options{})
			faultsuite.Run(t, faultsuite.Harness{
				Server:   s.URL,
				Confirms: true,
				Open: func(tb testing.TB, url, store string) backend.Backend {
					tb.Helper()
					return open(tb, s, func(o *gha.Options) {
						o.URL, o.Version, o.StuckAfter = url, version, 1500*time.Millisecond
					}, ghaserver.Scope{Ref: "refs/heads/" + store, Permission: readWrite})
				},
			})
		})
	}
}
