package backendtest_test

import (
	"fmt"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

// around returns a harness of stores in memory with the given options, each
// connection behind a wrapper.
func around(o mem.Options, wrapper func(backend.Backend) backend.Backend) backendtest.Harness {
	stores := map[backend.Backend]*mem.Backend{}
	add := func(store *mem.Backend) backend.Backend {
		b := wrapper(store)
		stores[b] = store
		return b
	}
	return backendtest.Harness{
		New:    func(testing.TB) backend.Backend { return add(mem.NewWith(o)) },
		Reopen: func(_ testing.TB, b backend.Backend) backend.Backend { return add(stores[b].Reopen()) },
		Plant: func(t testing.TB, b backend.Backend, d blob.Digest, data []byte) {
			t.Helper()
			if err := stores[b].Plant(d, data); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func harness(o mem.Options) backendtest.Harness {
	return around(o, func(b backend.Backend) backend.Backend { return b })
}

func TestMem(t *testing.T) {
	for _, encoding := range []string{mem.EncodingFlat, mem.EncodingOCIManifest} {
		t.Run(encoding, func(t *testing.T) { backendtest.Run(t, harness(mem.Options{Encoding: encoding})) })
	}
}

// capabilities returns sets of capabilities to take away: all, each, and all
// but each.
func capabilities() []backend.Capabilities {
	single := []backend.Capabilities{
		{CreateRef: true},
		{ReplaceRef: true},
		{DeleteRef: true},
		{ConditionalDeleteRef: true},
		{ListRefs: true},
		{DeleteBlobs: true},
		{ListBlobs: true},
		{BlobAges: true},
	}
	sets := append([]backend.Capabilities{allCapabilities}, single...)
	for _, c := range single {
		sets = append(sets, without(c))
	}
	return sets
}

// without returns all capabilities but c.
func without(c backend.Capabilities) backend.Capabilities {
	return mem.NewWith(mem.Options{Without: c}).Info().Capabilities
}

func TestMemWithoutCapabilities(t *testing.T) {
	for i, c := range capabilities() {
		encoding := []string{mem.EncodingFlat, mem.EncodingOCIManifest}[i%2]
		t.Run(fmt.Sprintf("%s without %+v", encoding, c), func(t *testing.T) {
			h := harness(mem.Options{Without: c, Encoding: encoding, MaxDocumentSize: 1 << 20})
			h.Rounds = 5
			backendtest.Run(t, h)
		})
	}
}
