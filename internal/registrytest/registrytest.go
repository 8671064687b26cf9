// Package registrytest is an OCI registry in this process, for tests: as strict
// as CNCF distribution 3, in memory, with the quirks of other registries behind
// switches, and with faults on demand.
//
// The protocol is that of github.com/opencontainers/distribution-spec; where it
// leaves a choice, and for the status and text of errors, distribution 3 is
// followed.
package registrytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/internal/faultproxy"
	"github.com/larder-build/larder/internal/strikes"
	"github.com/larder-build/larder/internal/testserver"
)

// Server is a running registry. Its methods may be called at any time from many
// goroutines.
type Server struct {
	*testserver.Log[Request, Op]

	// Host is the address, "127.0.0.1:port".
	Host string
	// URL is the same with its scheme: "http://127.0.0.1:port", or https with
	// Options.TLS.
	URL string

	options Options
	front   *httptest.Server // the registry
	storage *httptest.Server // another host, where RedirectBlobs leads to
	life    testserver.Life

	mu     sync.Mutex // guards all below, except what is in an upload
	repos  map[string]*repository
	faults strikes.List[Fault]
	tokens map[string]*token
	window window
	pulls  int
	serial int
}

// New starts a registry that ends with the test.
func New(tb testserver.TB, o Options) *Server {
	tb.Helper()
	s := Start(o)
	tb.Cleanup(s.Close)
	return s
}

// Start starts a registry. The caller closes it.
func Start(o Options) *Server {
	s := &Server{
		Log:     testserver.NewLog(func(r Request) Op { return r.Op }),
		options: o, life: testserver.NewLife(), repos: make(map[string]*repository), tokens: make(map[string]*token),
	}
	for _, name := range o.Repositories {
		s.repos[name] = newRepository()
	}
	s.front = newHTTP(s.serveRegistry)
	if o.TLS {
		s.front.StartTLS()
	} else {
		s.front.Start()
	}
	s.Host, s.URL = s.front.Listener.Addr().String(), s.front.URL
	if o.RedirectBlobs {
		s.storage = newHTTP(s.serveStorage)
		s.storage.Start()
	}
	return s
}

func newHTTP(serve http.HandlerFunc) *httptest.Server {
	h := testserver.New(serve)
	h.Config.ConnContext = faultproxy.ConnContext
	return h
}

// Close stops the registry and waits for the requests under way, except those
// that a fault holds up, which it ends.
func (s *Server) Close() {
	s.life.End()
	s.front.Close()
	if s.storage != nil {
		s.storage.Close()
	}
}

// CA returns the certificate to trust for Options.TLS, in PEM.
func (s *Server) CA() []byte {
	if s.front.Certificate() == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.front.Certificate().Raw})
}

// Everywhere returns a transport that finds the registry at every host, so that
// it can stand for one that is known by its name. The server must have
// Options.TLS. The caller closes idle connections.
func (s *Server) Everywhere() *http.Transport {
	pool := x509.NewCertPool()
	pool.AddCert(s.front.Certificate())
	host, _, _ := strings.Cut(s.Host, ":")
	dialer := net.Dialer{}
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: host},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, s.Host)
		},
	}
}

// serveRegistry answers one request: it notes it, lets a fault intervene, and
// then plays the registry.
func (s *Server) serveRegistry(w http.ResponseWriter, r *http.Request) {
	route := parseRoute(r)
	s.serve(w, r, route, func(w http.ResponseWriter, r *http.Request) {
		if f := s.answer(w, r, route); f != nil {
			drain(r)
			f.write(w)
		}
	})
}

// drain reads what a failed request still has to say. Otherwise net/http closes
// its connection, and lingers over that: tests that look for goroutines which
// were left behind would find those of the server. Clients that ask before they
// send are answered before they do.
func drain(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.Copy(io.Discard, r.Body) // or the client has gone
	}
}

// gone ends a request whose client went away in its middle, without lingering.
func gone() { panic(http.ErrAbortHandler) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request, route route, do http.HandlerFunc) {
	entry, fault := s.note(r, route)
	noted := &notedWriter{ResponseWriter: w, log: s.Log, entry: entry}
	body := &notedBody{ReadCloser: r.Body, log: s.Log, entry: entry}
	r.Body = body
	s.life.Pause(r, s.options.Latency)
	fault.around(s.life.Over(), noted, r, do)
	noted.note(http.StatusOK, 0) // what net/http answers for a handler that only set headers
}

// note records a request and finds the fault that strikes it.
func (s *Server) note(r *http.Request, route route) (*Request, *Fault) {
	entry := Request{
		Op: route.op, Method: r.Method, Path: r.URL.Path,
		Query: r.URL.Query(), Header: r.Header.Clone(), Repository: route.repo, Reference: route.ref,
	}
	return s.Note(entry), s.strike(entry)
}

// answer answers a request, or returns the failure to answer it with.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, route route) *Failure {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if f := s.limit(); f != nil {
		return f
	}
	if n := s.options.MaxBody; n > 0 && r.ContentLength > n {
		// The proxy in front answers, in its own words.
		return &Failure{Status: http.StatusRequestEntityTooLarge}
	}
	if route.op == OpToken {
		return s.issueToken(w, r)
	}
	if f := s.authorize(w, r, route); f != nil {
		return f
	}
	if f := route.check(); f != nil {
		return f
	}
	return s.dispatch(w, r, route)
}

func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, route route) *Failure {
	switch route.op {
	case OpPing:
		return writeJSON(w, struct{}{})
	case OpCatalog:
		return s.catalog(w, r)
	case OpTags:
		return s.listTags(w, r, route)
	case OpManifestGet, OpManifestHead:
		return s.getManifest(w, r, route)
	case OpManifestPut:
		return s.putManifest(w, r, route)
	case OpManifestDelete:
		return s.deleteManifest(w, route)
	case OpBlobGet, OpBlobHead:
		return s.getBlob(w, r, route)
	case OpBlobDelete:
		return s.deleteBlob(w, route)
	case OpUploadStart, OpMount:
		return s.startUpload(w, r, route)
	case OpUploadStatus, OpUploadChunk, OpUploadFinish, OpUploadCancel:
		return s.continueUpload(w, r, route)
	default:
		return &Failure{Status: http.StatusNotFound, Code: "UNSUPPORTED", Message: "404 page not found"}
	}
}

// PutBlob puts a blob into a repository, which it creates.
func (s *Server) PutBlob(repo string, data []byte) digest.Digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := digest.FromBytes(data)
	s.repo(repo).blobs[d] = slices.Clone(data)
	return d
}

// PutManifest puts a manifest into a repository, which it creates, and tags it
// unless tag is "". Nothing is checked.
func (s *Server) PutManifest(repo, tag, mediaType string, data []byte) digest.Digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := digest.FromBytes(data)
	r := s.repo(repo)
	r.manifests[d] = manifest{mediaType: mediaType, data: slices.Clone(data)}
	if tag != "" {
		r.tag(tag, d)
	}
	return d
}

// Blob returns the content of a blob, or false.
func (s *Server) Blob(repo string, d digest.Digest) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.repos[repo]
	if !ok {
		return nil, false
	}
	data, ok := r.blobs[d]
	return slices.Clone(data), ok
}

// Blobs returns the digests of a repository's blobs, sorted.
func (s *Server) Blobs(repo string) []digest.Digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.repos[repo]
	if !ok {
		return nil
	}
	return sortedKeys(r.blobs)
}

// Manifest returns the media type and content of the manifest with a tag or
// digest, or an error.
func (s *Server) Manifest(repo, ref string) (mediaType string, data []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.repos[repo]
	if !ok {
		return "", nil, fmt.Errorf("no repository %q", repo)
	}
	m, _, ok := r.resolve(ref)
	if !ok {
		return "", nil, fmt.Errorf("no manifest %q in repository %q", ref, repo)
	}
	return m.mediaType, slices.Clone(m.data), nil
}

// Tags returns the tags of a repository, sorted.
func (s *Server) Tags(repo string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.repos[repo]
	if !ok {
		return nil
	}
	return sortedKeys(r.tags)
}

// Uploads returns how many uploads are open in a repository.
func (s *Server) Uploads(repo string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.repos[repo]
	if !ok {
		return 0
	}
	return len(r.uploads)
}

// DropBlob removes a blob from under the manifests that name it, as Google's
// registry was seen to do (buildpacks/lifecycle#1044).
func (s *Server) DropBlob(repo string, d digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.repo(repo).blobs, d)
}

// DamageBlob puts other content in the place of a blob.
func (s *Server) DamageBlob(repo string, d digest.Digest, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(repo).blobs[d] = slices.Clone(data)
}

// RevokeTokens makes all tokens that were issued invalid, as when they expire.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// origin is the registry as the client has called it, as distribution has it:
// before it there may be a proxy.
func (s *Server) origin(r *http.Request) string {
	scheme, _, _ := strings.Cut(s.URL, ":")
	return scheme + "://" + r.Host
}

// absolute returns the URL of a path on the registry.
func (s *Server) absolute(r *http.Request, path string) string {
	if s.options.RelativeLocations {
		return path
	}
	return s.origin(r) + path
}
