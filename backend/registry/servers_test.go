package registry_test

import (
	"os"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/registry"
)

// TestConformanceOfServers runs the suite over the registries of the testbed:
// see internal/testbed.
func TestConformanceOfServers(t *testing.T) {
	writer := login("writer", "testbed")
	for _, server := range []struct {
		variable string
		opts     registry.Options
	}{
		{"LARDER_TEST_REGISTRY", registry.Options{}},
		{"LARDER_TEST_REGISTRY_HTPASSWD", registry.Options{Keychain: writer}},
		{"LARDER_TEST_REGISTRY_TOKEN", registry.Options{Keychain: writer}},
		// Version 2.8 deletes no tags, and who deletes blobs there has to
		// declare both.
		{"LARDER_TEST_REGISTRY_DEBIAN", registry.Options{NoDelete: true}},
	} {
		t.Run(server.variable, func(t *testing.T) {
			host := os.Getenv(server.variable)
			if host == "" {
				if os.Getenv("LARDER_TEST_REQUIRE") == "1" {
					t.Fatalf("%s is not set, and LARDER_TEST_REQUIRE asks for every server", server.variable)
				}
				t.Skipf("%s is not set: run the tests by go run ./internal/testbed", server.variable)
			}
			t.Run("whole", func(t *testing.T) { conform(t, host, server.opts, nil) })
			t.Run("in chunks", func(t *testing.T) {
				opts := server.opts
				opts.ChunkSize = 100_000
				conform(t, host, opts, func(h *backendtest.Harness) { h.PartSize = int(opts.ChunkSize) })
			})
		})
	}
}

// TestMountOnServers shows that the reference registry mounts.
func TestMountOnServers(t *testing.T) {
	for variable, opts := range map[string]registry.Options{
		"LARDER_TEST_REGISTRY":       {},
		"LARDER_TEST_REGISTRY_TOKEN": {Keychain: login("writer", "testbed")},
	} {
		host := os.Getenv(variable)
		if host == "" {
			t.Logf("%s is not set", variable)
			continue
		}
		from, to := open(t, newRepository(host), opts), open(t, newRepository(host), opts)
		d := put(t, from, content(1, 1000))
		copier, ok := backend.As[backend.Copier](to)
		if !ok {
			t.Fatal("the backend is no Copier")
		}
		if err := copier.CopyFrom(t.Context(), from, d); err != nil {
			t.Errorf("%s: CopyFrom() = %v, want nil", variable, err)
		}
		if found, err := to.Stat(t.Context(), d.Digest); err != nil || len(found) != 1 {
			t.Errorf("%s: Stat() after CopyFrom = %v, %v, want the blob", variable, found, err)
		}
	}
}
