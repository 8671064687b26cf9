package local_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/local"
	"github.com/larder-build/larder/blob"
)

// open returns a backend on a directory that is not worth syncing.
func open(tb testing.TB, dir string) *local.Backend {
	tb.Helper()
	return openWith(tb, dir, local.Options{NoSync: true})
}

func openWith(tb testing.TB, dir string, o local.Options) *local.Backend {
	tb.Helper()
	b, err := local.Open(dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Errorf("Close() = %v, want nil", err)
		}
	})
	return b
}

func blobFile(dir string, d blob.Digest) string {
	return filepath.Join(dir, "blobs", "sha256", d.Encoded())
}

func dirOf(tb testing.TB, b backend.Backend) string {
	tb.Helper()
	l, ok := b.(*local.Backend)
	if !ok {
		tb.Fatalf("backend is %T, want *local.Backend", b)
	}
	return l.Dir()
}

func harness(o local.Options) backendtest.Harness {
	return backendtest.Harness{
		New: func(tb testing.TB) backend.Backend {
			tb.Helper()
			return openWith(tb, filepath.Join(tb.TempDir(), "layout"), o)
		},
		Reopen: func(tb testing.TB, b backend.Backend) backend.Backend {
			tb.Helper()
			return openWith(tb, dirOf(tb, b), o)
		},
		Plant: func(tb testing.TB, b backend.Backend, d blob.Digest, data []byte) {
			tb.Helper()
			file := blobFile(dirOf(tb, b), d)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				tb.Fatal(err)
			}
			if err := os.RemoveAll(file); err != nil {
				tb.Fatal(err)
			}
			if err := os.WriteFile(file, data, 0o444); err != nil {
				tb.Fatal(err)
			}
		},
		PartSize: 256 << 10,
	}
}

func TestConformance(t *testing.T) {
	t.Run("synced", func(t *testing.T) { backendtest.Run(t, harness(local.Options{})) })
	t.Run("not synced", func(t *testing.T) { backendtest.Run(t, harness(local.Options{NoSync: true})) })
}

func hexOf(sum []byte) string { return hex.EncodeToString(sum) }
