// Package azuretest is Azure's blob service in this process, for tests: one
// account with containers and block blobs in memory. It is strict: it checks
// signatures of keys and SAS, the permissions of the latter, conditions, block
// lists, checksums and ranges, and answers with the service's own codes.
//
// Source: learn.microsoft.com/rest/api/storageservices, "Blob service REST API",
// and, for what it leaves open, the answers of Azurite 3.37.
package azuretest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/larder-build/larder/internal/testserver"
)

// The one account of a server: that of Azurite, whose key its documentation
// publishes.
const (
	Account = "devstoreaccount1"
	Key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Options chooses how the service behaves. The zero value is the service as it
// is documented.
type Options struct {
	// TLS serves HTTPS with a certificate of its own; see Server.Client. Tokens are
	// accepted over TLS alone.
	TLS bool
	// Tokens are the bearer tokens that are accepted.
	Tokens []string
	// Containers exist from the start.
	Containers []string
	// PageSize is the longest page of a listing; 0 means 5000.
	PageSize int
	// EmptyPages lists nothing in every other page, as the service may when a
	// listing crosses partitions.
	EmptyPages bool
	// Hierarchical has a hierarchical namespace: directories are listed, and are
	// found as empty blobs.
	Hierarchical bool
	// PublicAccess and Immutable are what the properties of containers say.
	PublicAccess, Immutable bool
	// NoKeys refuses account keys, as an account with
	// allowSharedKeyAccess=false.
	NoKeys bool
	// MaxBlocks is how many blocks a blob may have; 0 means 50,000.
	MaxBlocks int
	// Latency passes before each request is looked at.
	Latency time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server is a running service. Its methods may be called at any time from many
// goroutines.
type Server struct {
	*testserver.Log[Request, string]

	// URL is the account's, "http://127.0.0.1:port/devstoreaccount1".
	URL string
	// Host is the address, "127.0.0.1:port".
	Host string
	// After, unless nil, is called when a request has been done, before it is
	// answered. It is set while nothing is asked.
	After func(op string)

	options Options
	front   *httptest.Server
	life    testserver.Life

	mu         sync.Mutex // guards all below
	containers map[string]*container
	serial     int
}

// Request is a request that the service has got.
type Request struct {
	// Op is the operation in the words of its documentation: "Put Blob".
	Op string
	// Container and Blob are what it is about.
	Container, Blob string
	// Status is that of the answer, and Code the error's; "" is none.
	Status int
	Code   string
	// Received is the number of bytes of the body.
	Received int64
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
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		Log:     testserver.NewLog(func(r Request) string { return r.Op }),
		options: o, life: testserver.NewLife(), containers: make(map[string]*container),
	}
	for _, name := range o.Containers {
		s.containers[name] = newContainer()
	}
	s.front = testserver.New(http.HandlerFunc(s.serve))
	if o.TLS {
		s.front.StartTLS()
	} else {
		s.front.Start()
	}
	s.Host = s.front.Listener.Addr().String()
	s.URL = s.front.URL + "/" + Account
	return s
}

// Close stops the service and waits for the requests under way.
func (s *Server) Close() {
	s.life.End()
	s.front.Close()
}

// serve notes a request and answers it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.life.Pause(r, s.options.Latency)
	call, f := s.newCall(w, r)
	if f == nil {
		f = s.authorize(call)
	}
	if f == nil {
		f = s.dispatch(call)
	}
	if f != nil {
		// Otherwise net/http closes the connection, and lingers over that.
		_, _ = io.Copy(io.Discard, r.Body) // or the client has gone
		s.note(call, f.Status, f.Code)
		f.write(w, r, call.id, s.options.Now())
	}
}

func (s *Server) dispatch(c *call) *Failure {
	handlers := map[string]func(*call) *Failure{
		opCreateContainer: s.createContainer,
		opContainerProps:  s.containerProperties,
		opDeleteContainer: s.deleteContainer,
		opAccountInfo:     s.accountInfo,
		opListBlobs:       s.listBlobs,
		opPutBlob:         s.putBlob,
		opGetBlob:         s.getBlob,
		opBlobProps:       s.getBlob,
		opDeleteBlob:      s.deleteBlob,
		opSetMetadata:     s.setMetadata,
		opPutBlock:        s.putBlock,
		opPutBlockList:    s.putBlockList,
		opGetBlockList:    s.getBlockList,
	}
	handle, ok := handlers[c.op]
	if !ok {
		return fail(http.StatusBadRequest, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")
	}
	return handle(c)
}

// note records how a request was answered.
func (s *Server) note(c *call, status int, code string) {
	s.Note(Request{Op: c.op, Container: c.container, Blob: c.blob, Status: status, Code: code, Received: c.received})
}

// SetTokens replaces the tokens that are accepted, as when they expire.
func (s *Server) SetTokens(tokens ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Tokens = tokens
}

// Client returns a client that trusts the service's certificate.
func (s *Server) Client() *http.Client { return s.front.Client() }
