package local

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/larder-build/larder/backend"
)

// driverName is the type of locations in directories.
const driverName = "local"

// Driver returns the driver of locations such as
//
//	type=local,dest=/var/cache/app,tag=main
//	local:///var/cache/app?tag=main
//	./cache
//
// BuildKit's src, for import, and dest, for export, mean the same here.
func Driver() backend.Driver {
	return backend.Driver{
		Type: driverName,
		Attrs: append([]backend.Attr{
			{Name: "src", Aliases: []string{"dest"}, Required: true},
			{Name: "tag"},
			{Name: "digest", Check: checkDigest},
			// BuildKit deletes what is not referenced after an export.
			{Name: "reset", Inert: true, Check: backend.Bool},
		}, backend.CommonAttrs()...),
		Refs: backend.RefSyntax{Attr: "tag", Digest: "digest", Default: "latest"},
		URL:  backend.URLSyntax{Parse: parseURL, Format: formatURL},
		Bare: bare,
		Open: open,

		Images: true,
	}
}

func open(ctx context.Context, l backend.Location, o backend.OpenOptions) (backend.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, fail("open", "", err)
	}
	b, err := Open(l.Value("src"), Options{Now: o.Now, Location: l.WithRef().String()})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// place returns the location of a directory, without a ref.
func place(dir string) backend.Location {
	m := &backend.Mux{}
	m.Register(Driver())
	// A directory that cannot be written as a location has none to report.
	l, _ := m.Make(driverName, map[string]string{"src": dir})
	return l
}

func checkDigest(value string) error {
	if !backend.IsDigest(value) {
		return errors.New("want sha256: and 64 lower-case hexadecimal digits")
	}
	return nil
}

// bare recognizes paths: absolute ones and those that begin with a dot. What
// could be a query or a list of attributes is none.
func bare(s string) (attrs map[string]string, ok bool) {
	isPath := filepath.IsAbs(s) || s == "." || s == ".."
	for _, start := range []string{"/", "./", "../"} {
		isPath = isPath || strings.HasPrefix(filepath.ToSlash(s), start)
	}
	return map[string]string{"src": s}, isPath && !strings.ContainsAny(s, "?,")
}

// parseURL reads the directory from the path of local:///abs or local:rel.
func parseURL(u *url.URL) (map[string]string, error) {
	if u.Host != "" {
		return nil, errors.New("want no host: local:///absolute/path or local:relative/path")
	}
	opaque, err := url.PathUnescape(u.Opaque)
	if err != nil {
		return nil, err
	}
	path := opaque + u.Path
	// A volume stands behind the slash that begins the path of a URL.
	if trimmed := strings.TrimPrefix(path, "/"); runtime.GOOS == "windows" && filepath.IsAbs(trimmed) {
		path = trimmed
	}
	if path == "" {
		return map[string]string{}, nil
	}
	return map[string]string{"src": path}, nil
}

// formatURL is the inverse of parseURL.
func formatURL(attrs map[string]string) *url.URL {
	path := attrs["src"] + attrs["dest"]
	delete(attrs, "src")
	delete(attrs, "dest")
	if runtime.GOOS == "windows" && filepath.IsAbs(path) {
		path = "/" + filepath.ToSlash(path)
	}
	if strings.HasPrefix(path, "/") {
		return &url.URL{Path: path}
	}
	return &url.URL{Opaque: (&url.URL{Path: path}).EscapedPath()}
}
