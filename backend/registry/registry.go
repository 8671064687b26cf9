// Package registry keeps caches in a repository of a container registry, as
// BuildKit's type=registry does: blobs are layers, refs are tags, documents are
// manifests. The protocol is that of github.com/opencontainers/distribution-spec
// at version 1.1, with what is known of registries that differ from it.
//
// # What a registry cannot do
//
// No registry can write a tag only if it is absent or unchanged: the last
// writer wins, so CreateRef and ReplaceRef are not among the capabilities. None
// lists blobs or tells their ages. Whether one deletes is not known before it is
// asked: it is declared unless [Options.NoDelete] is set or the host is known
// not to, and a registry that refuses after all gives ErrUnsupported.
//
// # Credentials
//
// By default they come from Docker's configuration and the credential helpers
// named there, see [DockerKeychain]; for ghcr.io from GITHUB_TOKEN too. Tokens
// are renewed before they expire, and once more when the registry refuses one.
package registry

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// maxDocument is the largest manifest in bytes that registries must accept,
// and the largest that CNCF distribution does.
const maxDocument = 4 << 20

// Options change how a registry is used. The zero value is right for a registry
// that is reached by HTTPS, or by HTTP on this machine.
type Options struct {
	// Insecure allows certificates that cannot be verified, and plain HTTP if
	// there is no HTTPS. Hosts of this machine (localhost, 127.0.0.1, ::1) are
	// allowed plain HTTP anyway.
	Insecure bool
	// RootCAs are the authorities that may certify the registry; nil means the
	// system's.
	RootCAs *x509.CertPool
	// Keychain finds the credentials; nil means [DockerKeychain] with Getenv.
	// [authn.NewMultiKeychain] without arguments finds none. What it finds is
	// kept until the registry refuses it. If that has a method Source() string,
	// errors say by it where the credentials come from. Packages ecr, gcr and
	// acr have keychains for the registries of cloud providers.
	Keychain authn.Keychain
	// Getenv looks up environment variables of Docker's, and GITHUB_TOKEN. Nil
	// consults none.
	Getenv func(name string) string
	// Mirrors are registries that may have the same content, spelled as host or
	// host/prefix, to which the name of the repository is added. What has a
	// digest is read from the first that has it, and from the repository itself
	// if none does; one that keeps failing is not asked any more. Tags are read
	// and everything is written past them: a mirror may be behind, and who adds
	// to an old cache loses what is newer. Insecure, RootCAs, Keychain and Proxy
	// are for mirrors too.
	Mirrors []string
	// Proxy is where requests are sent through, http:// or socks5://; nil means
	// the proxies of the environment, as in [http.ProxyFromEnvironment].
	Proxy *url.URL
	// Transport sends the requests; Insecure's certificates, RootCAs and Proxy
	// are then its business. Nil means a transport of the backend's own, with
	// as many connections as requests.
	Transport http.RoundTripper
	// ChunkSize is the number of bytes that are sent in one request, for
	// registries behind proxies that limit requests. 0 sends a blob in one
	// request. Either way, an upload goes on where a broken connection has left
	// it, if the registry can tell where that is.
	ChunkSize int64
	// NoDelete says that the registry deletes neither tags nor blobs.
	NoDelete bool
	// Now is the clock that tokens expire by; nil means [time.Now].
	Now func() time.Time
	// Location is what Info reports; "" means a location made of the
	// repository.
	Location string
}

// Backend is a repository of a registry.
type Backend struct {
	backend.Unimplemented

	repo    name.Repository
	opts    Options
	client  *http.Client
	session *session
	own     *calls.Transport

	mirrors []*mirror

	life calls.Life // ends with Close

	mu      sync.Mutex
	refused map[string]int // mounts refused in a row, by source repository
	uploads uploads
}

var (
	_ backend.Backend = (*Backend)(nil)
	_ backend.Copier  = (*Backend)(nil)
)

// Open returns a backend for a repository, spelled host/repository as Docker
// does: a name without a host is one of Docker Hub. No request is sent; the
// context has no part in the life of the backend. A malformed repository gives
// ErrInvalid.
func Open(ctx context.Context, repository string, opts Options) (*Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	repo, err := parseRepository(repository, opts.Insecure)
	if err != nil {
		return nil, &backend.Error{Op: "open", Backend: driverName, Kind: backend.ErrInvalid, Err: err}
	}
	if opts.ChunkSize < 0 || opts.ChunkSize == 1 { // a single byte looks like none, see received
		err := fmt.Errorf("%w: chunk size %d, want 0 or at least 2", backend.ErrInvalid, opts.ChunkSize)
		return nil, &backend.Error{Op: "open", Backend: driverName, Kind: backend.ErrInvalid, Err: err}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Location == "" {
		opts.Location = place(repository)
	}
	own := calls.NewTransport(opts.Transport, opts.adapt)
	opts.Transport = own
	b := newBackend(calls.NewLife(ctx), repo, opts)
	b.own = own
	if err := b.addMirrors(); err != nil {
		_ = b.Close()
		return nil, &backend.Error{Op: "open", Backend: driverName, Kind: backend.ErrInvalid, Err: err}
	}
	return b, nil
}

func newBackend(life calls.Life, repo name.Repository, opts Options) *Backend {
	b := &Backend{
		repo: repo, opts: opts,
		client:  &http.Client{Transport: opts.Transport, CheckRedirect: checkRedirect},
		session: newSession(repo, opts, opts.Transport),
		refused: make(map[string]int),
		life:    life,
	}
	return b
}

// Repository returns the full name of the repository, with its host.
func (b *Backend) Repository() string { return b.repo.Name() }

// Info describes the backend.
func (b *Backend) Info() backend.Info {
	deletes := !b.opts.NoDelete && !slices.Contains(undeleting, b.repo.RegistryStr())
	return backend.Info{
		Driver:   driverName,
		Location: b.opts.Location,
		Capabilities: backend.Capabilities{
			DeleteRef: deletes, DeleteBlobs: deletes, ListRefs: true,
		},
		Encoding:        "oci-manifest",
		VerifiesPut:     true,
		MaxDocumentSize: maxDocument,
	}
}

// undeleting are the hosts that offer deletion only beside the protocol.
// Sources: distribution/distribution#2290; GitHub's "Working with the
// Container registry".
var undeleting = []string{name.DefaultRegistry, "ghcr.io"}

// Close ends what is under way, requests and readers, and closes connections.
func (b *Backend) Close() error {
	b.life.End()
	b.own.Close()
	return nil
}
