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
// there is time, without packs and with them. Each store is a scope.
func TestFaults(t *testing.T) {
	versions := []int{2}
	if os.Getenv("LARDER_SOAK") == "full" {
		versions = []int{1, 2}
	}
	for _, version := range versions {
		for name, pack := range map[string]int64{"": 0, ", packs": 1 << 20} {
			t.Run(fmt.Sprint("version ", version, name), func(t *testing.T) { disturb(t, version, pack) })
		}
	}
}

func disturb(t *testing.T, version int, pack int64) {
	t.Helper()
	s := ghaserver.New(t, ghaserver.Options{})
	faultsuite.Run(t, faultsuite.Harness{
		Server:   s.URL,
		Confirms: true,
		Open: func(tb testing.TB, url, store string) backend.Backend {
			tb.Helper()
			b := open(tb, s, func(o *gha.Options) {
				o.URL, o.Version, o.Pack, o.StuckAfter = url, version, pack, 1500*time.Millisecond
			}, ghaserver.Scope{Ref: "refs/heads/" + store, Permission: readWrite})
			gha.PackAll(b) // if it packs any
			return b
		},
	})
}
