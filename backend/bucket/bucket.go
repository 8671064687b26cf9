// Package bucket keeps caches in buckets of gocloud.dev: in any object store
// that has a driver there. Blobs and manifests are objects under the same keys
// as in BuildKit's S3 caches.
//
// gocloud.dev hides what services differ in, and so cannot tell what caches need
// to know of them most: whether of several writers exactly one wins. What is
// known of a service comes as a [Service]; without, a backend writes no ref on a
// condition and says so in its capabilities. Package gcs below this one has what
// is known of Google Cloud Storage. S3 and Azure have drivers of their own,
// packages backend/s3 and backend/azblob, which are faster and whose caches
// BuildKit reads.
package bucket

import (
	"context"
	"time"

	"gocloud.dev/blob"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// The defaults of [Options], which are those of BuildKit's S3 caches.
const (
	DefaultManifestsPrefix = "manifests/"
	DefaultBlobsPrefix     = "blobs/"
)

// Options say where in a bucket caches are, and what is known of it. The zero
// value is right for a bucket that holds nothing else.
type Options struct {
	// Driver is the name of the driver that Info reports; "" means "bucket".
	Driver string
	// Location is where the bucket is, without secrets, for Info.
	Location string
	// Prefix comes before all keys, as it is: a slash is part of a prefix or is not
	// there.
	Prefix string
	// ManifestsPrefix and BlobsPrefix follow it in the keys of refs and of blobs,
	// likewise; nil means DefaultManifestsPrefix and DefaultBlobsPrefix.
	ManifestsPrefix, BlobsPrefix *string
	// Service is what is known of the service; nil means [Unknown].
	Service Service
	// RefreshAge bounds how old blobs get that are in use: those older than
	// half of it are renewed when they are put. 0 means BuildKit's 24 hours for
	// S3, less than 0 always.
	RefreshAge time.Duration
	// PartSize is how many bytes of a large blob one request fetches, and
	// Concurrency how many of them are under way. 0 means 8 MiB, and 4.
	PartSize    int64
	Concurrency int
	// Now is the clock that ages are told by; nil means [time.Now].
	Now func() time.Time
	// KeepOpen has Close leave the bucket open.
	KeepOpen bool
}

// Backend is a bucket, or what is below a prefix in one.
type Backend struct {
	*bucket.Backend

	store *store
}

var (
	_ backend.Backend   = (*Backend)(nil)
	_ backend.Diagnoser = (*Backend)(nil)
)

// New returns a backend in a bucket, which is closed with it unless
// Options.KeepOpen is set. No request is sent. The context has no part in the
// life of the backend.
func New(ctx context.Context, b *blob.Bucket, opts Options) *Backend {
	opts = opts.withDefaults()
	s := &store{bucket: b, service: opts.Service, can: opts.Service.Can(), keepOpen: opts.KeepOpen}
	return &Backend{store: s, Backend: bucket.New(ctx, s, bucket.Options{
		Driver:      opts.Driver,
		Location:    opts.Location,
		Keys:        bucket.Concatenated(opts.Prefix, *opts.BlobsPrefix, *opts.ManifestsPrefix),
		CheckRef:    opts.Service.CheckRef,
		RefreshAge:  opts.RefreshAge,
		PartSize:    opts.PartSize,
		Concurrency: opts.Concurrency,
		Now:         opts.Now,
	})}
}

func (o Options) withDefaults() Options {
	if o.Driver == "" {
		o.Driver = "bucket"
	}
	if o.ManifestsPrefix == nil {
		o.ManifestsPrefix = new(DefaultManifestsPrefix)
	}
	if o.BlobsPrefix == nil {
		o.BlobsPrefix = new(DefaultBlobsPrefix)
	}
	if o.Service == nil {
		o.Service = Unknown{}
	}
	return o
}

// Bucket returns the bucket, for what this package has no method for.
func (b *Backend) Bucket() *blob.Bucket { return b.store.bucket }
