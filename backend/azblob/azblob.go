// Package azblob keeps caches in a container of Azure Blob Storage, as
// BuildKit's type=azblob does: blobs and manifests are block blobs under keys
// that are joined of prefixes and names.
//
// # Credentials
//
// The first that is given counts: [Options.Credential], an account key, a SAS,
// a connection string; see [Options] for where they may come from. If none is,
// Azure's own chain is asked: environment, workload identity, managed identity,
// and the tools that a developer is logged in with. The chain reads the
// process's environment, and what it finds is renewed as it expires.
//
// # What is asked of the service
//
// Nothing is asked of the container but what needs it, a listing, so that a SAS
// for the container or a role on it is enough; it is created on request only,
// by the first write.
// Refs are written on conditions of ETags, which the service keeps atomically.
// Large blobs go up in blocks, several at a time, and become visible when all
// are there and the digest of the whole was right. Blocks that were never
// committed are visible to nobody; there is no request that removes them, and
// the service does so after a week.
package azblob

import (
	"context"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// The defaults of [Options], which are BuildKit's.
const (
	DefaultContainer       = "buildkit-cache"
	DefaultManifestsPrefix = "manifests"
	DefaultBlobsPrefix     = "blobs"
)

// Options say where the caches are and how they are reached. AccountURL or
// ConnectionString is required.
type Options struct {
	// AccountURL is the account's: https://ACCOUNT.blob.core.windows.net.
	AccountURL string
	// AccountName is the account of AccountKey. "" means the first element of
	// the URL's path, as emulators have it, or else the first label of its host.
	AccountName string
	// Container is the container; "" means DefaultContainer.
	Container string
	// Prefix comes before all keys, as an element of a path.
	Prefix string
	// ManifestsPrefix and BlobsPrefix follow it in the keys of refs and of blobs;
	// nil means DefaultManifestsPrefix and DefaultBlobsPrefix.
	ManifestsPrefix, BlobsPrefix *string

	// Credential gets tokens of Microsoft Entra ID.
	Credential azcore.TokenCredential
	// AccountKey is one of the account's two keys, in base64.
	AccountKey string
	// SAS is a shared access signature, of the account, the container or one
	// blob: the query of a URL, sv=...&sig=....
	SAS string
	// ConnectionString is what Azure's tools show for an account, with a key or
	// a SAS in it.
	ConnectionString string
	// Getenv looks up environment variables, usually [os.Getenv]; nil consults
	// none. If no credential is given, those of Azure's command line count:
	// AZURE_STORAGE_CONNECTION_STRING if it is for AccountURL, and
	// AZURE_STORAGE_SAS_TOKEN and AZURE_STORAGE_KEY if AZURE_STORAGE_ACCOUNT
	// names its account.
	Getenv func(name string) string

	// CreateContainer has the first write create the container if there is none.
	// Until then a container that is not there is an empty one.
	CreateContainer bool
	// RefreshAge bounds how old blobs get that are in use: those older than
	// half of it are renewed when they are put. 0 means BuildKit's 24 hours for
	// S3, less than 0 always.
	RefreshAge time.Duration
	// BlockSize is the size of the blocks of large blobs in bytes, and
	// Concurrency how many of them are on the way. 0 means 8 MiB, and 4. Blobs of
	// eight blocks or less go up whole.
	BlockSize   int64
	Concurrency int

	// Transport sends the requests, those for tokens included. Nil means a
	// transport of the backend's own, with the proxies of the environment and
	// as many connections as requests.
	Transport http.RoundTripper
	// Now is the clock that ages are told by; nil means [time.Now]. Requests are
	// signed by the system's.
	Now func() time.Time
	// Location is what Info reports; "" means one made of the other options.
	Location string
}

// Backend is a container, or what is below a prefix in one.
type Backend struct {
	*bucket.Backend

	store *store
}

var _ backend.Backend = (*Backend)(nil)

// Open returns a backend for a container. No request is sent; the context has no
// part in the life of the backend. Malformed options give ErrInvalid.
func Open(ctx context.Context, opts Options) (*Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := newStore(opts)
	if err != nil {
		return nil, openError(err)
	}
	return newBackend(ctx, s), nil
}

func newBackend(ctx context.Context, s *store) *Backend {
	o := s.opts
	return &Backend{store: s, Backend: bucket.New(ctx, s, bucket.Options{
		Driver:      driverName,
		Location:    o.Location,
		Keys:        s.keys(),
		CheckRef:    checkRef,
		RefreshAge:  o.RefreshAge,
		PartSize:    o.BlockSize,
		Concurrency: o.Concurrency,
		Now:         o.Now,
	})}
}

// newStore checks the options and puts the client together.
func newStore(opts Options) (*store, error) {
	opts = opts.withDefaults()
	if err := checkContainer(opts.Container); err != nil {
		return nil, invalid("container", err)
	}
	if err := checkPrefixes(opts); err != nil {
		return nil, err
	}
	a, err := findAccount(opts)
	if err != nil {
		return nil, err
	}
	t := newTransport(a.url.Host, opts.Transport)
	client, err := a.client(opts.Container, t)
	if err != nil {
		return nil, err
	}
	if opts.Location == "" {
		opts.Location = place(a, opts)
	}
	return &store{container: client, account: a, opts: opts, transport: t}, nil
}

func (o Options) withDefaults() Options {
	if o.Container == "" {
		o.Container = DefaultContainer
	}
	if o.ManifestsPrefix == nil {
		o.ManifestsPrefix = new(DefaultManifestsPrefix)
	}
	if o.BlobsPrefix == nil {
		o.BlobsPrefix = new(DefaultBlobsPrefix)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Container returns a client of the container, for what this package has no
// method for. It repeats no request.
func (b *Backend) Container() *container.Client { return b.store.container }
