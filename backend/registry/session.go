package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/larder-build/larder/backend"
)

// Tokens that do not say how long they last do so for a minute, and are not
// used in their last seconds, so that none expires on the way.
// Source: "Token Authentication Specification" of CNCF distribution.
const (
	tokenLife   = time.Minute
	tokenMargin = 10 * time.Second
)

// session knows how a registry is reached and holds what it has granted.
type session struct {
	repo      name.Repository
	keychain  authn.Keychain
	transport *authTransport
	now       func() time.Time
	insecure  bool

	turn chan struct{} // held while somebody asks the registry or a keychain

	mu        sync.Mutex
	challenge *transport.Challenge
	login     *login // nil if they are to be looked for (again)
	found     string // where those found last have come from
	grants    map[string]grant
}

// login is what a keychain has found.
type login struct {
	auth   authn.Authenticator
	source string
}

// grant is the value of a header that authorizes requests.
type grant struct {
	header  string
	login   *login
	key     string
	expires time.Time // zero if it does not
	worked  *atomic.Bool
}

func newSession(repo name.Repository, opts Options, t http.RoundTripper) *session {
	keychain := opts.Keychain
	if keychain == nil {
		keychain = DockerKeychain(opts.Getenv)
	}
	return &session{
		repo: repo, keychain: keychain, transport: &authTransport{next: t}, now: opts.Now, insecure: opts.Insecure,
		turn:   make(chan struct{}, 1),
		grants: make(map[string]grant),
	}
}

// authTransport sends requests for authentication.
type authTransport struct {
	next http.RoundTripper
	// refusal is the last answer that is none of success: the library that asks
	// leaves most of it out of its errors.
	refusal atomic.Pointer[refusal]
}

type refusal struct {
	status int
	header http.Header
	body   []byte
}

// RoundTrip implements [http.RoundTripper].
func (t *authTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	backend.TraceRequest(req.Context(), "authenticate")
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", userAgent)
	resp, err := t.next.RoundTrip(req)
	if err != nil || resp.StatusCode < http.StatusBadRequest {
		return resp, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	t.refusal.Store(&refusal{resp.StatusCode, resp.Header, body})
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// take waits for the turn to ask. Whoever has waited looks first whether the
// one before has found what it needs. A shared call instead would fail for all
// when the context of the one who made it ends.
func (s *session) take(ctx context.Context) (give func(), err error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// known returns the challenge if the registry has been asked for it.
func (s *session) known() *transport.Challenge {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.challenge
}

// scheme returns how the registry is reached, "https" or "http".
func (s *session) scheme(ctx context.Context) (string, error) {
	challenge := s.known()
	if challenge == nil {
		give, err := s.take(ctx)
		if err != nil {
			return "", err
		}
		defer give()
		if challenge, err = s.ping(ctx); err != nil {
			return "", err
		}
	}
	if challenge.Insecure {
		return "http", nil
	}
	return "https", nil
}

// ping asks the registry what it wants, unless that is known. The caller has
// the turn.
func (s *session) ping(ctx context.Context) (*transport.Challenge, error) {
	if challenge := s.known(); challenge != nil {
		return challenge, nil
	}
	challenge, err := s.reach(ctx)
	if err != nil {
		return nil, s.authError(err, "")
	}
	if challenge.Insecure && !s.insecure && !isLocal(s.repo.RegistryStr()) {
		return nil, fmt.Errorf("%w: %s does not speak HTTPS; plain HTTP has to be allowed, by registry.insecure=true", backend.ErrUnavailable, s.repo.RegistryStr())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.challenge = challenge
	return challenge, nil
}

// reach finds out how the registry is reached, by HTTPS where that is possible.
// A registry of this machine is asked by plain HTTP first: nobody else listens,
// few of them have certificates, and one that does refuses.
func (s *session) reach(ctx context.Context) (*transport.Challenge, error) {
	if isLocal(s.repo.RegistryStr()) {
		challenge, err := transport.Ping(ctx, s.repo.Registry, plainTransport{s.transport})
		if err == nil || speaksHTTP(err) {
			return challenge, err
		}
	}
	return transport.Ping(ctx, s.repo.Registry, s.transport)
}

// speaksHTTP reports whether an error is a registry's answer to plain HTTP. What
// expects TLS answers 400, if it does.
func speaksHTTP(err error) bool {
	refused, ok := errors.AsType[*transport.Error](err)
	return ok && refused.StatusCode != http.StatusBadRequest
}

// plainTransport sends requests by plain HTTP only.
type plainTransport struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t plainTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "http" {
		return nil, errors.ErrUnsupported
	}
	return t.next.RoundTrip(req)
}

// isLocal reports whether a host is this machine. The library that asks for the
// challenge takes all private addresses for as safe.
func isLocal(host string) bool {
	u := url.URL{Host: host}
	name := u.Hostname()
	ip := net.ParseIP(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || ip != nil && ip.IsLoopback()
}

// The scopes of requests, from the least to the most.
// Source: "Token Scope Documentation" of CNCF distribution.
func (s *session) pull() []string   { return []string{s.repo.Scope(transport.PullScope)} }
func (s *session) push() []string   { return []string{s.repo.Scope(transport.PushScope)} }
func (s *session) remove() []string { return []string{s.repo.Scope(transport.DeleteScope)} }

// mount is push with the right to read another repository.
func (s *session) mount(from name.Repository) []string {
	return append(s.push(), from.Scope(transport.PullScope))
}

// grant returns a valid grant of the scopes.
func (s *session) grant(ctx context.Context, scopes []string) (grant, error) {
	key := strings.Join(scopes, " ")
	if g, ok := s.valid(key); ok {
		return g, nil
	}
	give, err := s.take(ctx)
	if err != nil {
		return grant{}, err
	}
	defer give()
	if g, ok := s.valid(key); ok {
		return g, nil
	}
	g, err := s.obtain(ctx, scopes)
	if err != nil {
		return grant{}, err
	}
	g.key, g.worked = key, new(atomic.Bool)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants[key] = g
	return g, nil
}

// valid returns the grant that was obtained under a key, if it lasts.
func (s *session) valid(key string) (grant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.grants[key]
	return g, ok && (g.expires.IsZero() || s.now().Before(g.expires))
}

// obtain gets a grant from the registry. The caller has the turn.
func (s *session) obtain(ctx context.Context, scopes []string) (grant, error) {
	challenge, err := s.ping(ctx)
	if err != nil {
		return grant{}, err
	}
	found, err := s.credentials(ctx)
	if err != nil {
		return grant{}, err
	}
	config, err := authn.Authorization(ctx, found.auth)
	if err != nil {
		return grant{}, credentialError(found.source, err)
	}
	switch {
	case config.RegistryToken != "":
		return grant{header: "Bearer " + config.RegistryToken, login: found}, nil
	case !strings.EqualFold(challenge.Scheme, "bearer"):
		return grant{header: basic(config), login: found}, nil
	default:
		return s.exchange(ctx, found, scopes, challenge)
	}
}

// basic returns the header of a user with a password, or "" for nobody.
func basic(c *authn.AuthConfig) string {
	switch {
	case c.Username != "" && c.Password != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))
	case c.Auth != "":
		return "Basic " + c.Auth
	default:
		return ""
	}
}

// exchange gets a token for credentials.
func (s *session) exchange(ctx context.Context, l *login, scopes []string, c *transport.Challenge) (grant, error) {
	asked := s.now()
	token, err := transport.Exchange(ctx, s.repo.Registry, l.auth, s.transport, scopes, c)
	if err != nil {
		return grant{}, s.authError(err, l.source)
	}
	value := token.Token
	if token.AccessToken != "" {
		value = token.AccessToken
	}
	life := time.Duration(token.ExpiresIn) * time.Second
	if life <= 0 {
		life = tokenLife
	}
	return grant{header: "Bearer " + value, login: l, expires: asked.Add(life - min(tokenMargin, life/2))}, nil
}

// credentials returns what the keychain finds. The caller has the turn.
func (s *session) credentials(ctx context.Context) (*login, error) {
	s.mu.Lock()
	found := s.login
	s.mu.Unlock()
	if found != nil {
		return found, nil
	}
	auth, err := authn.Resolve(ctx, s.keychain, s.repo)
	if err != nil {
		return nil, credentialError("looking for credentials", err)
	}
	found = &login{auth: auth, source: sourceOf(auth, s.keychain)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login, s.found = found, found.source
	return found, nil
}

// expired reports whether a response says that a grant is not valid, or not any
// more, so that the request should be tried again with a new one. It forgets
// the grant then, and the credentials it came from. Many registries say the
// same of rights that are missing: a grant that has never been good for
// anything is replaced only once.
func (s *session) expired(g grant, resp *http.Response, tries int) bool {
	if resp.StatusCode != http.StatusUnauthorized {
		g.worked.Store(true)
		return false
	}
	challenge := parseChallenge(resp.Header)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.adopt(challenge) {
		return true
	}
	// The word of RFC 6750, section 3.1, for missing rights.
	if challenge != nil && challenge.Parameters["error"] == "insufficient_scope" {
		return false
	}
	if s.grants[g.key] == g {
		delete(s.grants, g.key)
	}
	if s.login == g.login {
		s.login = nil
	}
	// Another request may have adopted a challenge meanwhile.
	news := g.header == "" && s.challenge.Scheme != ""
	return tries < maxGrants && (g.header != "" || news) && (tries == 1 || g.worked.Load())
}

// source says where the credentials come from, once they have been looked for.
func (s *session) source() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}
