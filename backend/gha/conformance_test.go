package gha_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/ghaserver"
)

// cacheVersion is BuildKit's, and ours.
const cacheVersion = "693bb7016429d80366022f036f84856888c9f13e00145f5f6f4dce303a38d6f2"

const (
	mainRef    = "refs/heads/main"
	featureRef = "refs/heads/feature"
)

// writer is the scope of a run on the main branch.
var writer = ghaserver.Scope{Ref: mainRef, Permission: ghaserver.Read | ghaserver.Write}

// open returns a backend for a service, with a token of these scopes.
func open(tb testing.TB, s *ghaserver.Server, change func(*gha.Options), scopes ...ghaserver.Scope) *gha.Backend {
	tb.Helper()
	opts := gha.Options{URL: s.URL, Token: s.Token(scopes...), BlockSize: 100_000, Budget: &gha.Budget{Creations: 1 << 30}}
	if change != nil {
		change(&opts)
	}
	b, err := gha.Open(tb.Context(), opts)
	if err != nil {
		tb.Fatalf("Open() = %v, want a backend", err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

// servers are the services of the backends that a suite has opened.
type servers struct {
	mu sync.Mutex
	of map[backend.Backend]*ghaserver.Server
}

func (s *servers) get(b backend.Backend) *ghaserver.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[b]
}

func (s *servers) open(tb testing.TB, server *ghaserver.Server, change func(*gha.Options)) backend.Backend {
	tb.Helper()
	b := open(tb, server, change, writer)
	gha.PackAll(b) // if it packs any
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[b] = server
	return b
}

// conform runs the suite over services of a kind, in a version of the protocol.
func conform(t *testing.T, o ghaserver.Options, version int, change ...func(*ghaserver.Server, *gha.Options)) {
	t.Helper()
	speak := func(s *ghaserver.Server) func(*gha.Options) {
		return func(opts *gha.Options) {
			opts.Version = version
			for _, change := range change {
				change(s, opts)
			}
		}
	}
	var largest int64
	var skip map[string]string
	if !thorough() && (version == 1 || o.Quirks != (ghaserver.Quirks{}) || o.Contents != nil || len(change) > 0) {
		// Documents of 64 MiB are no other matter there, and take most of the time.
		largest = 1 << 20
		skip = map[string]string{"document/beyond the limit is too large": "refused before the service is asked, whatever that is like"}
	}
	all := &servers{of: map[backend.Backend]*ghaserver.Server{}}
	backendtest.Run(t, backendtest.Harness{
		New: func(tb testing.TB) backend.Backend {
			tb.Helper()
			s := ghaserver.New(tb, o)
			return all.open(tb, s, speak(s))
		},
		Reopen: func(tb testing.TB, b backend.Backend) backend.Backend {
			tb.Helper()
			all.get(b).Settle()
			return all.open(tb, all.get(b), speak(all.get(b)))
		},
		Plant: func(tb testing.TB, b backend.Backend, d blob.Digest, data []byte) {
			tb.Helper()
			all.get(b).Plant(mainRef, "buildkit-blob-1-"+d.String(), cacheVersion, data)
		},
		Refuses:     func(name string) bool { return strings.Contains(name, "#") },
		PartSize:    800_000, // eight blocks, beyond which there are any
		Rounds:      2,
		MaxDocument: largest, Skip: skip,
	})
}

// TestConformance has the service be strict, and like others: with all of their
// quirks at a time, or with each by itself if there is time.
func TestConformance(t *testing.T) {
	quirks := ghaserver.MixedQuirks()
	if thorough() {
		quirks = ghaserver.AllQuirks()
	}
	for _, q := range quirks {
		t.Run(q.Name, func(t *testing.T) {
			var o ghaserver.Options
			q.Set(&o)
			for _, version := range []int{1, 2} {
				t.Run(fmt.Sprint("version ", version), func(t *testing.T) { conform(t, o, version) })
			}
		})
	}
}

// versions are those of the protocol, or one of them if there is no time for both.
func versions(one int) []int {
	if thorough() {
		return []int{1, 2}
	}
	return []int{one}
}

// thorough reports whether there is time for what takes long.
func thorough() bool { return os.Getenv("LARDER_SOAK") == "full" }

// withREST lets a backend use the REST API.
func withREST(s *ghaserver.Server, o *gha.Options) {
	o.API, o.Repository, o.APIToken = s.URL, ghaserver.Repository, s.RESTToken(ghaserver.Read|ghaserver.Write)
}

func TestConformanceWithREST(t *testing.T) {
	for _, version := range versions(2) {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) { conform(t, ghaserver.Options{}, version, withREST) })
	}
	t.Run("packs", func(t *testing.T) { conform(t, ghaserver.Options{}, 2, withREST, packing) })
}

// packing has blobs lie together.
func packing(_ *ghaserver.Server, o *gha.Options) { o.Pack = 1 << 20 }

// TestConformanceWithPacks has even single blobs lie in packs.
func TestConformanceWithPacks(t *testing.T) {
	for _, version := range versions(1) {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			conform(t, ghaserver.Options{}, version, packing)
		})
	}
}
