// Package acr logs in to Azure Container Registry with an identity of Microsoft
// Entra, without a helper:
//
//	registry.DriverWith(registry.Options{Keychain: authn.NewMultiKeychain(
//		registry.DockerKeychain(os.Getenv), acr.Keychain(acr.Options{}),
//	)})
package acr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/go-containerregistry/pkg/authn"

	login "github.com/larder-build/larder/backend/registry/internal/cloud"
)

// Options change how a keychain logs in. The zero value is right on a machine
// that is configured for Azure.
type Options struct {
	// Credential is the identity. Nil means the default of Azure's SDK, from
	// the environment, a workload's or the machine's identity, or the tools of
	// Azure, which is looked for when a login is first needed.
	Credential azcore.TokenCredential
	// Transport sends the requests to registries; nil means
	// [http.DefaultTransport].
	Transport http.RoundTripper
	// Now is the clock that logins expire by; nil means [time.Now].
	Now func() time.Time
}

// Keychain returns a keychain for the registries of Azure, which may also serve
// those without credentials. It finds nothing for other hosts. A login is kept
// until shortly before its end, three hours after it was asked for.
func Keychain(o Options) authn.Keychain {
	return login.Provider{
		Name:   "Azure Container Registry",
		Serves: func(host string) bool { return regionOf(host) != nil },
		Login:  o.login,
		Now:    o.Now,
	}.Keychain()
}

// region is one of Azure's clouds.
type region struct {
	cloud cloud.Configuration
	// scope is that of tokens for managing resources, which registries take.
	scope string
}

// regionOf returns the cloud of a registry, or nil if it is not Azure's.
// Source: learn.microsoft.com, "Compare Azure Government and global Azure" and
// "Azure China developer guide".
func regionOf(host string) *region {
	switch {
	case strings.HasSuffix(host, ".azurecr.io"):
		return &region{cloud.AzurePublic, "https://management.azure.com/.default"}
	case strings.HasSuffix(host, ".azurecr.us"):
		return &region{cloud.AzureGovernment, "https://management.usgovcloudapi.net/.default"}
	case strings.HasSuffix(host, ".azurecr.cn"):
		return &region{cloud.AzureChina, "https://management.chinacloudapi.cn/.default"}
	default:
		return nil
	}
}

func (o Options) login(ctx context.Context, host string) (login.Login, error) {
	r := regionOf(host)
	identity := o.Credential
	if identity == nil {
		found, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
			ClientOptions: policy.ClientOptions{Cloud: r.cloud},
		})
		if err != nil {
			return login.Login{}, err
		}
		identity = found
	}
	token, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{r.scope}})
	if err != nil {
		return login.Login{}, missing(err)
	}
	return o.exchange(ctx, host, token.Token)
}

// missing tells that there is no identity from one that is refused.
func missing(err error) error {
	if _, refused := errors.AsType[*azidentity.AuthenticationFailedError](err); refused {
		return err
	}
	return &login.Nobody{Err: err}
}

const (
	// lifetime is that of a refresh token.
	lifetime = 3 * time.Hour
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 10
)

// exchange makes an access token of Entra's a refresh token of the registry's,
// which in turn grants access to repositories.
// Source: github.com/Azure/acr, docs/AAD-OAuth.md, "Calling POST /oauth2/exchange".
func (o Options) exchange(ctx context.Context, host, token string) (login.Login, error) {
	form := url.Values{"grant_type": {"access_token"}, "service": {host}, "access_token": {token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+host+"/oauth2/exchange", strings.NewReader(form.Encode()))
	if err != nil {
		return login.Login{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	asked := o.now()
	resp, err := client.Do(req)
	if err != nil {
		return login.Login{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Token string `json:"refresh_token"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer)
	if resp.StatusCode != http.StatusOK || err != nil || answer.Token == "" {
		return login.Login{}, fmt.Errorf("%s answered %s to the identity's token, want a token of its own", host, resp.Status)
	}
	return login.Login{Config: authn.AuthConfig{IdentityToken: answer.Token}, Expires: asked.Add(lifetime)}, nil
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}
