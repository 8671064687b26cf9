// Package gcr logs in to Google's Artifact Registry and to Container Registry
// with the application default credentials, without a helper:
//
//	registry.DriverWith(registry.Options{Keychain: authn.NewMultiKeychain(
//		registry.DockerKeychain(os.Getenv), gcr.Keychain(gcr.Options{}),
//	)})
package gcr

import (
	"context"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-build/larder/backend/registry/internal/cloud"
)

// Options change how a keychain logs in. The zero value is right on a machine
// that is configured for Google Cloud.
type Options struct {
	// Tokens grants access tokens for the scope of the whole platform. Nil means
	// the application default credentials: a file that
	// GOOGLE_APPLICATION_CREDENTIALS names, that of gcloud auth
	// application-default login, or the machine's service account, which are
	// looked for when a login is first needed.
	Tokens auth.TokenProvider
	// Now is the clock that logins expire by; nil means [time.Now].
	Now func() time.Time
}

// Keychain returns a keychain for gcr.io and pkg.dev with all hosts below them,
// which also serve those without credentials. It finds nothing for other hosts.
// A login is kept until shortly before its end, an hour after it was asked for.
func Keychain(o Options) authn.Keychain {
	return cloud.Provider{
		Name:   "Google Artifact Registry",
		Serves: serves,
		Login:  o.login,
		Now:    o.Now,
	}.Keychain()
}

func serves(host string) bool {
	return host == "gcr.io" || strings.HasSuffix(host, ".gcr.io") || strings.HasSuffix(host, ".pkg.dev")
}

// platform is the scope that reading and writing takes.
const platform = "https://www.googleapis.com/auth/cloud-platform"

// user is the name that goes with an access token as a password.
// Source: docs.cloud.google.com, "Configure authentication to Artifact Registry
// for Docker", access token.
const user = "oauth2accesstoken"

func (o Options) login(ctx context.Context, _ string) (cloud.Login, error) {
	tokens := o.Tokens
	if tokens == nil {
		found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{platform}})
		if err != nil {
			return cloud.Login{}, missing(err)
		}
		tokens = found
	}
	token, err := tokens.Token(ctx)
	if err != nil {
		return cloud.Login{}, err
	}
	return cloud.Login{Config: authn.AuthConfig{Username: user, Password: token.Value}, Expires: token.Expiry}, nil
}

// missing tells that there are no credentials from those that are broken, for
// which the library has no error to compare with.
func missing(err error) error {
	if strings.Contains(err.Error(), "could not find default credentials") {
		return &cloud.Nobody{Err: err}
	}
	return err
}
