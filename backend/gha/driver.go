package gha

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/larder-build/larder/backend"
)

// driverName is the type of locations in the cache service of GitHub Actions.
const driverName = "gha"

// Driver returns the driver of locations such as
//
//	type=gha,scope=main
//	gha://?scope=main
//
// The attributes are BuildKit's; scope is the name of a ref. Unless a location
// has them, the URL and the token are those of the runner's environment, if that
// may be consulted. What is opened by one Driver shares a [Budget].
func Driver() backend.Driver { return DriverWith(Options{}) }

// DriverWith returns the driver with options that a location cannot spell. What
// a location or the Mux says comes before them.
func DriverWith(defaults Options) backend.Driver {
	if defaults.Budget == nil {
		defaults.Budget = &Budget{}
	}
	return backend.Driver{
		Type: driverName,
		Attrs: append([]backend.Attr{
			{Name: "scope"},
			{Name: "url", Check: checkURL},
			{Name: "url_v2", Check: checkURL, Env: []string{envURL}},
			{Name: "token", Secret: true, Env: []string{envToken}},
			{Name: "version", Check: checkVersion},
			{Name: "timeout", Inert: true, Check: backend.Duration},
			{Name: "repository", Inert: true},
			{Name: "ghtoken", Inert: true, Secret: true},
		}, backend.CommonAttrs()...),
		Refs: backend.RefSyntax{Attr: "scope", Default: "buildkit", Check: checkRef},
		Open: func(ctx context.Context, l backend.Location, o backend.OpenOptions) (backend.Backend, error) {
			return open(ctx, l, o, defaults)
		},
	}
}

func checkURL(value string) error {
	_, err := parseURL(value)
	return err
}

func checkVersion(value string) error {
	if value != "2" {
		return errors.New("want 2: the first version of the protocol, of GitHub Enterprise Server, is not spoken")
	}
	return nil
}

// githubHost is by what BuildKit tells a URL of the second version.
const githubHost = "results-receiver.actions.githubusercontent.com"

func open(ctx context.Context, l backend.Location, o backend.OpenOptions, opts Options) (backend.Backend, error) {
	opts.URL = cmp.Or(l.Value("url_v2"), opts.URL)
	if u, err := url.Parse(l.Value("url")); err == nil && opts.URL == "" && (l.Value("version") == "2" || strings.HasSuffix(u.Hostname(), githubHost)) {
		opts.URL = u.String()
	}
	opts.Token = cmp.Or(l.Value("token"), opts.Token)
	if o.Transport != nil {
		opts.Transport = o.Transport
	}
	opts.Now = o.Now
	opts.Location = l.WithRef().String()
	b, err := Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	return b, nil
}
