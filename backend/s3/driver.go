package s3

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// Driver returns the driver of locations such as
//
//	type=s3,bucket=b,region=eu-west-1,name=main
//	type=s3,bucket=b,endpoint_url=https://minio.example:9000,prefix=ci/,name=main;v1
//	s3://b/ci/?region=eu-west-1&name=main
//
// Beside BuildKit's attributes there are profile, role_arn, external_id,
// web_identity_token_file and anonymous, see [Options]; quirks and conditions,
// see [Quirks] and [Options.NoConditions]; and ca, a file of certificates in PEM
// that may certify the store.
func Driver() backend.Driver { return DriverWith(Options{}) }

// DriverWith returns the driver with options that a location cannot spell, such
// as injected credentials. What a location or the Mux says comes before them.
func DriverWith(defaults Options) backend.Driver {
	return backend.Driver{
		Type:  driverName,
		Attrs: append(attrs(), backend.CommonAttrs()...),
		Refs:  backend.RefSyntax{Attr: "name", Default: "buildkit"},
		URL:   backend.URLSyntax{Parse: parseURL, Format: formatURL},
		Open: func(ctx context.Context, l backend.Location, o backend.OpenOptions) (backend.Backend, error) {
			return open(ctx, l, o, defaults)
		},
	}
}

// attrs are BuildKit's attributes with its defaults and variables, and then our
// own. Storage leaves retries to wrappers.
func attrs() []backend.Attr {
	return []backend.Attr{
		{Name: "bucket", Required: true, Env: []string{"AWS_BUCKET"}},
		{Name: "region", Env: []string{"AWS_REGION", "AWS_DEFAULT_REGION"}},
		{Name: "endpoint_url", Check: backend.HTTPURL},
		{Name: "prefix", Empty: true},
		{Name: "manifests_prefix", Empty: true, Default: defaultManifests},
		{Name: "blobs_prefix", Empty: true, Default: defaultBlobs},
		{Name: "name"},
		{Name: "touch_refresh", Default: "24h", Check: backend.Duration},
		{Name: "access_key_id"},
		{Name: "secret_access_key", Secret: true},
		{Name: "session_token", Secret: true},
		{Name: "use_path_style", Check: backend.Bool},
		{Name: "upload_parallelism", Default: "4", Check: backend.IntBetween(1, 1000)},
		{Name: "disable_accept_encoding", Check: backend.Bool},
		{Name: "retry_mode", Inert: true, Check: backend.OneOf("standard", "adaptive")},
		{Name: "retry_max_attempts", Inert: true, Check: backend.IntBetween(1, 1_000_000)},

		{Name: "profile"},
		{Name: "role_arn"},
		{Name: "external_id", Secret: true},
		{Name: "web_identity_token_file"},
		{Name: "anonymous", Check: backend.Bool},
		{Name: "quirks", Check: backend.OneOf(Quirks()...)},
		{Name: "conditions", Check: backend.Bool},
		{Name: "ca", Env: []string{"AWS_CA_BUNDLE"}},
	}
}

func open(ctx context.Context, l backend.Location, o backend.OpenOptions, opts Options) (backend.Backend, error) {
	opts.Location, opts.Now = l.WithRef().String(), o.Now
	if o.Getenv != nil {
		opts.Getenv = o.Getenv
	}
	if o.Transport != nil {
		opts.Transport = o.Transport
	}
	for attr, field := range map[string]*string{
		"region": &opts.Region, "endpoint_url": &opts.Endpoint,
		"prefix":        &opts.Prefix,
		"access_key_id": &opts.AccessKeyID, "secret_access_key": &opts.SecretAccessKey, "session_token": &opts.SessionToken,
		"profile": &opts.Profile, "role_arn": &opts.RoleARN, "external_id": &opts.ExternalID,
		"web_identity_token_file": &opts.WebIdentityTokenFile, "quirks": &opts.Quirks,
	} {
		if value := l.Value(attr); value != "" {
			*field = value
		}
	}
	opts.BlobsPrefix, opts.ManifestsPrefix = new(l.Value("blobs_prefix")), new(l.Value("manifests_prefix"))
	opts, err := opts.with(l)
	if err != nil {
		return nil, &backend.Error{Op: "open", Backend: driverName, Kind: backend.Kind(err), Err: err}
	}
	b, err := Open(ctx, l.Value("bucket"), opts)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// with returns the options with those of a location that are no text. Their
// values were checked with it.
func (o Options) with(l backend.Location) (Options, error) {
	if style := l.Value("use_path_style"); style != "" {
		o.PathStyle = new(isTrue(style))
	}
	if anonymous := l.Value("anonymous"); anonymous != "" {
		o.Anonymous = isTrue(anonymous)
	}
	if conditions := l.Value("conditions"); conditions != "" {
		o.NoConditions = !isTrue(conditions)
	}
	o.SignWithoutEncoding = o.SignWithoutEncoding || isTrue(l.Value("disable_accept_encoding"))
	o.Concurrency, _ = strconv.Atoi(l.Value("upload_parallelism"))
	if o.RefreshAge == 0 {
		o.RefreshAge, _ = time.ParseDuration(l.Value("touch_refresh"))
	}
	if o.RefreshAge == 0 {
		o.RefreshAge = -1 // always
	}
	if file := l.Value("ca"); file != "" {
		pool, err := calls.Certificates(file)
		if err != nil {
			return o, fmt.Errorf("attribute ca: %w", err)
		}
		o.RootCAs = pool
	}
	return o, nil
}

func isTrue(value string) bool {
	is, _ := strconv.ParseBool(value)
	return is
}

// place returns the location of a bucket, without a ref and secrets.
func place(name string, o Options) string {
	given := map[string]string{}
	for attr, value := range map[string]string{
		"bucket": name, "region": o.Region, "endpoint_url": o.Endpoint, "prefix": o.Prefix,
	} {
		if value != "" {
			given[attr] = value
		}
	}
	for attr, value := range map[string]*string{"blobs_prefix": o.BlobsPrefix, "manifests_prefix": o.ManifestsPrefix} {
		if value != nil {
			given[attr] = *value
		}
	}
	m := &backend.Mux{}
	m.Register(Driver())
	l, err := m.Make(driverName, given)
	if err != nil {
		return "type=" + driverName
	}
	return l.String()
}

// bucketLike matches names of buckets that can be hosts.
var bucketLike = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)

// parseURL reads s3://bucket/prefix. The prefix is taken as it is, as that of
// the attribute: a slash at its end is not added.
func parseURL(u *url.URL) (map[string]string, error) {
	if u.Opaque != "" || u.Port() != "" {
		return nil, errors.New("want s3://bucket/prefix?name=ref")
	}
	found := map[string]string{}
	if u.Host != "" {
		found["bucket"] = u.Host
	}
	if prefix := strings.TrimPrefix(u.Path, "/"); prefix != "" {
		found["prefix"] = prefix
	}
	return found, nil
}

// formatURL is the inverse of parseURL.
func formatURL(attrs map[string]string) *url.URL {
	u := &url.URL{}
	if name := attrs["bucket"]; bucketLike.MatchString(name) {
		u.Host = name
		delete(attrs, "bucket")
	}
	if prefix := attrs["prefix"]; prefix != "" && u.Host != "" {
		u.Path = "/" + prefix
		delete(attrs, "prefix")
	}
	return u
}
