// Package cloud has what the keychains of cloud providers have in common: whom
// they serve, how long they may take, and how long a login is kept.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

const (
	// patience bounds how long a provider is asked. Off its machines its SDK
	// looks for a metadata service that is not there, and each has a time-out
	// of its own that may be longer.
	patience = 10 * time.Second
	// margin is how long before its end a login is replaced, or the last half
	// of a shorter one, so that none expires on the way.
	margin = 5 * time.Minute
	// doubt is how long it is remembered that there are no credentials.
	doubt = time.Minute
)

// Login is what a provider grants.
type Login struct {
	Config  authn.AuthConfig
	Expires time.Time
}

// Nobody is the error of a provider that knows no credentials: the registry may
// still serve those without.
type Nobody struct{ Err error }

// Error says why.
func (n *Nobody) Error() string { return n.Err.Error() }

// Unwrap returns the reason.
func (n *Nobody) Unwrap() error { return n.Err }

// Provider is a cloud that has registries.
type Provider struct {
	// Name is that of the service, for people.
	Name string
	// Serves reports whether a host is a registry of the provider.
	Serves func(host string) bool
	// Login asks for a login to a host. It is called for one host once at a
	// time.
	Login func(ctx context.Context, host string) (Login, error)
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
}

// Keychain returns a keychain that asks the provider when a login is needed and
// there is none, and finds nothing for hosts of others.
func (p Provider) Keychain() authn.Keychain {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &keychain{Provider: p, hosts: make(map[string]*host)}
}

type keychain struct {
	Provider

	mu    sync.Mutex
	hosts map[string]*host
}

// host is a registry and the way into it.
type host struct {
	keychain *keychain
	name     string
	turn     chan struct{} // held while somebody asks the provider

	// What follows belongs to whoever has the turn.
	login  Login
	nobody error
	fresh  time.Time // until when
}

// Resolve implements [authn.Keychain].
func (k *keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r) //nolint:forbidigo // the interface has no context
}

// ResolveContext implements [authn.ContextKeychain].
func (k *keychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	if !k.Serves(r.RegistryStr()) {
		return authn.Anonymous, nil
	}
	h := k.host(r.RegistryStr())
	if err := h.take(ctx); err != nil {
		return nil, err
	}
	defer h.give()
	if err := h.renew(ctx); err != nil {
		return nil, err
	}
	return found{h, h.source()}, nil
}

// found is a way into a registry that knows what it rests on.
type found struct {
	*host

	from string
}

// Source says where the credentials come from.
func (f found) Source() string { return f.from }

func (k *keychain) host(name string) *host {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.hosts[name]
	if h == nil {
		h = &host{keychain: k, name: name, turn: make(chan struct{}, 1)}
		k.hosts[name] = h
	}
	return h
}

// take waits for the turn. A shared call instead would fail for all when the
// context of the one who made it ends.
func (h *host) take(ctx context.Context) error {
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *host) give() { <-h.turn }

// Authorization implements [authn.Authenticator].
func (h *host) Authorization() (*authn.AuthConfig, error) {
	return h.AuthorizationContext(context.Background()) //nolint:forbidigo // the interface has no context
}

// AuthorizationContext implements [authn.ContextAuthenticator]. Without
// credentials it is that of nobody.
func (h *host) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	if err := h.take(ctx); err != nil {
		return nil, err
	}
	defer h.give()
	if err := h.renew(ctx); err != nil {
		return nil, err
	}
	config := h.login.Config
	return &config, nil
}

// source says what the login rests on. The caller has the turn.
func (h *host) source() string {
	if h.nobody != nil {
		return fmt.Sprintf("no credentials for %s (%v)", h.keychain.Name, h.nobody)
	}
	return "the credentials for " + h.keychain.Name
}

// renew makes sure that the login is fresh. The caller has the turn.
func (h *host) renew(ctx context.Context) error {
	if h.keychain.Now().Before(h.fresh) {
		return nil
	}
	if err := h.ask(ctx); err != nil {
		return fmt.Errorf("credentials for %s: %w", h.keychain.Name, err)
	}
	return nil
}

// ask asks the provider. The caller has the turn.
func (h *host) ask(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	login, err := h.keychain.Login(limited, h.name)
	now := h.keychain.Now()
	nobody, none := errors.AsType[*Nobody](err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return fmt.Errorf("no answer within %v", patience)
	case none:
		h.login, h.nobody, h.fresh = Login{}, nobody, now.Add(doubt)
		return nil
	case err != nil:
		return err
	default:
		life := login.Expires.Sub(now)
		h.login, h.nobody, h.fresh = login, nil, login.Expires.Add(-min(margin, life/2))
		return nil
	}
}
