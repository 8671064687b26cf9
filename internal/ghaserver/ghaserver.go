// Package ghaserver is the cache service of GitHub Actions in this process, for
// tests: strict, in memory, and with the limits of the service and the quirks of
// other implementations behind switches.
//
// It speaks both versions of the protocol. The second is github.com's: three
// Twirp methods with JSON bodies, and block blobs at signed URLs. The first is
// that of GitHub Enterprise Server, act, Gitea and Forgejo: REST, with content
// in chunks. GitHub documents neither; what is followed is what its client does
// (github.com/actions/toolkit, packages/cache), what BuildKit's does
// (github.com/tonistiigi/go-actions-cache), and what has been observed of the
// service. The REST API for entries is beside it, for one repository.
package ghaserver

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/larder-build/larder/internal/testserver"
)

// Server is a running service. Its methods may be called at any time from many
// goroutines.
type Server struct {
	*testserver.Log[Request, string]

	// URL is what runners have in ACTIONS_RESULTS_URL and, with a slash at the
	// end, in ACTIONS_CACHE_URL.
	URL string

	options Options
	key     []byte // signs tokens and URLs
	http    *httptest.Server
	life    testserver.Life

	mu            sync.Mutex // guards all below
	entries       map[identity]*entry
	blobs         map[string]*entry // by path
	serial        int64
	finalizations int
	windowBegan   time.Time
	windowCount   int
	restBegan     time.Time
	restCount     int
}

// Request is a request that the service has received.
type Request struct {
	// Op is "create", "finalize", "lookup" or, in the first version, "list"; "put",
	// "put block" (a chunk too), "put block list", "get", "head", "rest get" or
	// "rest delete" of the REST API, or "unknown".
	Op     string
	Path   string
	Header http.Header
}

// New starts a service that ends with the test.
func New(tb testserver.TB, o Options) *Server {
	tb.Helper()
	s := Start(o)
	tb.Cleanup(s.Close)
	return s
}

// Start starts a service. The caller closes it.
func Start(o Options) *Server {
	s := newServer(o)
	s.http = testserver.New(http.HandlerFunc(s.serve))
	s.http.Start()
	s.URL = s.http.URL
	return s
}

func newServer(o Options) *Server {
	return &Server{
		Log:     testserver.NewLog(func(r Request) string { return r.Op }),
		options: o.withDefaults(), key: []byte(rand.Text()), life: testserver.NewLife(),
		entries: map[identity]*entry{}, blobs: map[string]*entry{},
	}
}

// Close stops the service and waits for the requests under way.
func (s *Server) Close() {
	s.life.End()
	if s.http != nil {
		s.http.Close()
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.Note(Request{Op: opOf(r), Path: r.URL.Path, Header: r.Header.Clone()})
	s.life.Pause(r, s.options.Latency)
	switch {
	case s.options.Intercept != nil && s.options.Intercept(w, r):
		drain(r)
	case strings.HasPrefix(r.URL.Path, blobsPath):
		s.serveBlob(w, r)
	case strings.HasPrefix(r.URL.Path, artifactPath):
		s.serveArtifacts(w, r)
	case strings.HasPrefix(r.URL.Path, restPath):
		s.serveREST(w, r)
	default:
		s.serveTwirp(w, r)
	}
}

// opOf names a request.
func opOf(r *http.Request) string {
	op, ok := map[string]string{
		"CreateCacheEntry": "create", "FinalizeCacheEntryUpload": "finalize", "GetCacheEntryDownloadURL": "lookup",
	}[strings.TrimPrefix(r.URL.Path, servicePath)]
	switch {
	case ok:
		return op
	case strings.HasPrefix(r.URL.Path, artifactPath):
		return artifactOpOf(r)
	case strings.HasPrefix(r.URL.Path, restPath):
		return "rest " + strings.ToLower(r.Method)
	case !strings.HasPrefix(r.URL.Path, blobsPath):
		return "unknown"
	}
	switch r.URL.Query().Get("comp") {
	case "block":
		return "put block"
	case "blocklist":
		return "put block list"
	default:
		return strings.ToLower(r.Method)
	}
}

// artifactOpOf names a request of the first version.
func artifactOpOf(r *http.Request) string {
	switch path := strings.TrimPrefix(r.URL.Path, artifactPath); {
	case path == "cache":
		return "lookup"
	case path == "caches" && r.Method == http.MethodPost:
		return "create"
	case path == "caches":
		return "list"
	case r.Method == http.MethodPatch:
		return "put block"
	default:
		return "finalize"
	}
}

// drain reads what a request that was refused still has to say, so that its
// connection can be used again.
func drain(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // or the client has gone
}
