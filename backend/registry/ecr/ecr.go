// Package ecr logs in to Amazon's Elastic Container Registry with the
// credentials of AWS, as amazon-ecr-credential-helper does, without a helper:
//
//	registry.DriverWith(registry.Options{Keychain: authn.NewMultiKeychain(
//		registry.DockerKeychain(os.Getenv), ecr.Keychain(ecr.Options{}),
//	)})
package ecr

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-build/larder/backend/registry/internal/cloud"
)

// Options change how a keychain logs in. The zero value is right on a machine
// that is configured for AWS.
type Options struct {
	// Config is how AWS is reached; its region does not matter. Nil means the
	// default of AWS's SDK, from the environment, the shared files and the
	// machine's role, which is looked for when a login is first needed.
	Config *aws.Config
	// Now is the clock that logins expire by; nil means [time.Now].
	Now func() time.Time
}

// Keychain returns a keychain for the private registries of all accounts and
// for public.ecr.aws, which also serves those without credentials. It finds
// nothing for other hosts. A login is kept until shortly before its end, twelve
// hours after it was asked for.
func Keychain(o Options) authn.Keychain {
	return cloud.Provider{
		Name:   "Amazon ECR",
		Serves: func(host string) bool { return host == publicHost || private.MatchString(host) },
		Login:  o.login,
		Now:    o.Now,
	}.Keychain()
}

// publicHost is the one of public registries, whose API is in one region.
// Source: docs.aws.amazon.com, "Amazon ECR Public endpoints".
const (
	publicHost   = "public.ecr.aws"
	publicRegion = "us-east-1"
)

// private matches ACCOUNT.dkr.ecr.REGION.amazonaws.com, in all partitions, with
// FIPS, and over IPv6 too. Source: docs.aws.amazon.com, "Amazon ECR endpoints".
var private = regexp.MustCompile(`^\d{12}\.dkr[.-]ecr(-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.(?:com|com\.cn|eu)|on\.aws|on\.amazonwebservices\.com\.cn|(?:sc2s\.sgov|c2s\.ic)\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)$`)

func (o Options) login(ctx context.Context, host string) (cloud.Login, error) {
	config, err := o.config(ctx)
	if err != nil {
		return cloud.Login{}, err
	}
	if host == publicHost {
		return loginPublic(ctx, config)
	}
	// A token is good for every registry of the region that its owner may use.
	match := private.FindStringSubmatch(host)
	client := ecr.NewFromConfig(config, func(o *ecr.Options) {
		o.Region = match[2]
		if match[1] != "" {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
	})
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return cloud.Login{}, err
	}
	if len(out.AuthorizationData) == 0 {
		return cloud.Login{}, errors.New("ECR granted no token")
	}
	return decode(out.AuthorizationData[0].AuthorizationToken, out.AuthorizationData[0].ExpiresAt)
}

func (o Options) config(ctx context.Context) (aws.Config, error) {
	if o.Config != nil {
		return o.Config.Copy(), nil
	}
	return config.LoadDefaultConfig(ctx)
}

func loginPublic(ctx context.Context, config aws.Config) (cloud.Login, error) {
	if config.Credentials == nil {
		return cloud.Login{}, &cloud.Nobody{Err: errors.New("AWS's configuration has none")}
	}
	if _, err := config.Credentials.Retrieve(ctx); err != nil {
		return cloud.Login{}, &cloud.Nobody{Err: err}
	}
	client := ecrpublic.NewFromConfig(config, func(o *ecrpublic.Options) { o.Region = publicRegion })
	out, err := client.GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return cloud.Login{}, err
	}
	if out.AuthorizationData == nil {
		return cloud.Login{}, errors.New("ECR granted no token")
	}
	return decode(out.AuthorizationData.AuthorizationToken, out.AuthorizationData.ExpiresAt)
}

// decode reads a token, which is a name and a password.
func decode(token *string, expires *time.Time) (cloud.Login, error) {
	data, err := base64.StdEncoding.DecodeString(aws.ToString(token))
	name, password, ok := strings.Cut(string(data), ":")
	if err != nil || !ok || expires == nil {
		return cloud.Login{}, fmt.Errorf("ECR granted a token of %d bytes that is not a name and a password with an end", len(data))
	}
	return cloud.Login{Config: authn.AuthConfig{Username: name, Password: password}, Expires: *expires}, nil
}
