package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/larder-build/larder/backend"
)

// identity is whose requests are sent.
type identity struct {
	provider aws.CredentialsProvider
	// source says where the credentials come from, without any of them.
	source string
	// region is what the shared configuration says, or "".
	region string
}

// checkCredentials returns what is wrong with the choice of credentials.
func (o Options) checkCredentials() error {
	static := o.AccessKeyID != "" || o.SecretAccessKey != "" || o.SessionToken != ""
	switch {
	case static && (o.AccessKeyID == "" || o.SecretAccessKey == ""):
		return invalidf("attributes access_key_id and secret_access_key are given together or not at all")
	case o.Anonymous && (static || o.Profile != "" || o.RoleARN != "" || o.Credentials != nil):
		return invalidf("attribute anonymous contradicts the credentials that are given")
	case static && o.Profile != "":
		return invalidf("attributes access_key_id and profile contradict each other")
	case o.RoleARN == "" && (o.ExternalID != "" || o.WebIdentityTokenFile != ""):
		return invalidf("attributes external_id and web_identity_token_file need role_arn")
	case o.WebIdentityTokenFile != "" && (static || o.ExternalID != ""):
		return invalidf("attribute web_identity_token_file contradicts access_key_id and external_id")
	default:
		return nil
	}
}

// identify finds the credentials. Those of AWS's configuration are looked for
// only if a profile is named or the environment may be consulted.
func (o Options) identify(ctx context.Context) (identity, error) {
	if err := o.checkCredentials(); err != nil {
		return identity{}, err
	}
	switch {
	case o.Anonymous:
		return identity{provider: aws.AnonymousCredentials{}, source: "none, as attribute anonymous says"}, nil
	case o.Credentials != nil && o.RoleARN == "":
		return identity{provider: cached(o.Credentials), source: "the application"}, nil
	case o.AccessKeyID != "" && o.RoleARN == "":
		return identity{provider: o.static(), source: "attributes access_key_id and secret_access_key"}, nil
	}
	cfg, source, err := o.load(ctx)
	if err != nil {
		return identity{}, err
	}
	id := identity{provider: cfg.Credentials, source: source, region: cfg.Region}
	if o.RoleARN != "" {
		id.provider, id.source = o.assume(cfg), "role "+o.RoleARN+" by "+source
	}
	return id, nil
}

func (o Options) static() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(o.AccessKeyID, o.SecretAccessKey, o.SessionToken)
}

// cached keeps credentials until shortly before they expire.
func cached(p aws.CredentialsProvider) *aws.CredentialsCache {
	if c, ok := p.(*aws.CredentialsCache); ok {
		return c
	}
	return aws.NewCredentialsCache(p)
}

// load returns AWS's configuration with the credentials to begin with.
func (o Options) load(ctx context.Context) (cfg aws.Config, source string, err error) {
	with := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if o.Region != "" {
		with = append(with, config.WithRegion(o.Region))
	}
	switch {
	case o.Credentials != nil:
		with, source = append(with, config.WithCredentialsProvider(o.Credentials)), "the application"
	case o.AccessKeyID != "":
		with, source = append(with, config.WithCredentialsProvider(o.static())), "attributes access_key_id and secret_access_key"
	case o.WebIdentityTokenFile != "":
		with, source = append(with, config.WithCredentialsProvider(aws.AnonymousCredentials{})), "web identity in "+o.WebIdentityTokenFile
	case o.Profile != "":
		with, source = append(with, config.WithSharedConfigProfile(o.Profile)), "profile "+o.Profile
	case o.Getenv == nil:
		return cfg, "", invalidf("no credentials: set access_key_id and secret_access_key, profile, or anonymous=true")
	default:
		source = "the default chain of AWS"
	}
	cfg, err = o.loadWith(ctx, with)
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return cfg, "", invalidf("attribute profile: there is no profile %q in AWS's configuration files", missing.Profile)
	}
	if err != nil {
		return cfg, "", fmt.Errorf("%w: AWS's configuration: %w", backend.ErrInvalid, err)
	}
	return cfg, source, nil
}

// loadWith loads the configuration, with the transport that was given. The SDK
// refuses one if AWS_CA_BUNDLE is set, and then uses its own.
func (o Options) loadWith(ctx context.Context, with []func(*config.LoadOptions) error) (aws.Config, error) {
	if o.Transport != nil {
		client := config.WithHTTPClient(&http.Client{Transport: o.Transport})
		if cfg, err := config.LoadDefaultConfig(ctx, append(with, client)...); err == nil {
			return cfg, nil
		}
	}
	return config.LoadDefaultConfig(ctx, with...)
}

// assume returns the credentials of the role.
func (o Options) assume(cfg aws.Config) aws.CredentialsProvider {
	if cfg.Region == "" {
		cfg.Region = "us-east-1" // where the token service answers for all
	}
	client := sts.NewFromConfig(cfg)
	if o.WebIdentityTokenFile != "" {
		return cached(stscreds.NewWebIdentityRoleProvider(client, o.RoleARN, stscreds.IdentityTokenFile(o.WebIdentityTokenFile)))
	}
	return cached(stscreds.NewAssumeRoleProvider(client, o.RoleARN, func(a *stscreds.AssumeRoleOptions) {
		if o.ExternalID != "" {
			a.ExternalID = aws.String(o.ExternalID)
		}
	}))
}

// renew forgets credentials that the store says have expired. It reports
// whether there may be others.
func (id identity) renew() bool {
	cache, ok := id.provider.(*aws.CredentialsCache)
	if ok {
		cache.Invalidate()
	}
	return ok
}
