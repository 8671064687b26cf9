package backendtest_test

import (
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

// harness is that of stores in memory with the given options.
func harness(o mem.Options) backendtest.Harness {
	return backendtest.Harness{
		New:    func(testing.TB) backend.Backend { return mem.NewWith(o) },
		Reopen: func(_ testing.TB, b backend.Backend) backend.Backend { return b.(*mem.Backend).Reopen() },
		Plant: func(t testing.TB, b backend.Backend, d blob.Digest, data []byte) {
			t.Helper()
			if err := b.(*mem.Backend).Plant(d, data); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func TestMem(t *testing.T) {
	for _, encoding := range []string{mem.EncodingFlat, mem.EncodingOCIManifest} {
		t.Run(encoding, func(t *testing.T) { backendtest.Run(t, harness(mem.Options{Encoding: encoding})) })
	}
}
