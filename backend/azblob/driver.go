package azblob

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/larder-build/larder/backend"
)

// driverName is the type of locations in Azure Blob Storage.
const driverName = "azblob"

// Driver returns the driver of locations such as
//
//	type=azblob,account_url=https://acme.blob.core.windows.net,container=cache,name=main
//	azblob://acme.blob.core.windows.net/cache/team-a?name=main
//	azblob://cache/team-a?account_url=http://127.0.0.1:10000/devstoreaccount1&name=main
//
// Beside BuildKit's attributes there are sas_token and connection_string, for
// credentials other than an account key, create_container=true, see
// [Options.CreateContainer], and touch_refresh, see [Options.RefreshAge].
func Driver() backend.Driver { return DriverWith(Options{}) }

// DriverWith returns the driver with options that a location cannot spell, such
// as a token credential. What a location or the Mux says comes before them.
func DriverWith(defaults Options) backend.Driver {
	return backend.Driver{
		Type: driverName,
		Attrs: append([]backend.Attr{
			// Not required: a connection string can stand in for it.
			{Name: "account_url", Check: checkAccountURL, Env: []string{"BUILDKIT_AZURE_STORAGE_ACCOUNT_URL"}},
			{Name: "account_name", Env: []string{"BUILDKIT_AZURE_STORAGE_ACCOUNT_NAME"}},
			{Name: "container", Check: checkContainer, Default: DefaultContainer, Env: []string{"BUILDKIT_AZURE_STORAGE_CONTAINER"}},
			{Name: "prefix", Empty: true, Check: checkPrefix, Env: []string{"BUILDKIT_AZURE_STORAGE_PREFIX"}},
			{Name: "manifests_prefix", Empty: true, Check: checkPrefix, Default: DefaultManifestsPrefix},
			{Name: "blobs_prefix", Empty: true, Check: checkPrefix, Default: DefaultBlobsPrefix},
			{Name: "name"},
			{Name: attrKey, Secret: true},
			{Name: attrSAS, Secret: true, Check: checkSAS},
			{Name: attrConnectionString, Secret: true, Check: checkConnectionString},
			{Name: "create_container", Check: backend.Bool},
			{Name: "touch_refresh", Check: backend.Duration},
		}, backend.CommonAttrs()...),
		Refs: backend.RefSyntax{Attr: "name", Default: "buildkit", Check: checkRef},
		URL:  backend.URLSyntax{Parse: parseURL, Format: formatURL},
		Open: func(ctx context.Context, l backend.Location, o backend.OpenOptions) (backend.Backend, error) {
			return open(ctx, l, o, defaults)
		},
	}
}

func checkConnectionString(value string) error {
	if _, err := parseConnectionString(value); err != nil {
		return errors.New("want a connection string with an AccountKey or a SharedAccessSignature, and an AccountName or a BlobEndpoint")
	}
	return nil
}

func open(ctx context.Context, l backend.Location, o backend.OpenOptions, opts Options) (backend.Backend, error) {
	if o.Getenv != nil {
		opts.Getenv = o.Getenv
	}
	if o.Transport != nil {
		opts.Transport = o.Transport
	}
	opts.Now = o.Now
	opts.Location = l.WithRef().String()
	opts.AccountURL = cmp.Or(l.Value("account_url"), opts.AccountURL)
	opts.AccountName = cmp.Or(l.Value("account_name"), opts.AccountName)
	opts.Container = l.Value("container")
	opts.Prefix = l.Value("prefix")
	opts.ManifestsPrefix, opts.BlobsPrefix = new(l.Value("manifests_prefix")), new(l.Value("blobs_prefix"))
	opts = opts.withCredentials(l)
	if create := l.Value("create_container"); create != "" {
		opts.CreateContainer, _ = strconv.ParseBool(create) // checked with the location
	}
	if age := l.Value("touch_refresh"); age != "" {
		opts.RefreshAge, _ = time.ParseDuration(age) // checked with the location
		if opts.RefreshAge == 0 {
			opts.RefreshAge = -1
		}
	}
	b, err := Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// withCredentials returns o with the credentials of a location, if that has
// any, in place of the application's.
func (o Options) withCredentials(l backend.Location) Options {
	key, sas, text := l.Value(attrKey), l.Value(attrSAS), l.Value(attrConnectionString)
	if key+sas+text != "" {
		o.Credential, o.AccountKey, o.SAS, o.ConnectionString = nil, key, sas, text
	}
	return o
}

// parseURL reads azblob://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX, and
// azblob://CONTAINER/PREFIX as gocloud.dev has it: no container has a dot, and
// no account's host is without.
func parseURL(u *url.URL) (map[string]string, error) {
	if u.Opaque != "" {
		return nil, errors.New("want azblob://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX or azblob://CONTAINER/PREFIX")
	}
	attrs := make(map[string]string)
	path := strings.Trim(u.Path, "/")
	name := u.Host
	if strings.ContainsAny(u.Host, ".:") {
		attrs["account_url"] = "https://" + u.Host
		name, path, _ = strings.Cut(path, "/")
	}
	if name != "" {
		attrs["container"] = name
	}
	if path != "" {
		attrs["prefix"] = path
	}
	return attrs, nil
}

// formatURL is the inverse of parseURL.
func formatURL(attrs map[string]string) *url.URL {
	take := func(key string) string {
		value := attrs[key]
		delete(attrs, key)
		return value
	}
	host, ok := strings.CutPrefix(attrs["account_url"], "https://")
	if ok && strings.ContainsAny(host, ".:") && !strings.Contains(host, "/") {
		delete(attrs, "account_url")
	} else {
		host = ""
	}
	u := &url.URL{Host: host}
	if attrs["container"] == "" {
		return u
	}
	elements := []string{take("container")}
	if host == "" {
		u.Host, elements = elements[0], nil
	}
	if prefix := attrs["prefix"]; prefix != "" && strings.Trim(prefix, "/") == prefix {
		elements = append(elements, take("prefix"))
	}
	if len(elements) > 0 {
		u.Path = "/" + strings.Join(elements, "/")
	}
	return u
}

// place returns the location of options, without refs and secrets.
func place(a account, o Options) string {
	m := &backend.Mux{}
	m.Register(Driver())
	attrs := map[string]string{"account_url": a.url.String(), "container": o.Container, "prefix": o.Prefix}
	if *o.ManifestsPrefix != DefaultManifestsPrefix {
		attrs["manifests_prefix"] = *o.ManifestsPrefix
	}
	if *o.BlobsPrefix != DefaultBlobsPrefix {
		attrs["blobs_prefix"] = *o.BlobsPrefix
	}
	if o.Prefix == "" {
		delete(attrs, "prefix")
	}
	// Options that have been checked can be written as a location.
	l, _ := m.Make(driverName, attrs)
	return l.String()
}
