package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/internal/testserver"
)

// TestConformanceOfServers runs the suite over the registries of the testbed:
// see internal/testbed. The first runs all of it.
func TestConformanceOfServers(t *testing.T) {
	writer := login("writer", "testbed")
	for _, server := range []struct {
		variable string
		opts     registry.Options
		changes  []func(*backendtest.Harness)
	}{
		{"LARDER_TEST_REGISTRY", registry.Options{}, nil},
		{"LARDER_TEST_REGISTRY", registry.Options{ChunkSize: 100_000}, changes(lightly, inChunks(100_000))},
		{"LARDER_TEST_REGISTRY_HTPASSWD", registry.Options{Keychain: writer}, changes(lightly)},
		{"LARDER_TEST_REGISTRY_TOKEN", registry.Options{Keychain: writer}, changes(lightly)},
		// Version 2.8 deletes no tags, and deletion is declared of both or none.
		{"LARDER_TEST_REGISTRY_DEBIAN", registry.Options{NoDelete: true}, changes(lightly, persistently)},
	} {
		t.Run(server.variable, func(t *testing.T) {
			conform(t, testserver.FromTestbed(t, server.variable), server.opts, server.changes...)
		})
	}
}

func changes(all ...func(*backendtest.Harness)) []func(*backendtest.Harness) { return all }

// persistently adds retries, because version 2.8 answers 500 to who reads a tag
// at the moment in which it is written.
func persistently(h *backendtest.Harness) {
	open, reopen := h.New, h.Reopen
	retrying := func(b backend.Backend) backend.Backend {
		return wrap.Retry(b, wrap.RetryOptions{First: time.Millisecond, Attempts: 20})
	}
	h.New = func(tb testing.TB) backend.Backend { tb.Helper(); return retrying(open(tb)) }
	h.Reopen = func(tb testing.TB, b backend.Backend) backend.Backend { tb.Helper(); return retrying(reopen(tb, b)) }
}

// TestMountOnServers shows that the reference registry mounts.
func TestMountOnServers(t *testing.T) {
	for variable, opts := range map[string]registry.Options{
		"LARDER_TEST_REGISTRY":       {},
		"LARDER_TEST_REGISTRY_TOKEN": {Keychain: login("writer", "testbed")},
	} {
		t.Run(variable, func(t *testing.T) {
			host := testserver.FromTestbed(t, variable)
			from, to := open(t, newRepository(host), opts), open(t, newRepository(host), opts)
			d := put(t, from, content(1, 1000))
			if err := to.CopyFrom(t.Context(), from, d); err != nil {
				t.Errorf("CopyFrom() = %v, want nil", err)
			}
			if found, err := to.Stat(t.Context(), d.Digest); err != nil || len(found) != 1 {
				t.Errorf("Stat() after CopyFrom = %v, %v, want the blob", found, err)
			}
		})
	}
}

// TestMissingBlobOnServers shows that the reference registry says which blob a
// manifest lacks.
func TestMissingBlobOnServers(t *testing.T) {
	b := open(t, newRepository(testserver.FromTestbed(t, "LARDER_TEST_REGISTRY")), registry.Options{})
	config := put(t, b, []byte("{}"))
	absent := describe(content(1, 10))
	doc := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},"layers":[{"mediaType":%q,"digest":%q,"size":10}]}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, config.Digest, layerType, absent.Digest)
	_, err := b.PutRef(t.Context(), "main", backend.Document{MediaType: ocispec.MediaTypeImageManifest, Data: doc}, backend.Always)
	if !errors.Is(err, backend.ErrNotFound) || !strings.Contains(err.Error(), absent.Digest.String()) {
		t.Errorf("PutRef(manifest of a missing blob) = %v, want %v and its digest", err, backend.ErrNotFound)
	}
}

// TestFaultsOfServers is TestFaults over the reference registry. Its tokens come
// from a server of their own, which nothing disturbs.
func TestFaultsOfServers(t *testing.T) {
	host := testserver.FromTestbed(t, "LARDER_TEST_REGISTRY_TOKEN")
	disturbed(t, "http://"+host, registry.Options{Keychain: login("writer", "testbed"), ChunkSize: 3000})
}
