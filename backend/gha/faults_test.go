package gha_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/internal/faultsuite"
	"github.com/larder-build/larder/internal/ghaserver"
)

// TestFaults disturbs each request in turn: of all verbs, and of an export in
// packs; if there is time, in both versions of the protocol, and of all verbs in
// packs. Each store is a scope.
func TestFaults(t *testing.T) {
	for _, version := range versions(2) {
		for name, pack := range map[string]int64{"": 0, ", packs": 1 << 20} {
			t.Run(fmt.Sprint("version ", version, name), func(t *testing.T) { disturb(t, version, pack) })
		}
	}
}

func disturb(t *testing.T, version int, pack int64) {
	t.Helper()
	s := ghaserver.New(t, ghaserver.Options{})
	var verbs []string
	if pack > 0 && !thorough() {
		verbs = []string{"Export"}
	}
	faultsuite.Run(t, faultsuite.Harness{
		Server:   s.URL,
		Confirms: true,
		Verbs:    verbs,
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
