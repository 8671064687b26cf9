package registry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// driverName is the type of locations in registries.
const driverName = "registry"

// Driver returns the driver of locations such as
//
//	type=registry,ref=ghcr.io/org/cache:main
//	type=registry,ref=localhost:5000/cache:main;v1,registry.insecure=true
//	registry://ghcr.io/org/cache:main
//	ghcr.io/org/cache@sha256:...
//
// Beside BuildKit's attributes there are ca, a file of certificates in PEM that
// may certify the registry; mirror, with semicolons between several, and proxy,
// see [Options.Mirrors] and [Options.Proxy]; chunk-size, see
// [Options.ChunkSize]; and delete=false, see [Options.NoDelete].
func Driver() backend.Driver { return DriverWith(Options{}) }

// DriverWith returns the driver with options that a location cannot spell, such
// as a keychain. What a location or the Mux says comes before them.
func DriverWith(defaults Options) backend.Driver {
	return backend.Driver{
		Type: driverName,
		Attrs: append([]backend.Attr{
			{Name: "ref", Required: true},
			{Name: "registry.insecure", Check: backend.Bool},
			{Name: "ca"},
			{Name: "mirror", Check: checkMirrors},
			{Name: "proxy", Check: checkProxy, Secret: true}, // it may have a password
			{Name: "chunk-size", Check: backend.IntBetween(0, 1<<30)},
			{Name: "delete", Check: backend.Bool},
		}, backend.CommonAttrs()...),
		Refs: backend.RefSyntax{
			Attr: "ref", Default: "latest",
			Split: splitNames, Join: joinNames, Check: checkTag,
		},
		URL:  backend.URLSyntax{Parse: parseURL, Format: formatURL},
		Bare: bare,
		Open: func(ctx context.Context, l backend.Location, o backend.OpenOptions) (backend.Backend, error) {
			return open(ctx, l, o, defaults)
		},

		Images: true,
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
	if insecure := l.Value("registry.insecure"); insecure != "" {
		opts.Insecure = isTrue(insecure)
	}
	if deletes := l.Value("delete"); deletes != "" {
		opts.NoDelete = !isTrue(deletes)
	}
	if size := l.Value("chunk-size"); size != "" {
		opts.ChunkSize, _ = strconv.ParseInt(size, 10, 64) // checked with the location
	}
	if file := l.Value("ca"); file != "" {
		pool, err := calls.Certificates(file)
		if err != nil {
			return nil, fmt.Errorf("registry: open: attribute ca: %w", err)
		}
		opts.RootCAs = pool
	}
	if mirrors := l.Value("mirror"); mirrors != "" {
		opts.Mirrors = strings.Split(mirrors, ";")
	}
	if proxy := l.Value("proxy"); proxy != "" {
		opts.Proxy, _ = url.Parse(proxy) // checked with the location
	}
	place, _ := splitRef(l.Value("ref"))
	b, err := Open(ctx, place, opts)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// checkProxy returns what is wrong with the URL of a proxy.
func checkProxy(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return errors.New("want http://host:port, https:// or socks5://")
	}
	return nil
}

func isTrue(value string) bool {
	is, _ := strconv.ParseBool(value) // checked with the location
	return is
}

// place returns the location of a repository, without a ref.
func place(repository string) string {
	m := &backend.Mux{}
	m.Register(Driver())
	// A repository that has been parsed can be written as a location.
	l, _ := m.Make(driverName, map[string]string{"ref": repository})
	return l.String()
}

// bare recognizes host/repository, perhaps with a tag or digest.
func bare(s string) (attrs map[string]string, ok bool) {
	return map[string]string{"ref": s}, bareLike.MatchString(s)
}

// parseURL reads registry://host/repository:tag.
func parseURL(u *url.URL) (map[string]string, error) {
	if u.Opaque != "" {
		return nil, errors.New("want registry://host/repository:tag")
	}
	if u.Host+u.Path == "" {
		return map[string]string{}, nil
	}
	return map[string]string{"ref": u.Host + u.Path}, nil
}

// formatURL is the inverse of parseURL.
func formatURL(attrs map[string]string) *url.URL {
	host, path, ok := strings.Cut(attrs["ref"], "/")
	delete(attrs, "ref")
	if !ok { // an official image of Docker Hub
		return &url.URL{Host: host}
	}
	return &url.URL{Host: host, Path: "/" + path}
}
