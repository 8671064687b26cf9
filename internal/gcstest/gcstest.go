// Package gcstest is Google Cloud Storage in the process of a test: the JSON
// API as far as caches need it, with the service's generations, preconditions
// and words. Unlike emulators it obeys the condition
// of a deletion, and checks credentials.
package gcstest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/larder-build/larder/internal/testserver"
)

// Options say what a server is like. The zero value is open to everybody.
type Options struct {
	// Buckets are the buckets that there are.
	Buckets []string
	// Token is the access token that requests must have; "" wants none.
	Token string
	// PageSize is how many objects a listing returns at most; 0 means 1000.
	PageSize int
	// Attrs are more fields of the buckets' metadata, in the JSON API's words.
	Attrs map[string]any
	// Before, unless nil, may answer a request in the server's place, and then
	// returns true.
	Before func(w http.ResponseWriter, r *http.Request) bool
}

// Server is a running server.
type Server struct {
	// URL is its address, without a slash at the end.
	URL string

	opts Options
	http *httptest.Server

	mu         sync.Mutex
	objects    map[string]object // by bucket, slash, name
	sessions   map[string]*session
	generation int64
	requests   []string
}

// object is an object with what the service tells of it.
type object struct {
	data       []byte
	generation int64
	created    time.Time
}

// New starts a server, which ends with the test.
func New(tb testserver.TB, opts Options) *Server {
	tb.Helper()
	s := &Server{opts: opts, objects: map[string]object{}, sessions: map[string]*session{}, generation: time.Now().UnixMicro()}
	s.http = httptest.NewServer(s)
	tb.Cleanup(s.http.Close)
	s.URL = s.http.URL
	return s
}

// Transport sends every request to this server, whatever its host: the client
// then believes that it speaks with the service itself. It keeps no connection.
func (s *Server) Transport() http.RoundTripper {
	return &redirect{to: s.http.Listener.Addr().String(), by: &http.Transport{DisableKeepAlives: true}}
}

type redirect struct {
	to string
	by *http.Transport
}

// RoundTrip implements [http.RoundTripper].
func (d *redirect) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", d.to
	return d.by.RoundTrip(r)
}

// Set stores an object as if somebody else had written it.
func (s *Server) Set(bucket, name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(bucket+"/"+name, data)
}

// Age makes an object older.
func (s *Server) Age(bucket, name string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[bucket+"/"+name]
	o.created = o.created.Add(-by)
	s.objects[bucket+"/"+name] = o
}

// Names returns the names of a bucket's objects in order.
func (s *Server) Names(bucket string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names(bucket, "")
}

// Open returns how many uploads in chunks have begun and not ended.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Requests returns the requests so far, "METHOD path", and forgets them.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	if s.opts.Before != nil && s.opts.Before(w, r) {
		return
	}
	if token := s.opts.Token; token != "" && r.Header.Get("Authorization") != "Bearer "+token {
		refuse(w, http.StatusUnauthorized, "authError", "Invalid Credentials")
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	for i := range path {
		path[i], _ = url.PathUnescape(path[i]) // what is malformed is not found
	}
	switch {
	case path[0] == "session":
		s.chunk(w, r, path[1])
	case path[0] == "upload":
		s.upload(w, r, path[4])
	case path[0] != "storage":
		refuse(w, http.StatusNotFound, "notFound", "Not Found")
	case !s.exists(path[3]):
		refuse(w, http.StatusNotFound, "notFound", "The specified bucket does not exist.")
	case len(path) == 4:
		s.bucketAttrs(w, path[3])
	case len(path) == 5:
		s.list(w, r, path[3])
	case len(path) == 6 && r.URL.Query().Get("alt") == "media":
		s.read(w, r, path[3], path[5])
	case len(path) == 6:
		s.metadata(w, r, path[3], path[5])
	default: // o/SOURCE/rewriteTo/b/BUCKET/o/NAME
		s.rewrite(w, path[3]+"/"+path[5], path[8]+"/"+path[10])
	}
}

func (s *Server) exists(bucket string) bool { return slices.Contains(s.opts.Buckets, bucket) }

// refuse answers with an error.
func refuse(w http.ResponseWriter, status int, reason, message string) {
	w.WriteHeader(status)
	answer(w, map[string]any{"error": map[string]any{
		"code": status, "message": message,
		"errors": []map[string]string{{"message": message, "domain": "global", "reason": reason}},
	}})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(v) // a client that has gone needs no answer
}
