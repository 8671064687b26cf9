package s3

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
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
	minPart  int64 // bytes
	own      *calls.Transport

	probing probe
}

var (
	_ bucket.Store    = (*store)(nil)
	_ bucket.Uploader = (*store)(nil)
	_ bucket.Toucher  = (*store)(nil)
)

// adapt sets up connections as the options want them.
func (o Options) adapt(t *http.Transport) {
	// AWS speaks HTTP/1.1 only; to others all requests would go through one
	// connection.
	t.ForceAttemptHTTP2 = false
	t.TLSClientConfig = &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12}
}

func newStore(ctx context.Context, name string, o Options) (*store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &store{bucket: name}
	if err := s.choose(o); err != nil {
		return nil, err
	}
	s.own = calls.NewTransport(o.Transport, o.adapt)
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
		Region:           s.region,
		Credentials:      s.identity.provider,
		UsePathStyle:     !s.quirks.host,
		HTTPClient:       traced{s.own.Client()},
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

// traced tells the traces of a context of each request. A redirect is an answer:
// it is for another region, whose signature is another one.
type traced struct{ client *http.Client }

// Do implements [aws.HTTPClient].
func (t traced) Do(r *http.Request) (*http.Response, error) {
	backend.TraceRequest(r.Context(), operations[awsmiddleware.GetOperationName(r.Context())])
	resp, err := t.client.Do(r)
	notice(r.Context(), resp)
	return resp, err
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
	s.own.Close()
	return nil
}
