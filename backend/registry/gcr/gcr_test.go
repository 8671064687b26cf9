package gcr_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/registry/gcr"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/registrytest"
)

// tokens grants numbered tokens for an hour each.
type tokens struct {
	now     func() time.Time
	granted int
	err     error
}

func (s *tokens) Token(context.Context) (*auth.Token, error) {
	s.granted++
	return &auth.Token{Value: fmt.Sprint("token-", s.granted), Expiry: s.now().Add(time.Hour)}, s.err
}

func resolve(t *testing.T, k authn.Keychain, host string) (authn.Authenticator, error) {
	t.Helper()
	r, err := name.NewRegistry(host)
	if err != nil {
		t.Fatal(err)
	}
	return authn.Resolve(t.Context(), k, r)
}

// mustGrant checks the login that a keychain finds.
func mustGrant(t *testing.T, k authn.Keychain, password string) {
	t.Helper()
	found, err := resolve(t, k, "europe-docker.pkg.dev")
	if err != nil {
		t.Fatalf("Resolve() = %v, want nil", err)
	}
	got, err := authn.Authorization(t.Context(), found)
	if err != nil || got.Username != "oauth2accesstoken" || got.Password != password {
		t.Errorf("Authorization() = %+v, %v, want oauth2accesstoken with %s", got, err, password)
	}
}

func TestHosts(t *testing.T) {
	for host, want := range map[string]int{
		"gcr.io": 1, "eu.gcr.io": 1, "europe-docker.pkg.dev": 1,
		"pkg.dev": 0, "evilgcr.io": 0, "gcr.io.evil.test": 0, "ghcr.io": 0,
	} {
		s := &tokens{now: time.Now}
		if _, err := resolve(t, gcr.Keychain(gcr.Options{Tokens: s}), host); err != nil || s.granted != want {
			t.Errorf("Resolve(%s) = %v with %d tokens, want %d", host, err, s.granted, want)
		}
	}
}

func TestTokenIsKept(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	k := gcr.Keychain(gcr.Options{Tokens: &tokens{now: clock}, Now: clock})
	mustGrant(t, k, "token-1")
	now = now.Add(50 * time.Minute)
	mustGrant(t, k, "token-1")
	now = now.Add(8 * time.Minute)
	mustGrant(t, k, "token-2")
}

func TestFailure(t *testing.T) {
	broken := errors.New("the key is revoked")
	if _, err := resolve(t, gcr.Keychain(gcr.Options{Tokens: &tokens{now: time.Now, err: broken}}), "gcr.io"); !errors.Is(err, broken) {
		t.Errorf("Resolve() = %v, want %v", err, broken)
	}
}

// metadata is the service that tells machines of Google's who they are.
// Source: docs.cloud.google.com, "Access tokens from the metadata server".
func metadata(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Metadata-Flavor") != "Google":
		w.WriteHeader(http.StatusForbidden)
	case strings.HasSuffix(r.URL.Path, "/service-accounts/default/token"):
		w.Header().Set("Metadata-Flavor", "Google")
		fmt.Fprint(w, `{"access_token":"token-of-the-machine","expires_in":3599,"token_type":"Bearer"}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// isolate leaves no credentials but those that a test adds.
func isolate(t *testing.T) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("APPDATA", t.TempDir())
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
}

func TestMachine(t *testing.T) {
	isolate(t)
	s := httptest.NewServer(http.HandlerFunc(metadata))
	defer s.Close()
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(s.URL, "http://"))
	mustGrant(t, gcr.Keychain(gcr.Options{}), "token-of-the-machine")
}

// TestServiceAccount exchanges the key in a file for a token.
// Source: developers.google.com, "Using OAuth 2.0 for Server to Server Applications".
func TestServiceAccount(t *testing.T) {
	isolate(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.FormValue("grant_type"); got != "urn:ietf:params:oauth:grant-type:jwt-bearer" || r.FormValue("assertion") == "" {
			t.Errorf("grant_type = %q with assertion %q, want a signed one", got, r.FormValue("assertion"))
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"token-of-the-account","expires_in":3599,"token_type":"Bearer"}`)
	}))
	defer s.Close()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "builder@project.example", "token_uri": s.URL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(file, account, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	mustGrant(t, gcr.Keychain(gcr.Options{}), "token-of-the-account")
}

func TestBrokenFile(t *testing.T) {
	isolate(t)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "absent.json"))
	if _, err := resolve(t, gcr.Keychain(gcr.Options{}), "gcr.io"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Resolve(a file that is not there) = %v, want %v", err, os.ErrNotExist)
	}
}

// TestNobody runs itself again in a process that has not found the metadata
// service, which the library remembers: without credentials the registry is used
// as nobody.
func TestNobody(t *testing.T) {
	const again = "LARDER_TEST_NOBODY"
	if os.Getenv(again) == "" {
		isolate(t)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNobody$", "-test.v")
		cmd.Env = append(os.Environ(), again+"=1", "GCE_METADATA_HOST=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("in a process of its own: %v\n%s", err, out)
		}
		return
	}
	found, err := resolve(t, gcr.Keychain(gcr.Options{}), "gcr.io")
	if err != nil {
		t.Fatalf("Resolve() = %v, want nil", err)
	}
	source, ok := found.(interface{ Source() string })
	if !ok || !strings.HasPrefix(source.Source(), "no credentials for Google Artifact Registry (") {
		t.Errorf("Resolve() = %v of %v, want no credentials, unless this is a machine of Google's", found, source)
	}
}

// TestRegistry stores in a registry that takes what Google grants.
func TestRegistry(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{TLS: true, Auth: &registrytest.Auth{
		Tokens: true, Users: []registrytest.User{{Name: "oauth2accesstoken", Password: "token-1"}},
	}})
	everywhere := s.Everywhere()
	defer everywhere.CloseIdleConnections()
	b, err := registry.Open(t.Context(), "europe-docker.pkg.dev/project/repository/cache", registry.Options{
		Keychain: gcr.Keychain(gcr.Options{Tokens: &tokens{now: time.Now}}), Transport: everywhere,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	data := []byte("layer")
	if err := b.Put(t.Context(), blob.Describe("application/octet-stream", data), blob.Bytes(data)); err != nil {
		t.Errorf("Put() = %v, want nil", err)
	}
	if source, err := b.Authenticate(t.Context(), true); err != nil || source != "the credentials for Google Artifact Registry" {
		t.Errorf("Authenticate() = %q, %v, want the credentials for Google Artifact Registry", source, err)
	}
}
