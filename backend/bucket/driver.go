package bucket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"gocloud.dev/blob"

	"github.com/larder-build/larder/backend"
)

// Scheme describes the locations of one kind of bucket.
type Scheme struct {
	// Type is the type of locations and the scheme of URLs, gocloud.dev's too.
	Type string
	// Params are the attributes that this kind of bucket has beside those that
	// all have, see [Driver]. For [Driver] they are the parameters of
	// gocloud.dev's URL.
	Params []backend.Attr
	// Fixed are parameters of gocloud.dev's URL that locations cannot choose.
	Fixed url.Values
	// Path says that a bucket is named by a path, as directories are; otherwise
	// the path of a URL is the prefix, after the bucket's name.
	Path bool
	// Nameless says that buckets have no names.
	Nameless bool
	// CheckBucket returns what is wrong with the name of a bucket, phrased as
	// what is wanted. Nil accepts what does not look like a URL.
	CheckBucket func(name string) error
	// Service is what is known of the service; nil means [Unknown].
	Service Service
}

// Files are the locations of gocloud.dev's fileblob, directories:
//
//	type=file,bucket=/var/cache/app,name=main
//	file:///var/cache/app?name=main
//
// Files beside the objects, for attributes that caches do not have, are left
// out. The local backend, package backend/local, is the better choice where
// nothing else needs this layout.
func Files() Scheme {
	return Scheme{
		Type: "file", Path: true, Service: FileService{},
		Params: []backend.Attr{{Name: "create_dir", Check: backend.Bool}},
		Fixed:  url.Values{"metadata": {"skip"}, "no_tmp_dir": {"true"}},
	}
}

// Memory are the locations of gocloud.dev's memblob. Every opened location is
// a bucket of its own. A Mux has these or those of package backend/mem, whose
// type is the same.
func Memory() Scheme { return Scheme{Type: "mem", Nameless: true, Service: Creating{}} }

// Driver returns the driver of locations that mux opens, such as
//
//	type=file,bucket=/var/cache/app,name=main
//	file:///var/cache/app?name=main
//
// The attributes bucket, prefix, manifests_prefix, blobs_prefix, name and
// touch_refresh mean the same as for type=s3.
func Driver(mux *blob.URLMux, s Scheme) backend.Driver {
	return DriverFunc(s, func(ctx context.Context, l backend.Location, _ backend.OpenOptions, opts Options) (*Backend, error) {
		b, err := mux.OpenBucketURL(ctx, s.url(l))
		if err != nil {
			return nil, s.openFailure(l, err)
		}
		return New(ctx, b, opts), nil
	})
}

// DriverFunc returns a driver whose locations are opened by a function. It is
// given the [Options] that a location tells.
func DriverFunc(s Scheme, open func(context.Context, backend.Location, backend.OpenOptions, Options) (*Backend, error)) backend.Driver {
	check := s.CheckBucket
	if check == nil && !s.Path {
		check = checkName
	}
	var attrs []backend.Attr
	if !s.Nameless {
		attrs = append(attrs, backend.Attr{Name: "bucket", Required: true, Check: check})
	}
	attrs = append(attrs,
		backend.Attr{Name: "prefix", Empty: true},
		backend.Attr{Name: "manifests_prefix", Empty: true, Default: DefaultManifestsPrefix},
		backend.Attr{Name: "blobs_prefix", Empty: true, Default: DefaultBlobsPrefix},
		backend.Attr{Name: "name"},
		backend.Attr{Name: "touch_refresh", Default: "24h", Check: backend.Duration},
	)
	attrs = append(append(attrs, s.Params...), backend.CommonAttrs()...)
	return backend.Driver{
		Type: s.Type, Attrs: attrs,
		Refs: backend.RefSyntax{Attr: "name", Default: "buildkit"},
		URL:  backend.URLSyntax{Parse: s.parseURL, Format: s.formatURL},
		Open: func(ctx context.Context, l backend.Location, o backend.OpenOptions) (backend.Backend, error) {
			if err := ctx.Err(); err != nil {
				return nil, openError(s.Type, err)
			}
			b, err := open(ctx, l, o, s.options(l, o))
			if err != nil {
				return nil, openError(s.Type, err)
			}
			return b, nil
		},
	}
}

func openError(driver string, err error) error {
	if e, ok := errors.AsType[*backend.Error](err); ok {
		return e
	}
	return &backend.Error{Op: "open", Backend: driver, Kind: backend.Kind(err), Err: err}
}

// options are those that a location tells. Its values have been checked.
func (s Scheme) options(l backend.Location, o backend.OpenOptions) Options {
	refresh, _ := time.ParseDuration(l.Value("touch_refresh"))
	if refresh == 0 {
		refresh = -1 // always
	}
	return Options{
		Driver: s.Type, Location: l.WithRef().String(), Service: s.Service, Now: o.Now, RefreshAge: refresh,
		Prefix: l.Value("prefix"), ManifestsPrefix: new(l.Value("manifests_prefix")), BlobsPrefix: new(l.Value("blobs_prefix")),
	}
}

// url is gocloud.dev's URL of a bucket.
func (s Scheme) url(l backend.Location) *url.URL {
	u := &url.URL{Scheme: s.Type, Host: l.Value("bucket")}
	if s.Path {
		u.Host, u.Path = "", l.Value("bucket")
	}
	query := url.Values{}
	for _, p := range s.Params {
		if value := l.Value(p.Name); value != "" {
			query.Set(p.Name, value)
		}
	}
	maps.Copy(query, s.Fixed)
	u.RawQuery = query.Encode()
	return u
}

// openFailure returns an error of opening a location without the secrets of its
// URL, of which openers like to repeat all.
func (s Scheme) openFailure(l backend.Location, err error) error {
	u := s.url(l)
	text := strings.ReplaceAll(oneLine(err.Error()), u.String(), u.Scheme+"://"+u.Host+u.Path)
	for _, p := range s.Params {
		if secret := l.Value(p.Name); p.Secret && secret != "" {
			text = strings.NewReplacer(secret, "...", url.QueryEscape(secret), "...").Replace(text)
		}
	}
	said := &described{err: err, text: text}
	if kind := meaning(err).Kind; kind != nil {
		return fmt.Errorf("%w: %w", kind, said)
	}
	return said
}

func checkName(value string) error {
	if strings.ContainsAny(value, "/?#@:%\\ ") {
		return errors.New("want the name of a bucket; what comes after a slash is the prefix")
	}
	return nil
}

// parseURL reads scheme://bucket/prefix, or scheme:///path/of/bucket.
func (s Scheme) parseURL(u *url.URL) (map[string]string, error) {
	attrs := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			attrs[name] = value
		}
	}
	switch {
	case u.Opaque != "":
		return nil, fmt.Errorf("want %s://", s.Type)
	case s.Path && u.Host != "":
		return nil, fmt.Errorf("want no host: %s:///absolute/path", s.Type)
	case s.Path:
		set("bucket", u.Path)
		return attrs, nil
	case s.Nameless && u.Host != "":
		return nil, fmt.Errorf("want no bucket: %s://", s.Type)
	}
	set("bucket", u.Host)
	set("prefix", strings.TrimPrefix(u.Path, "/"))
	return attrs, nil
}

// formatURL is the inverse of parseURL.
func (s Scheme) formatURL(attrs map[string]string) *url.URL {
	name := attrs["bucket"]
	delete(attrs, "bucket")
	if s.Path {
		return &url.URL{Path: name}
	}
	u := &url.URL{Host: name}
	if prefix := attrs["prefix"]; prefix != "" {
		delete(attrs, "prefix")
		u.Path = "/" + prefix
	}
	return u
}
