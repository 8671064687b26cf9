package registry_test

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/registrytest"
)

// serial numbers repositories, so that each case has one of its own.
var serial atomic.Int64

func newRepository(host string) string {
	return fmt.Sprintf("%s/test/r%d", host, serial.Add(1))
}

// open opens a repository that is closed with the test.
func open(tb testing.TB, repository string, opts registry.Options) *registry.Backend {
	tb.Helper()
	if opts.Keychain == nil {
		opts.Keychain = authn.NewMultiKeychain()
	}
	b, err := registry.Open(tb.Context(), repository, opts)
	if err != nil {
		tb.Fatalf("Open(%s) = %v, want a backend", repository, err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

// refuses reports which names are no tags.
func refuses(name string) bool {
	for i, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
		case (r == '.' || r == '-') && i > 0:
		default:
			return true
		}
	}
	return len(name) > 128
}

// conform runs the suite over new repositories of a registry.
func conform(t *testing.T, host string, opts registry.Options, changes ...func(*backendtest.Harness)) {
	t.Helper()
	h := backendtest.Harness{
		New: func(tb testing.TB) backend.Backend {
			tb.Helper()
			return open(tb, newRepository(host), opts)
		},
		Reopen: func(tb testing.TB, b backend.Backend) backend.Backend {
			tb.Helper()
			return open(tb, repositoryOf(tb, b), opts)
		},
		Refuses: refuses,
		Rounds:  5,
	}
	for _, change := range changes {
		change(&h)
	}
	backendtest.Run(t, h)
}

func TestConformance(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	conform(t, s.Host, registry.Options{}, func(h *backendtest.Harness) {
		h.Plant = func(tb testing.TB, b backend.Backend, d blob.Digest, data []byte) {
			tb.Helper()
			s.DamageBlob(strings.TrimPrefix(repositoryOf(tb, b), s.Host+"/"), d, data)
		}
	})
}

// repositoryOf returns the name of a backend's repository, with its host.
func repositoryOf(tb testing.TB, b backend.Backend) string {
	tb.Helper()
	r, ok := backend.As[*registry.Backend](b)
	if !ok {
		tb.Fatalf("backend is a %T, want one of this package", b)
	}
	return r.Repository()
}

// TestConformanceWithoutDeletion runs it over a registry that deletes nothing,
// declared as such.
func TestConformanceWithoutDeletion(t *testing.T) {
	options := registrytest.Options{Manifests: registrytest.Manifests{NoDelete: true}}
	s := registrytest.New(t, options)
	conform(t, s.Host, optionsFor(s, options), lightly)
}

// registries are kinds of registry, which have among them every quirk: those of
// one do not meet in any request.
func registries() [][]string {
	return [][]string{
		{"tls", "relative locations", "small pages", "no digest header"},
		{"no mount", "ignore range", "any children"},
		{"harbor mount error", "single post", "unsorted tags", "basic auth"},
		{"monolithic only", "redirect blobs", "token auth"},
		{"acr no resume", "short tokens"},
		{"out of order chunks", "strict"},
	}
}

// with returns a registry with these quirks.
func with(t *testing.T, names []string) registrytest.Options {
	t.Helper()
	var o registrytest.Options
	set := 0
	for _, q := range registrytest.Quirks() {
		if slices.Contains(names, q.Name) {
			q.Set(&o)
			set++
		}
	}
	if set != len(names) {
		t.Fatalf("%d of the quirks %q exist, want all", set, names)
	}
	return o
}

// lightly leaves out what does not depend on quirks and takes long.
func lightly(h *backendtest.Harness) {
	h.Rounds, h.MaxDocument = 2, 64<<10
	h.Skip = map[string]string{
		"stat/takes any number of digests":   "TestConformance runs it",
		"delete/takes any number of digests": "TestConformance runs it",
	}
}

// TestConformanceOfQuirks runs the suite over every quirk.
func TestConformanceOfQuirks(t *testing.T) {
	for _, quirk := range registrytest.Quirks() {
		if !slices.ContainsFunc(registries(), func(names []string) bool { return slices.Contains(names, quirk.Name) }) {
			t.Errorf("no registry has the quirk %q", quirk.Name)
		}
	}
	for _, names := range registries() {
		t.Run(strings.Join(names, ", "), func(t *testing.T) {
			o := with(t, names)
			s := registrytest.New(t, o)
			conform(t, s.Host, optionsFor(s, o), lightly)
		})
	}
}

// TestConformanceInChunks runs it over those whose uploads differ.
func TestConformanceInChunks(t *testing.T) {
	for _, names := range [][]string{{"acr no resume", "relative locations"}, {"out of order chunks", "short tokens"}} {
		t.Run(strings.Join(names, ", "), func(t *testing.T) {
			o := with(t, names)
			s := registrytest.New(t, o)
			opts := optionsFor(s, o)
			opts.ChunkSize = 100_000
			conform(t, s.Host, opts, lightly, inChunks(opts.ChunkSize))
		})
	}
}

func inChunks(size int64) func(*backendtest.Harness) {
	return func(h *backendtest.Harness) { h.PartSize = int(size) }
}

// optionsFor returns what it takes to talk to a registry.
func optionsFor(s *registrytest.Server, o registrytest.Options) registry.Options {
	opts := registry.Options{NoDelete: o.NoDelete}
	if pem := s.CA(); pem != nil {
		opts.RootCAs = x509.NewCertPool()
		opts.RootCAs.AppendCertsFromPEM(pem)
	}
	if o.Auth != nil {
		// 64 requests at a time use a token of three uses up before anyone's
		// turn comes.
		o.Auth.TokenUses *= 100
		opts.Keychain = login("writer", "secret")
	}
	return opts
}

// login is a keychain with one user for everything.
func login(name, password string) authn.Keychain {
	return keychain{&authn.Basic{Username: name, Password: password}}
}

type keychain struct{ authn.Authenticator }

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) { return k.Authenticator, nil }
