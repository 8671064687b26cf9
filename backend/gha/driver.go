package gha

import (
	"cmp"
	"context"
	"time"

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
// has them, the URL, the version of the protocol and the token are those of the
// runner's environment, see [FromEnv], if that may be consulted. What is opened
// by one Driver shares a [Budget].
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
			{Name: "url_v2", Check: checkURL},
			{Name: "token", Secret: true, Env: []string{envToken}},
			{Name: "version", Check: checkVersion},
			{Name: "timeout", Check: backend.Duration},
			{Name: "pack", Check: checkPack},
			{Name: "repository", Check: checkRepository},
			{Name: "ghtoken", Secret: true},
			{Name: "api_url", Check: checkURL},
		}, backend.CommonAttrs()...),
		Refs: backend.RefSyntax{Attr: "scope", Default: "buildkit", Check: checkRef},
		Open: func(ctx context.Context, l backend.Location, o backend.OpenOptions) (backend.Backend, error) {
			return open(ctx, l, o, defaults)
		},
	}
}

func open(ctx context.Context, l backend.Location, o backend.OpenOptions, opts Options) (backend.Backend, error) {
	var err error
	if opts.Version, opts.URL, err = opts.address(l, o.Getenv); err != nil {
		return nil, &backend.Error{Op: "open", Backend: driverName, Kind: backend.Kind(err), Err: err}
	}
	if o.Getenv != nil {
		opts.Mode = cmp.Or(o.Getenv(envMode), opts.Mode)
		opts.Repository = cmp.Or(o.Getenv(envRepository), opts.Repository)
		opts.API = cmp.Or(o.Getenv(envAPI), opts.API)
	}
	opts.Repository = cmp.Or(l.Value("repository"), opts.Repository)
	opts.API = cmp.Or(l.Value("api_url"), opts.API)
	opts.APIToken = cmp.Or(l.Value("ghtoken"), opts.APIToken)
	if patience, err := time.ParseDuration(l.Value("timeout")); err == nil {
		opts.Patience = patience
	}
	if size := l.Value("pack"); size != "" {
		if opts.Pack, err = parsePack(size); err != nil {
			return nil, &backend.Error{Op: "open", Backend: driverName, Kind: backend.ErrInvalid, Err: err}
		}
	}
	opts.Token = cmp.Or(l.Value("token"), opts.Token)
	if o.Transport != nil {
		opts.Transport = o.Transport
	}
	opts.Now = o.Now
	opts.Location = l.WithRef().String()
	if l.Value("url") == "" && l.Value("url_v2") == "" {
		opts.Location = "" // it says less than the URL
	}
	b, err := Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	return b, nil
}
