package acr_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/registry/acr"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/registrytest"
)

// identity is one of Entra's.
type identity struct {
	scopes []string
	err    error
}

func (i *identity) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	i.scopes = append(i.scopes, o.Scopes...)
	return azcore.AccessToken{Token: "s3cret-of-entra", ExpiresOn: time.Now().Add(time.Hour)}, i.err
}

// exchange is what registries of Azure have beside the protocol; everything
// else is for the next.
// Source: github.com/Azure/acr, docs/AAD-OAuth.md.
type exchange struct {
	next     http.RoundTripper
	status   int
	services []string
}

func (e *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path != "/oauth2/exchange" {
		return e.next.RoundTrip(req)
	}
	w := httptest.NewRecorder()
	switch {
	case req.Method != http.MethodPost || req.URL.Scheme != "https":
		w.WriteHeader(http.StatusMethodNotAllowed)
	case e.status != 0:
		w.WriteHeader(e.status)
	case req.FormValue("grant_type") != "access_token" || req.FormValue("access_token") != "s3cret-of-entra":
		w.WriteHeader(http.StatusUnauthorized)
	default:
		e.services = append(e.services, req.FormValue("service"))
		fmt.Fprintf(w, `{"refresh_token":"refresh-%d"}`, len(e.services))
	}
	return w.Result(), nil
}

func resolve(t *testing.T, k authn.Keychain, host string) (authn.Authenticator, error) {
	t.Helper()
	r, err := name.NewRegistry(host)
	if err != nil {
		t.Fatal(err)
	}
	return authn.Resolve(t.Context(), k, r)
}

func TestHosts(t *testing.T) {
	for host, scope := range map[string]string{
		"team.azurecr.io": "https://management.azure.com/.default",
		"team.azurecr.us": "https://management.usgovcloudapi.net/.default",
		"team.azurecr.cn": "https://management.chinacloudapi.cn/.default",
		"azurecr.io":      "", "team.azurecr.io.evil.test": "", "ghcr.io": "",
	} {
		i, e := &identity{}, &exchange{}
		auth, err := resolve(t, acr.Keychain(acr.Options{Credential: i, Transport: e}), host)
		switch {
		case err != nil:
			t.Errorf("Resolve(%s) = %v, want nil", host, err)
		case scope == "" && (auth != authn.Anonymous || len(i.scopes) > 0):
			t.Errorf("Resolve(%s) = %v and asked for %q, want anonymous", host, auth, i.scopes)
		case scope != "" && (strings.Join(i.scopes, " ") != scope || strings.Join(e.services, " ") != host):
			t.Errorf("Resolve(%s) asked for %q and %q, want %s and the host", host, i.scopes, e.services, scope)
		}
	}
}

func TestTokenIsKept(t *testing.T) {
	now := time.Now()
	k := acr.Keychain(acr.Options{Credential: &identity{}, Transport: &exchange{}, Now: func() time.Time { return now }})
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, "refresh-1"}, {170 * time.Minute, "refresh-1"}, {6 * time.Minute, "refresh-2"}} {
		now = now.Add(step.after)
		auth, err := resolve(t, k, "team.azurecr.io")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := authn.Authorization(t.Context(), auth); err != nil || got.IdentityToken != step.want {
			t.Errorf("after %v: %+v, %v, want the identity token %s", step.after, got, err, step.want)
		}
	}
}

// TestFailures tells an identity that is refused from one that is not there.
func TestFailures(t *testing.T) {
	unavailable := errors.New("no identity was found")
	for _, test := range []struct {
		name     string
		identity error
		exchange int
		nobody   bool
		says     string
	}{
		{"none", unavailable, 0, true, "no identity was found"},
		{"refused by Entra", &azidentity.AuthenticationFailedError{}, 0, false, ""},
		{"refused by the registry", nil, http.StatusUnauthorized, false, "team.azurecr.io answered 401"},
		{"no answer but a page", nil, http.StatusNoContent, false, "team.azurecr.io answered 204"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := acr.Keychain(acr.Options{Credential: &identity{err: test.identity}, Transport: &exchange{status: test.exchange}})
			auth, err := resolve(t, k, "team.azurecr.io")
			if (err == nil) != test.nobody {
				t.Fatalf("Resolve() = %v, want nobody: %t", err, test.nobody)
			}
			said := fmt.Sprint(err)
			if test.nobody {
				source, ok := auth.(interface{ Source() string })
				if !ok {
					t.Fatalf("Resolve() = %T, want one that knows its source", auth)
				}
				said = source.Source()
			}
			if !strings.Contains(said, test.says) || strings.Contains(said, "s3cret") {
				t.Errorf("Resolve() says %q, want %q and no secret", said, test.says)
			}
		})
	}
}

// TestRegistry stores in a registry that takes the tokens it has exchanged.
func TestRegistry(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{TLS: true, Auth: &registrytest.Auth{
		Tokens: true, Users: []registrytest.User{{Name: "builder", Password: "unused", IdentityToken: "refresh-1"}},
	}})
	everywhere := s.Everywhere()
	defer everywhere.CloseIdleConnections()
	through := &exchange{next: everywhere}
	b, err := registry.Open(t.Context(), "team.azurecr.io/cache", registry.Options{
		Keychain: acr.Keychain(acr.Options{Credential: &identity{}, Transport: through}), Transport: through,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	data := []byte("layer")
	if err := b.Put(t.Context(), blob.Describe("application/octet-stream", data), blob.Bytes(data)); err != nil {
		t.Errorf("Put() = %v, want nil", err)
	}
	if source, err := b.Authenticate(t.Context(), true); err != nil || source != "the credentials for Azure Container Registry" {
		t.Errorf("Authenticate() = %q, %v, want the credentials for Azure Container Registry", source, err)
	}
}
