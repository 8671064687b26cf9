package s3

import (
	"cmp"
	"context"
	"crypto/tls"
	"io/fs"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// store is a bucket as package bucket wants it.
type store struct {
	client   *s3.Client
	bucket   string
	quirks   quirks
	identity identity
	endpoint string // for messages: the host, or "AWS"
	region   string
	keys     bucket.Keys
	http     *traced
	minPart  int64 // bytes

	probing probe
}

var (
	_ bucket.Store    = (*store)(nil)
	_ bucket.Uploader = (*store)(nil)
	_ bucket.Toucher  = (*store)(nil)
)

// bufferSize is that of connections, in bytes: the default of 4 KiB takes
// several times as many system calls.
const bufferSize = 64 << 10

// maxIdle is how many connections are kept for later. Fewer than requests at a
// time would have most of them dial anew.
const maxIdle = 256

func newTransport(o Options) *http.Transport {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConns:        maxIdle,
		MaxIdleConnsPerHost: maxIdle,
		ReadBufferSize:      bufferSize,
		WriteBufferSize:     bufferSize,
		// Content is stored as it is; a transport that unpacks it would break
		// its digest.
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
	}
	if base, ok := http.DefaultTransport.(*http.Transport); ok {
		t.DialContext = base.DialContext
		t.IdleConnTimeout = base.IdleConnTimeout
		t.TLSHandshakeTimeout = base.TLSHandshakeTimeout
	}
	return t
}

func newStore(ctx context.Context, name string, o Options) (*store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &store{bucket: name}
	if err := s.choose(o); err != nil {
		return nil, err
	}
	s.http = &traced{next: o.Transport, idle: func() {}}
	if o.Transport == nil {
		own := newTransport(o)
		s.http.next, s.http.idle = own, own.CloseIdleConnections
	}
	var err error
	if s.identity, err = o.identify(ctx); err != nil {
		return nil, err
	}
	if s.region == "" {
		s.region = s.identity.region
	}
	if s.region == "" {
		return nil, invalidf("attribute region is missing")
	}
	s.client = s.newClient(o)
	return s, nil
}

// choose settles what the store is.
func (s *store) choose(o Options) error {
	if s.bucket == "" {
		return invalidf("attribute bucket is missing")
	}
	name := o.Quirks
	if name == "" {
		name = guessQuirks(o.Endpoint)
	}
	q, ok := quirksOf(name)
	if !ok {
		return invalidf("attribute quirks: %q, want one of %v", name, Quirks())
	}
	if o.NoConditions {
		q.conditions, q.probe, q.deletes = false, false, false
	}
	if o.Endpoint != "" {
		if err := backend.HTTPURL(o.Endpoint); err != nil {
			return invalidf("attribute endpoint_url: %v", err)
		}
		// A store under a name of its own that behaves as AWS is not one whose
		// buckets are hosts.
		q.host = q.host && guessQuirks(o.Endpoint) == "aws"
	}
	if o.PathStyle != nil {
		q.host = !*o.PathStyle
	}
	s.minPart = cmp.Or(o.minPart, minPart)
	if o.PartSize != 0 && o.PartSize < s.minPart {
		return invalidf("part size %d, want at least %d", o.PartSize, s.minPart)
	}
	s.quirks, s.endpoint, s.region = q, endpointName(o.Endpoint), o.Region
	if s.region == "" {
		s.region = regionOf(o.Endpoint)
	}
	if s.region == "" {
		s.region = q.region
	}
	if s.region == "" && guessQuirks(o.Endpoint) != "aws" {
		s.region = "us-east-1" // what stores expect that have no regions
	}
	return nil
}

func (s *store) newClient(o Options) *s3.Client {
	opts := s3.Options{
		Region:       s.region,
		Credentials:  s.identity.provider,
		UsePathStyle: !s.quirks.host,
		HTTPClient: &http.Client{
			Transport: s.http,
			// A redirect is for another region, whose signature is another one.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Logger:           logging.Nop{},
		Retryer:          aws.NopRetryer{}, // wrappers do that
		RetryMaxAttempts: 1,
		// Checksums that are not asked for, and trailing ones above all, are
		// refused by many stores.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		// A round trip more for each upload, to save some that fail.
		ContinueHeaderThresholdBytes:              -1,
		DisableLogOutputChecksumValidationSkipped: true,
	}
	if o.Endpoint != "" {
		opts.BaseEndpoint = aws.String(o.Endpoint)
	}
	if s.quirks.plainEncoding || o.SignWithoutEncoding {
		opts.APIOptions = append(opts.APIOptions, signWithoutEncoding)
	}
	return s3.New(opts)
}

// traced tells the traces of a context of each request, until it is closed.
type traced struct {
	next   http.RoundTripper
	idle   func() // closes idle connections
	closed atomic.Bool
}

// RoundTrip implements [http.RoundTripper].
func (t *traced) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.closed.Load() {
		return nil, fs.ErrClosed
	}
	backend.TraceRequest(r.Context(), operations[awsmiddleware.GetOperationName(r.Context())])
	resp, err := t.next.RoundTrip(r)
	notice(r.Context(), resp)
	if t.closed.Load() {
		// A request that has begun before has net/http keep idle connections
		// again, such as the one that is being opened for it.
		t.idle()
	}
	return resp, err
}

func (t *traced) close() {
	t.closed.Store(true)
	t.idle()
}

// operations are the names of requests for traces.
var operations = map[string]string{
	"HeadObject": "head", "GetObject": "get", "PutObject": "put",
	"DeleteObject": "delete", "DeleteObjects": "delete", "ListObjectsV2": "list",
	"CopyObject": "touch", "CreateMultipartUpload": "start upload", "UploadPart": "upload part",
	"UploadPartCopy": "touch", "CompleteMultipartUpload": "complete upload",
	"AbortMultipartUpload": "abort upload", "ListMultipartUploads": "list uploads", "ListParts": "list parts",
	"AssumeRole": "assume role", "AssumeRoleWithWebIdentity": "assume role",
	"GetBucketLifecycleConfiguration": "get lifecycle rules", "GetBucketVersioning": "get versioning",
}

// stackOption is a change to the requests of one operation.
type stackOption = func(*middleware.Stack) error

// with returns options for one call.
func with(changes ...stackOption) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(slices.Clip(o.APIOptions), changes...)
	}
}

// Close releases idle connections.
func (s *store) Close() error {
	s.http.close()
	return nil
}
