package registry_test

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/registrytest"
)

var accounts = []registrytest.User{
	{Name: "writer", Password: "s3cret-of-writer", IdentityToken: "s3cret-identity"},
	{Name: "reader", Password: "s3cret-of-reader", ReadOnly: true},
}

// protections are the ways in which a registry is protected.
func protections() map[string]*registrytest.Auth {
	return map[string]*registrytest.Auth{
		"basic": {Users: accounts},
		"token": {Users: accounts, Tokens: true},
	}
}

// TestRights reads and writes in the name of several users.
func TestRights(t *testing.T) {
	for kind, auth := range protections() {
		s := registrytest.New(t, registrytest.Options{Auth: auth})
		d := describe(content(1, 100))
		s.PutBlob("a/b", content(1, 100))
		for _, test := range []struct {
			name        string
			keychain    authn.Keychain
			read, write error
			source      string
		}{
			{"writer", login("writer", "s3cret-of-writer"), nil, nil, ""},
			{"reader", login("reader", "s3cret-of-reader"), nil, backend.ErrDenied, "the application's keychain"},
			{"wrong password", login("writer", "s3cret-but-wrong"), backend.ErrDenied, backend.ErrDenied, "the application's keychain"},
			{"nobody", authn.NewMultiKeychain(), backend.ErrDenied, backend.ErrDenied, "no credentials"},
		} {
			t.Run(kind+"/"+test.name, func(t *testing.T) {
				b := open(t, s.Host+"/a/b", registry.Options{Keychain: test.keychain})
				_, stat := b.Stat(t.Context(), d.Digest)
				_, get := read(t.Context(), b, d, 0, -1)
				write := content(2, 100)
				for call, got := range map[string]struct{ err, want error }{
					"Stat": {stat, test.read}, "Open": {get, test.read},
					"Put": {b.Put(t.Context(), describe(write), blob.Bytes(write)), test.write},
				} {
					switch {
					case !errors.Is(got.err, got.want):
						t.Errorf("%s() = %v, want %v", call, got.err, got.want)
					case got.want != nil && !strings.Contains(got.err.Error(), test.source):
						t.Errorf("%s() = %v, want it to name %q", call, got.err, test.source)
					case got.err != nil && strings.Contains(got.err.Error(), "s3cret"):
						t.Errorf("%s() = %v, want no secret in it", call, got.err)
					}
				}
			})
		}
	}
}

func TestAuthenticate(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Users: accounts, Tokens: true}})
	b := open(t, s.Host+"/a/b", registry.Options{Keychain: login("writer", "s3cret-of-writer")})
	for _, write := range []bool{false, true} {
		if source, err := b.Authenticate(t.Context(), write); err != nil || source != "the application's keychain" {
			t.Errorf("Authenticate(%t) = %q, %v, want the application's keychain", write, source, err)
		}
	}
	wrong := open(t, s.Host+"/a/b", registry.Options{Keychain: login("writer", "wrong")})
	if source, err := wrong.Authenticate(t.Context(), true); !errors.Is(err, backend.ErrDenied) || source == "" {
		t.Errorf("Authenticate(wrong password) = %q, %v, want a source and %v", source, err, backend.ErrDenied)
	}
}

func TestIdentityToken(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Users: accounts, Tokens: true}})
	b := open(t, s.Host+"/a/b", registry.Options{Keychain: keychain{authn.FromConfig(authn.AuthConfig{IdentityToken: "s3cret-identity"})}})
	put(t, b, content(1, 100))
}

// TestChallengeOnWrite writes to a registry that lets everybody in until
// somebody writes.
func TestChallengeOnWrite(t *testing.T) {
	for kind, auth := range protections() {
		t.Run(kind, func(t *testing.T) {
			auth.ChallengeOnWrite = true
			s := registrytest.New(t, registrytest.Options{Auth: auth})
			b := open(t, s.Host+"/a/b", registry.Options{Keychain: login("writer", "s3cret-of-writer")})
			d := describe(content(1, 100))
			if _, err := b.Stat(t.Context(), d.Digest); err != nil {
				t.Errorf("Stat() = %v, want nil", err)
			}
			put(t, b, content(1, 100))
			nobody := open(t, s.Host+"/a/b", registry.Options{})
			if _, err := read(t.Context(), nobody, d, 0, -1); err != nil {
				t.Errorf("Open() by nobody = %v, want nil", err)
			}
			fresh := content(2, 100)
			if err := nobody.Put(t.Context(), describe(fresh), blob.Bytes(fresh)); !errors.Is(err, backend.ErrDenied) {
				t.Errorf("Put() by nobody = %v, want %v", err, backend.ErrDenied)
			}
		})
	}
}

// TestTokensAreRenewed lets tokens expire by the clock and by the registry's
// decision.
func TestTokensAreRenewed(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Users: accounts, Tokens: true}})
	var passed atomic.Int64
	now := time.Now()
	b := open(t, s.Host+"/a/b", registry.Options{
		Keychain: login("writer", "s3cret-of-writer"),
		Now:      func() time.Time { return now.Add(time.Duration(passed.Load())) },
	})
	tokens := func() int { defer s.Forget(); return s.Count(registrytest.OpToken) }
	put(t, b, content(1, 100))
	put(t, b, content(2, 100))
	if got := tokens(); got != 1 {
		t.Errorf("two Put() took %d tokens, want 1", got)
	}
	passed.Store(int64(4*time.Minute + 55*time.Second)) // of five minutes
	put(t, b, content(3, 100))
	if got := tokens(); got != 1 {
		t.Errorf("Put() with a token in its last seconds took %d new ones, want 1", got)
	}
	s.RevokeTokens()
	put(t, b, content(4, 100))
	if got := tokens(); got != 1 {
		t.Errorf("Put() with a token revoked took %d new ones, want 1", got)
	}
}

// TestTokenRevokedBetweenRequests revokes it when an upload has begun, so that
// the content has to be read again.
func TestTokenRevokedBetweenRequests(t *testing.T) {
	for _, chunk := range []int64{0, 10_000} {
		s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Users: accounts, Tokens: true}})
		b := open(t, s.Host+"/a/b", registry.Options{Keychain: login("writer", "s3cret-of-writer"), ChunkSize: chunk})
		data := content(1, 100_000)
		var revoked atomic.Bool
		ctx := backend.WithTrace(t.Context(), &backend.Trace{Request: func(op string) {
			if strings.HasPrefix(op, "upload") && revoked.CompareAndSwap(false, true) {
				s.RevokeTokens()
			}
		}})
		if err := b.Put(ctx, describe(data), blob.Bytes(data)); err != nil {
			t.Errorf("Put(chunks of %d, token revoked) = %v, want nil", chunk, err)
		}
		if got, err := read(t.Context(), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
			t.Errorf("Open() = %d bytes, %v, want what was put", len(got), err)
		}
	}
}

// countingKeychain counts how often it is asked.
type countingKeychain struct {
	keychain

	asked *atomic.Int32
}

func (k countingKeychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	k.asked.Add(1)
	return k.keychain.Resolve(r)
}

// TestKeychainIsAskedOnce asks from many goroutines at once.
func TestKeychainIsAskedOnce(t *testing.T) {
	for kind, auth := range protections() {
		s := registrytest.New(t, registrytest.Options{Auth: auth})
		asked := new(atomic.Int32)
		found := keychain{&authn.Basic{Username: "writer", Password: "s3cret-of-writer"}}
		b := open(t, s.Host+"/a/b", registry.Options{Keychain: countingKeychain{found, asked}})
		digests := make([]blob.Digest, 100)
		for i := range digests {
			digests[i] = describe(content(i, 8)).Digest
		}
		if _, err := b.Stat(t.Context(), digests...); err != nil {
			t.Fatal(err)
		}
		if got := asked.Load(); got != 1 {
			t.Errorf("%s: Stat(100 blobs) asked the keychain %d times, want once", kind, got)
		}
		if got := s.Count(registrytest.OpToken); got > 1 {
			t.Errorf("%s: Stat(100 blobs) asked for %d tokens, want one", kind, got)
		}
	}
}

func TestKeychainFails(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Users: accounts}})
	broken := errors.New("the vault is sealed")
	b := open(t, s.Host+"/a/b", registry.Options{Keychain: failingKeychain{broken}})
	_, err := b.GetRef(t.Context(), "main")
	if !errors.Is(err, backend.ErrDenied) || !errors.Is(err, broken) {
		t.Errorf("GetRef() = %v, want %v and %v", err, backend.ErrDenied, broken)
	}
}

type failingKeychain struct{ err error }

func (k failingKeychain) Resolve(authn.Resource) (authn.Authenticator, error) { return nil, k.err }

// TestRedirectsGetNoAuthorization reads from a store that refuses requests with
// one.
func TestRedirectsGetNoAuthorization(t *testing.T) {
	for kind, auth := range protections() {
		s := registrytest.New(t, registrytest.Options{Auth: auth, Reads: registrytest.Reads{RedirectBlobs: true}})
		b := open(t, s.Host+"/a/b", registry.Options{Keychain: login("writer", "s3cret-of-writer")})
		data := content(1, 1000)
		d := put(t, b, data)
		if got, err := read(t.Context(), b, d, 10, 20); err != nil || !bytes.Equal(got, data[10:30]) {
			t.Errorf("%s: Open(10, 20) = %q, %v, want %q", kind, got, err, data[10:30])
		}
	}
}
