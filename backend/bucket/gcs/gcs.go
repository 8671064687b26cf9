// Package gcs keeps caches in a bucket of Google Cloud Storage, through
// gocloud.dev: package backend/bucket with what is known of this service.
//
// Refs are written on conditions of generations, which the service keeps
// atomically. A blob that ages is rewritten within the service, because
// lifecycle rules count from an object's creation.
//
// # Credentials
//
// [Options.Credentials], or a file of credentials, or else Google's own chain
// is asked: GOOGLE_APPLICATION_CREDENTIALS, what gcloud has left behind, and
// the metadata server of the machine. The chain reads the process's environment,
// and what it finds is renewed as it expires. Over plain HTTP, where emulators
// are, no credentials are sent.
//
// # What is asked of the service
//
// Nothing is asked of the bucket but a listing, so that the role Storage Object
// User is enough. The SDK's own retries are off, those of package wrap apply;
// only a chunk of a large blob is sent again by itself.
package gcs

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/storage"
	"gocloud.dev/blob/gcsblob"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket"
)

// defaultEndpoint is the service's own.
const defaultEndpoint = "https://storage.googleapis.com"

// Options say where the caches are and how they are reached. Bucket is
// required.
type Options struct {
	// Bucket is the bucket's name.
	Bucket string
	// Prefix comes before all keys, as it is.
	Prefix string
	// ManifestsPrefix and BlobsPrefix follow it in the keys of refs and of blobs;
	// nil means [bucket.DefaultManifestsPrefix] and [bucket.DefaultBlobsPrefix].
	ManifestsPrefix, BlobsPrefix *string

	// Client is a client to use in place of one made of the options below. It is
	// not closed, and its retries are turned off.
	Client *storage.Client

	// Endpoint is where the service is reached: a URL, or host:port of an
	// emulator. "" means https://storage.googleapis.com.
	Endpoint string
	// Credentials get tokens.
	Credentials *auth.Credentials
	// CredentialsFile is a file of credentials as Google's tools write it, of
	// any type: of a service account, or for workload identity federation.
	CredentialsFile string
	// Anonymous has requests sent without credentials.
	Anonymous bool
	// UserProject is the project that pays for requests; "" means the bucket's.
	UserProject string

	// RefreshAge bounds how old blobs get that are in use: those older than
	// half of it are renewed when they are put. 0 means BuildKit's 24 hours for
	// S3, less than 0 always.
	RefreshAge time.Duration
	// PartSize is how many bytes of a large blob one request fetches, and
	// Concurrency how many of them are under way. 0 means 8 MiB, and 4.
	PartSize    int64
	Concurrency int

	// Transport sends the requests. Nil means a transport of the backend's own,
	// with the proxies of the environment and as many connections as requests.
	Transport http.RoundTripper
	// Now is the clock that ages are told by; nil means [time.Now].
	Now func() time.Time
	// Location is what Info reports; "" means one made of the other options.
	Location string
}

// Open returns a backend for a bucket. The bucket is not asked for; looking for
// credentials may ask a metadata server. The context has no part in the life of
// the backend. Malformed options give ErrInvalid, and ErrDenied means that no
// credentials were found.
func Open(ctx context.Context, opts Options) (*bucket.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, openError(err)
	}
	if opts.Bucket == "" {
		return nil, openError(fmt.Errorf("%w: bucket is empty, want the name of a bucket", backend.ErrInvalid))
	}
	if opts.Location == "" {
		opts.Location = place(opts)
	}
	s := &service{name: opts.Bucket, refreshAge: cmp.Or(opts.RefreshAge, 24*time.Hour), chunks: make(slots, chunked)}
	client, err := s.connect(ctx, opts)
	if err != nil {
		return nil, openError(err)
	}
	client.SetRetry(storage.WithPolicy(storage.RetryNever))
	opened, err := gcsblob.OpenBucket(ctx, nil, opts.Bucket, &gcsblob.Options{Client: client})
	if err != nil {
		return nil, openError(err)
	}
	s.client = client
	return bucket.New(ctx, opened, bucket.Options{
		Driver: driverName, Location: opts.Location, Service: s,
		Prefix: opts.Prefix, ManifestsPrefix: opts.ManifestsPrefix, BlobsPrefix: opts.BlobsPrefix,
		RefreshAge: opts.RefreshAge, PartSize: opts.PartSize, Concurrency: opts.Concurrency, Now: opts.Now,
	}), nil
}

func openError(err error) error {
	return &backend.Error{Op: "open", Backend: driverName, Kind: backend.Kind(err), Err: err}
}

// parseEndpoint returns an endpoint, which may be written without a scheme as
// those of emulators are.
func parseEndpoint(endpoint string) (*url.URL, error) {
	if endpoint == "" {
		endpoint = defaultEndpoint
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("%w: endpoint is malformed, want https://host or, of an emulator, host:port", backend.ErrInvalid)
	case u.User != nil, u.RawQuery != "", u.Fragment != "", strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("%w: endpoint has more than a host, want https://host", backend.ErrInvalid)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
