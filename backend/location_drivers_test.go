package backend_test

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"

	"github.com/larder-build/larder/backend"
)

// opened is what the drivers below open: a backend that only remembers how.
type opened struct {
	backend.Unimplemented
	location backend.Location
	options  backend.OpenOptions
}

func (o *opened) Info() backend.Info {
	return backend.Info{Driver: o.location.Type(), Location: o.location.String()}
}

func openNothing(_ context.Context, l backend.Location, opts backend.OpenOptions) (backend.Backend, error) {
	return &opened{location: l, options: opts}, nil
}

// layoutDriver is a store whose attributes are those of BuildKit's local cache:
// aliases, names and digests, bare paths.
func layoutDriver() backend.Driver {
	return backend.Driver{
		Type: "local",
		Attrs: append([]backend.Attr{
			{Name: "src", Aliases: []string{"dest"}, Required: true},
			{Name: "tag"},
			{Name: "digest", Check: backend.Digest},
		}, backend.CommonAttrs()...),
		Refs: backend.RefSyntax{Attr: "tag", Digest: "digest", Default: "latest"},
		URL: backend.URLSyntax{
			Parse: func(u *url.URL) (map[string]string, error) {
				if u.Host != "" {
					return nil, errors.New("want no host")
				}
				path, err := url.PathUnescape(u.Opaque)
				if path += u.Path; path == "" {
					return nil, err
				}
				return map[string]string{"src": path}, err
			},
			Format: func(attrs map[string]string) *url.URL {
				path := attrs["src"] + attrs["dest"]
				delete(attrs, "src")
				delete(attrs, "dest")
				if strings.HasPrefix(path, "/") {
					return &url.URL{Path: path}
				}
				return &url.URL{Opaque: (&url.URL{Path: path}).EscapedPath()}
			},
		},
		Bare: func(s string) (map[string]string, bool) {
			return map[string]string{"src": s}, strings.HasPrefix(s, "/") && !strings.ContainsAny(s, "?,")
		},
		Open: openNothing,
	}
}

// bucketDriver is a store with secrets, and with settings that the environment
// may hold.
func bucketDriver() backend.Driver {
	return backend.Driver{
		Type: "s3",
		Attrs: append([]backend.Attr{
			{Name: "bucket", Required: true, Env: []string{"AWS_BUCKET"}},
			{Name: "region", Required: true, Env: []string{"AWS_REGION", "AWS_DEFAULT_REGION"}},
			{Name: "prefix"},
			{Name: "blobs_prefix", Default: "blobs/"},
			{Name: "name"},
			{Name: "endpoint_url", Check: backend.HTTPURL},
			{Name: "touch_refresh", Check: backend.Duration},
			{Name: "upload_parallelism", Check: backend.IntBetween(1, 100)},
			{Name: "use_path_style", Check: backend.Bool},
			{Name: "access_key_id", Secret: true},
			{Name: "secret_access_key", Secret: true, Check: func(v string) error {
				if len(v) < 8 {
					return errors.New("want at least 8 characters")
				}
				return nil
			}},
		}, backend.CommonAttrs()...),
		Refs: backend.RefSyntax{Attr: "name", Default: "buildkit"},
		URL: backend.URLSyntax{
			Parse: func(u *url.URL) (map[string]string, error) {
				if u.Opaque != "" {
					return nil, errors.New("want s3://bucket")
				}
				attrs := map[string]string{}
				if u.Host != "" {
					attrs["bucket"] = u.Host
				}
				if prefix := strings.TrimPrefix(u.Path, "/"); prefix != "" {
					attrs["prefix"] = prefix
				}
				return attrs, nil
			},
			Format: func(attrs map[string]string) *url.URL {
				u := &url.URL{Host: attrs["bucket"], Path: "/" + attrs["prefix"]}
				delete(attrs, "bucket")
				delete(attrs, "prefix")
				return u
			},
		},
		Open: openNothing,
	}
}

var (
	imageTag  = regexp.MustCompile(`^\w[\w.-]{0,127}$`)
	imageRef  = regexp.MustCompile(`^((?:localhost|[\w-]+(?:\.[\w-]+)+|[\w.-]+:\d+)(?::\d+)?/[a-z0-9/._-]+)(?:[:@]([^/]+))?$`)
	errNotRef = errors.New("want host/repository:tag")
)

// imageDriver is a store whose one attribute holds the place and the refs.
func imageDriver() backend.Driver {
	return backend.Driver{
		Type: "registry",
		Attrs: append([]backend.Attr{
			{Name: "ref", Required: true},
			{Name: "registry.insecure", Check: backend.Bool},
		}, backend.CommonAttrs()...),
		Refs: backend.RefSyntax{
			Attr: "ref", Default: "latest",
			Split: func(value string) ([]string, error) {
				m := imageRef.FindStringSubmatch(value)
				if m == nil {
					return nil, errNotRef
				}
				if m[2] == "" {
					return nil, nil
				}
				return strings.Split(m[2], ";"), nil
			},
			Join: func(value string, names []string) string {
				place := imageRef.FindStringSubmatch(value)[1]
				switch {
				case len(names) == 0:
					return place
				case backend.IsDigest(names[0]):
					return place + "@" + strings.Join(names, ";")
				}
				return place + ":" + strings.Join(names, ";")
			},
			Check: func(name string) error {
				if !imageTag.MatchString(name) && !backend.IsDigest(name) {
					return errors.New("want a tag")
				}
				return nil
			},
		},
		URL: backend.URLSyntax{
			Parse: func(u *url.URL) (map[string]string, error) {
				return map[string]string{"ref": u.Host + u.Path}, nil
			},
			Format: func(attrs map[string]string) *url.URL {
				host, path, _ := strings.Cut(attrs["ref"], "/")
				delete(attrs, "ref")
				return &url.URL{Host: host, Path: "/" + path}
			},
		},
		Bare: func(s string) (map[string]string, bool) {
			return map[string]string{"ref": s}, imageRef.MatchString(s)
		},
		Open: openNothing,
	}
}

// scopeDriver is a store that has neither a place nor a URL syntax.
func scopeDriver() backend.Driver {
	return backend.Driver{
		Type:  "gha",
		Attrs: append([]backend.Attr{{Name: "scope"}, {Name: "token", Secret: true}}, backend.CommonAttrs()...),
		Refs:  backend.RefSyntax{Attr: "scope", Default: "buildkit"},
		Open:  openNothing,
	}
}

// locationMux returns a Mux with the drivers of this file.
func locationMux() *backend.Mux {
	m := new(backend.Mux)
	for _, d := range []backend.Driver{layoutDriver(), bucketDriver(), imageDriver(), scopeDriver()} {
		m.Register(d)
	}
	return m
}
