// Package s3 keeps caches in a bucket of Amazon S3, or of a store that speaks
// its protocol, as BuildKit's type=s3 does: the key of a blob is the prefix, the
// blobs prefix and the digest, put together as they are, and that of a ref the
// prefix, the manifests prefix and the name.
//
// # Stores that look like S3
//
// They differ from it in many ways, of which [Quirks] knows the ones that
// matter. They are guessed from the endpoint and can be told. Stores that are
// not known are asked before the first conditional write of a ref whether they
// obey conditions, by writes of which some must fail; a store that does not gives
// ErrUnsupported, and is used with [Options.NoConditions].
//
// # Credentials
//
// Those of [Options] are used as they are: injected ones, static keys, a profile
// of the shared configuration, a role to be assumed, perhaps by a web identity,
// or none at all on express demand. Otherwise, if the environment may be
// consulted, they come from the default chain of the AWS SDK. They are asked for
// anew before they expire, in the middle of a transfer too, and when the store
// says that they have.
package s3

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// driverName is the type of locations in buckets of S3.
const driverName = "s3"

// Options say where a bucket is and how it is used. The zero value is a bucket
// of AWS without credentials: those have to be given, or Getenv.
type Options struct {
	// Region is the region of the bucket. It is required at AWS unless the
	// endpoint or the shared configuration names it; elsewhere it defaults to
	// what the store expects.
	Region string
	// Endpoint is the URL of a store other than AWS, or of an endpoint of AWS.
	Endpoint string
	// PathStyle says whether the bucket is a part of the path of requests rather
	// than of the host. Nil means that it is everywhere but at AWS.
	PathStyle *bool

	// Prefix comes before all keys of objects.
	Prefix string
	// BlobsPrefix and ManifestsPrefix follow it in those of blobs and of refs; nil
	// means BuildKit's blobs/ and manifests/.
	BlobsPrefix, ManifestsPrefix *string

	// Credentials are used as they are. Nil means those that the other fields
	// name.
	Credentials aws.CredentialsProvider
	// AccessKeyID, SecretAccessKey and SessionToken are static keys.
	AccessKeyID, SecretAccessKey, SessionToken string
	// Profile is one of the shared configuration files.
	Profile string
	// RoleARN is a role to assume with the credentials, under ExternalID if that
	// is set, or by WebIdentityTokenFile instead of credentials.
	RoleARN, ExternalID, WebIdentityTokenFile string
	// Anonymous sends requests without credentials.
	Anonymous bool
	// Getenv says that the environment may be consulted. Only whether it is nil
	// matters: the AWS SDK reads the environment of the process by itself.
	Getenv func(name string) string

	// Quirks names how the store differs from S3, see [Quirks]. "" means to
	// guess from the endpoint.
	Quirks string
	// SignWithoutEncoding leaves the header Accept-Encoding out of signatures,
	// for stores behind proxies that change it.
	SignWithoutEncoding bool
	// NoConditions says that the store does not obey conditions.
	NoConditions bool

	// RefreshAge bounds how old blobs get that are in use: those older than half
	// of it are renewed when they are put. 0 means 24 hours, less than 0 always.
	// BuildKit calls it touch_refresh.
	RefreshAge time.Duration
	// Concurrency is how many parts of one large blob are sent or fetched at the
	// same time; 0 means 4.
	Concurrency int
	// PartSize is the size of such parts in bytes, at least 5 MiB; 0 means 8 MiB.
	PartSize int64

	// RootCAs are the authorities that may certify the store; nil means the
	// system's.
	RootCAs *x509.CertPool
	// minPart is the least that PartSize may be; 0 means that of S3, below which
	// are only stores in tests.
	minPart int64

	// Transport sends the requests, to the store and, unless AWS_CA_BUNDLE is
	// set, to AWS's token services; RootCAs are then its business. Nil means one
	// of the backend's own, with the proxies of the environment and as many
	// connections as requests.
	Transport http.RoundTripper
	// Now is the clock that ages are measured by; nil means [time.Now].
	Now func() time.Time
	// Location is what Info reports; "" means a location made of the bucket.
	Location string
}

// Backend is a bucket, or a part of one below a prefix.
type Backend struct {
	*bucket.Backend

	store      *store
	refreshAge time.Duration
	now        func() time.Time
}

var _ backend.Backend = (*Backend)(nil)

// Open returns a backend for a bucket. It may read AWS's configuration files and
// sends no request; the context governs that alone. Settings that do not fit
// give ErrInvalid.
func Open(ctx context.Context, name string, opts Options) (*Backend, error) {
	s, err := newStore(ctx, name, opts)
	if err != nil {
		return nil, &backend.Error{Op: "open", Backend: driverName, Kind: backend.Kind(err), Err: err}
	}
	if opts.Location == "" {
		opts.Location = place(name, opts)
	}
	if opts.BlobsPrefix == nil {
		opts.BlobsPrefix = new(defaultBlobs)
	}
	if opts.ManifestsPrefix == nil {
		opts.ManifestsPrefix = new(defaultManifests)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s.keys = bucket.Concatenated(opts.Prefix, *opts.BlobsPrefix, *opts.ManifestsPrefix)
	b := bucket.New(ctx, s, bucket.Options{
		Driver: driverName, Location: opts.Location, Keys: s.keys,
		RefreshAge: opts.RefreshAge, PartSize: opts.PartSize, Concurrency: opts.Concurrency, Now: opts.Now,
	})
	return &Backend{
		Backend: b, store: s, refreshAge: cmp.Or(opts.RefreshAge, bucket.DefaultRefreshAge), now: opts.Now,
	}, nil
}

// PutRef writes a ref. Before the first one on a condition, a store that is not
// known to obey conditions is asked.
func (b *Backend) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	if b.store.quirks.probe && !cond.IsAlways() && backend.CheckRefName(name) == nil && !backend.IsDigest(name) {
		if err := b.store.askConditions(ctx); err != nil {
			return "", b.Fail("put ref", name, err)
		}
	}
	return b.Backend.PutRef(ctx, name, doc, cond)
}

// The defaults of BuildKit.
const (
	defaultBlobs     = "blobs/"
	defaultManifests = "manifests/"
)

// invalidf returns an error matching ErrInvalid about a setting.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", backend.ErrInvalid, fmt.Sprintf(format, args...))
}
