// Package s3test is a store that speaks the protocol of Amazon S3 in this
// process, for tests: buckets with objects in memory. It is strict: it checks
// signatures, payload hashes, conditions and parts as AWS does, and answers in
// AWS's words. Switches make it a store that looks like S3 and keeps fewer of
// its promises.
package s3test

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/larder-build/larder/internal/testserver"
)

// The keys that a server knows if Options has none.
const (
	AccessKey = "AKIAS3TESTEXAMPLE"
	SecretKey = "s3test/secret+key"
)

// Region is where a server is if Options has none.
const Region = "us-east-1"

// Options change what a server is. The zero value behaves as AWS does.
type Options struct {
	// Buckets are there from the beginning.
	Buckets []string
	// Keys are the secrets by access key; nil means AccessKey and SecretKey.
	Keys map[string]string
	// Check, unless nil, is asked about each signed request, and returns the
	// code of an error, such as ExpiredToken, or "".
	Check func(accessKey, sessionToken string) string
	// Anonymous allows requests that are not signed.
	Anonymous bool
	// Region is where the buckets are; "" means Region.
	Region string
	// PageSize is how many objects are listed at once; 0 means 1000.
	PageSize int
	// MinPart is the least size in bytes of a part but the last; 0 means 5 MiB.
	MinPart int64
	// Deny, unless nil, says which operations of the caller are forbidden, by
	// their names in S3's API.
	Deny func(op string) bool
	// Lifecycle is the document of lifecycle rules; "" means that there are none.
	Lifecycle string
	// Versioning is the state of versioning: "", "Enabled" or "Suspended".
	Versioning string
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	// TLS serves HTTPS, with a certificate of its own.
	TLS bool

	Quirks
}

// Quirks are promises of S3 that other stores break.
type Quirks struct {
	// IgnoreConditions writes whatever the condition, as rclone does.
	IgnoreConditions bool
	// IgnoreConditionalDelete deletes whatever the condition, as MinIO does.
	IgnoreConditionalDelete bool
	// RefuseConditions answers writes on a condition with NotImplemented.
	RefuseConditions bool
	// NoBatchDelete knows no DeleteObjects, as Google did not for long.
	NoBatchDelete bool
	// UnsignedEncoding changes Accept-Encoding before it checks the signature,
	// as Google does.
	UnsignedEncoding bool
	// EqualParts wants parts of one size, as R2 does.
	EqualParts bool
	// StaleTouch leaves the age of an object that is copied onto itself, as
	// versitygw does.
	StaleTouch bool
	// IgnorePayloadHash takes any payload, as moto does.
	IgnorePayloadHash bool
}

// Server is a running store.
type Server struct {
	// URL is where it is, and Host the same without the scheme.
	URL, Host string

	options Options
	server  *httptest.Server

	mu       sync.Mutex
	buckets  map[string]map[string]object
	uploads  map[string]*upload
	requests []string
	next     int // numbers requests and uploads
}

// object is what is stored under a key. It is not changed but replaced.
type object struct {
	data     []byte
	etag     string
	header   http.Header // of its metadata
	modified time.Time
}

// New returns a server that runs until the test ends.
func New(tb testserver.TB, o Options) *Server {
	tb.Helper()
	s := newServer(o)
	s.server = testserver.New(s)
	if o.TLS {
		s.server.StartTLS()
	} else {
		s.server.Start()
	}
	_, s.Host, _ = strings.Cut(s.server.URL, "://")
	s.URL = s.server.URL
	tb.Cleanup(s.server.Close)
	return s
}

func newServer(o Options) *Server {
	if o.Keys == nil {
		o.Keys = map[string]string{AccessKey: SecretKey}
	}
	if o.Region == "" {
		o.Region = Region
	}
	if o.PageSize == 0 {
		o.PageSize = 1000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{options: o, buckets: map[string]map[string]object{}, uploads: map[string]*upload{}}
	for _, name := range o.Buckets {
		s.buckets[name] = map[string]object{}
	}
	return s
}

// Certificate returns the certificate of a server with TLS.
func (s *Server) Certificate() *x509.Certificate { return s.server.Certificate() }

// Close ends the server before the test does.
func (s *Server) Close() { s.server.Close() }

// Requests returns the operations that were asked for since the last call, by
// their names in S3's API.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

// AddBucket creates a bucket.
func (s *Server) AddBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[name] = map[string]object{}
}

// Set stores an object, as another client does.
func (s *Server) Set(bucket, key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[bucket][key] = s.newObject(slices.Clone(data), http.Header{})
}

// SetAge sets how long ago an object was written.
func (s *Server) SetAge(bucket, key string, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.buckets[bucket][key]
	o.modified = s.options.Now().Add(-age)
	s.buckets[bucket][key] = o
}

// Object returns the content of an object with its metadata.
func (s *Server) Object(bucket, key string) (data []byte, header http.Header, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.buckets[bucket][key]
	return slices.Clone(o.data), o.header.Clone(), ok
}

// Keys returns the keys of the objects in a bucket in order.
func (s *Server) Keys(bucket string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.buckets[bucket]))
}

// Uploads returns how many multipart uploads are open.
func (s *Server) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}

// newObject returns an object as it is stored now. The caller holds the lock.
func (s *Server) newObject(data []byte, header http.Header) object {
	return object{data: data, etag: etagOf(data), header: header, modified: s.options.Now()}
}

// requestID returns a name for a request.
func (s *Server) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return fmt.Sprintf("S3TEST%010d", s.next)
}
