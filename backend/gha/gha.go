// Package gha keeps caches in the cache service of GitHub Actions, as
// BuildKit's type=gha does, so that both share their entries: blobs lie under
// BuildKit's keys, and refs are numbered entries under the keys of its indexes.
//
// # Credentials
//
// The service wants the job's runtime token, ACTIONS_RUNTIME_TOKEN, which is not
// the GITHUB_TOKEN, and is reached at ACTIONS_RESULTS_URL. Only actions see
// these variables: a workflow has to export them for its run steps, for which
// there is the action crazy-max/ghaction-github-runtime.
//
// The token has scopes, which are git refs. It may read those of the branch and
// its bases, and writes that of the branch. A ref is read from the first of
// them that has it.
//
// Tokens of triggers that are not trusted may only read, and a workflow may set
// ACTIONS_CACHE_MODE. What must not be written gives ErrReadOnly, which is
// [backend.Omittable]: an export goes on without, and says so.
//
// # What the service cannot do
//
// Entries never change. A ref is therefore a series of entries, #1, #2, ..., of
// which the newest counts, and to reserve the next number is what makes
// conditions atomic. An entry that was reserved and never finished, because its
// writer has crashed, blocks its key, and cannot be told from one that the service
// does not find yet: after a while it is stepped over, see [Options]. A document
// counts as written when the service finds it. Nothing can be listed or deleted with the runtime token, but by the REST API; entries go away
// when nobody has used them for a week, or when there are too many. An entry
// whose content has gone is not found.
//
// The protocol is not documented. It is that of github.com/actions/toolkit,
// packages/cache, in its second version, which github.com and GHE.com speak, and
// in its first, which GitHub Enterprise Server, act, Gitea and Forgejo do.
package gha

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// DefaultStuckAfter is how long BuildKit waits for a writer that has reserved
// an entry.
//
// Source: github.com/moby/buildkit/cache/remotecache/gha, SaveMutable.
const DefaultStuckAfter = 15 * time.Second

// DefaultPatience is the default of BuildKit's attribute timeout.
const DefaultPatience = 10 * time.Minute

// maxPack is the largest that [Options.Pack] may be: larger blobs gain little, and
// those of a pack are in memory.
const maxPack = 1 << 20

// Options say how the service is reached. URL and Token are required.
type Options struct {
	// URL is the service's: ACTIONS_RESULTS_URL or, in the first version of the
	// protocol, ACTIONS_CACHE_URL.
	URL string
	// Version is that of the protocol, 1 or 2; 0 means 2.
	Version int
	// Token is the job's: ACTIONS_RUNTIME_TOKEN.
	Token string

	// Repository, as owner/name, and APIToken are for GitHub's REST API, at API; ""
	// is [DefaultAPI]. With them entries can be listed and deleted, those of the
	// scope that is written, many blobs are looked for at a time, and documents
	// that were replaced a day ago are removed. The token is a job's GITHUB_TOKEN,
	// for example, with the permission actions: read or, to delete, write. Without
	// a token nothing of that is done.
	Repository string
	APIToken   string
	API        string
	// Mode is what the workflow allows, the value of ACTIONS_CACHE_MODE: "none",
	// "read", "write" (which may read too) or "write-only". Any other one, "" in
	// particular, allows everything that the token does. What is not allowed to
	// be read is not found.
	Mode string

	// Patience is how long a write waits, in all, for the service to let it create
	// an entry; 0 means [DefaultPatience]. Then, or if its context would end
	// before, it fails with an error that is [backend.Omittable], and no other
	// write waits longer. The documents of refs may wait two minutes more, so that
	// what was written can be published.
	Patience time.Duration
	// StuckAfter is how long the entry of a blob may be reserved, and not be found,
	// before its writer counts as crashed; 0 means [DefaultStuckAfter]. For the
	// entry of a ref it is eight times as long, because what is stepped over may
	// have been written and is then lost: the writer therefore reports success only
	// if the service has found its document within six times as long.
	StuckAfter time.Duration
	// BlockSize is the size of the blocks of large blobs in bytes, and
	// Concurrency how many of them are on the way. 0 means 8 MiB, and 4. Blobs of
	// eight blocks or less go up whole.
	BlockSize   int64
	Concurrency int
	// Pack is the size in bytes up to which blobs lie together: those that are put
	// at the same time become one entry, a pack, of which ranges are read. That
	// takes few entries for many blobs, of which GitHub lets 200 be created in a
	// minute, and a tenth of a second more for a blob that comes alone. At most 1
	// MiB; 0 means that each blob is an entry of its own. BuildKit cannot read
	// packs. Every Backend can, those that pack nothing too.
	Pack int64
	// Budget is how many entries may be created; nil means one of GitHub's size
	// that is the backend's own.
	Budget *Budget

	// Transport sends the requests. Nil means a transport of the backend's own,
	// with the proxies of the environment.
	Transport http.RoundTripper
	// Now is the clock that the life of signed URLs is told by; nil means
	// [time.Now].
	Now func() time.Time
	// Location is what Info reports; "" means one made of URL.
	Location string
}

// Backend is what a token can reach of the service.
type Backend struct {
	*bucket.Backend

	store *store
}

var _ backend.Backend = (*Backend)(nil)

// isolation is GitHub's rule, in the words of a promotion that is denied.
//
// Source: docs.github.com/actions/reference/workflows-and-actions/dependency-caching,
// "Restrictions for accessing a cache".
const isolation = "GitHub isolates caches by branch: a run reads those of its own branch, of its pull request's base and of the default branch, " +
	"and writes its own branch's alone; have a run on the destination's branch export its cache"

// Info implements [backend.Backend].
func (b *Backend) Info() backend.Info {
	info := b.Backend.Info()
	info.Isolation = isolation
	if b.store.protocol.read {
		info.Gathers = b.store.opts.Pack
	}
	if len(b.store.scopes.read) > 1 {
		info.Scopes = slices.Clone(b.store.scopes.read)
	}
	return info
}

// Open returns a backend for the service. No request is sent, and the context
// has no part in the life of the backend. Malformed options give ErrInvalid.
func Open(ctx context.Context, opts Options) (*Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := newStore(opts)
	if err != nil {
		return nil, &backend.Error{Op: "open", Backend: driverName, Kind: backend.Kind(err), Err: err}
	}
	return &Backend{store: s, Backend: bucket.New(ctx, s, bucket.Options{
		Driver:      driverName,
		Location:    s.opts.Location,
		Keys:        bucket.Keys{Blobs: blobPrefix, Manifests: indexPrefix},
		CheckRef:    checkRef,
		PartSize:    opts.BlockSize,
		Concurrency: opts.Concurrency,
		Now:         s.opts.Now,
	})}, nil
}

// newStore checks the options and puts the client together.
func newStore(opts Options) (*store, error) {
	opts.Version = cmp.Or(opts.Version, secondVersion)
	attribute := urlAttribute(opts.Version)
	switch {
	case opts.Version != firstVersion && opts.Version != secondVersion:
		return nil, fmt.Errorf("%w: version %d, want 1 or 2", backend.ErrInvalid, opts.Version)
	case opts.Token == "":
		return nil, &missingError{attribute: "token", variable: envToken}
	case opts.Pack < 0 || opts.Pack > maxPack:
		return nil, fmt.Errorf("%w: packs of blobs up to %d bytes, want 0 to %d", backend.ErrInvalid, opts.Pack, maxPack)
	case opts.URL == "":
		return nil, &missingError{attribute: attribute, variable: urlVariable(opts.Version)}
	}
	u, err := parseURL(opts.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: attribute %s: %w", backend.ErrInvalid, attribute, err)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.StuckAfter = cmp.Or(opts.StuckAfter, DefaultStuckAfter)
	opts.Patience = cmp.Or(opts.Patience, DefaultPatience)
	if opts.Budget == nil {
		opts.Budget = &Budget{}
	}
	if opts.Location == "" {
		opts.Location = fmt.Sprintf("type=%s,%s=%s", driverName, attribute, u)
	}
	c := newClient(opts.Transport, opts.Now)
	base := &service{base: u, token: opts.Token, scopes: parseScopes(opts.Token), client: c, now: opts.Now}
	var spoken protocol = twirp{base}
	if opts.Version == firstVersion {
		spoken = artifactCache{base}
	}
	api, err := newREST(opts, base.scopes, c)
	if err != nil {
		return nil, err
	}
	s := &store{
		rest:     api,
		protocol: allow(spoken, base.scopes, opts.Mode),
		client:   c,
		scopes:   base.scopes,
		budget:   opts.Budget,
		opts:     opts,
		urls:     newURLCache(opts.Now),
		kept:     map[string]*reservation{},
		finished: map[string]int{},
		fresh:    map[string]time.Time{},
		absent:   map[string]bool{},
	}
	s.packs = newPacks(s)
	s.gatherer = &gatherer{store: s, from: packFrom, quiet: gatherQuiet, pending: map[string]*member{}}
	return s, nil
}

// parseURL returns the URL of the service, with a slash at its end.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("want http://HOST/ or https://HOST/")
	}
	return u.JoinPath("/"), nil
}

// missingError says which setting is missing, and where runners have it.
type missingError struct{ attribute, variable string }

var _ backend.Remedier = (*missingError)(nil)

// Error implements error. Everybody meets it at first, so that it says what to do.
func (e *missingError) Error() string {
	return fmt.Sprintf("attribute %s is missing, want what runners have in %s; %s", e.attribute, e.variable, e.Remedy())
}

// Remedy implements [backend.Remedier].
func (e *missingError) Remedy() string {
	if e.variable == envRepository {
		return "set the attribute to OWNER/NAME"
	}
	return remedyFor(e.variable)
}

// remedyFor says how a step gets to see a variable.
func remedyFor(variable string) string {
	return "run steps do not see " + variable + ": have a step before use crazy-max/ghaction-github-runtime, or actions/github-script with core.exportVariable('" +
		variable + "', process.env['" + variable + "'])"
}

// Unwrap returns the kind.
func (e *missingError) Unwrap() error { return backend.ErrInvalid }
