package mem

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/larder-build/larder/backend"
)

// Driver returns a driver for locations such as type=mem,store=a,name=main or
// mem://a?name=main. The stores belong to the returned value: locations with
// the same store, opened through one driver, are connections to the same store,
// and what another Driver opens is apart from them.
func Driver() backend.Driver {
	d := &driver{stores: map[string]*Backend{}}
	return backend.Driver{
		Type: "mem",
		Attrs: append([]backend.Attr{
			{Name: "store", Default: "default"},
			{Name: "name"},
			{Name: "encoding", Default: EncodingFlat, Check: backend.OneOf(EncodingFlat, EncodingOCIManifest)},
		}, backend.CommonAttrs()...),
		Refs: backend.RefSyntax{Attr: "name", Default: "buildkit"},
		URL:  backend.URLSyntax{Parse: parseURL, Format: formatURL},
		Open: d.open,
	}
}

// driver holds the first connection to each store that was opened.
type driver struct {
	mu     sync.Mutex
	stores map[string]*Backend
}

func (d *driver) open(ctx context.Context, l backend.Location, o backend.OpenOptions) (backend.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name, encoding := l.Value("store"), l.Value("encoding")
	b, ok := d.stores[name]
	if !ok {
		b = NewWith(Options{Encoding: encoding, Now: o.Now})
		b.info.Location = l.WithRef().String()
		d.stores[name] = b
	}
	if got := b.info.Encoding; got != encoding {
		return nil, fmt.Errorf("%w: store %s has encoding %s, want %s", backend.ErrInvalid, name, got, encoding)
	}
	return b.Reopen(), nil
}

// parseURL reads the name of the store from the host.
func parseURL(u *url.URL) (map[string]string, error) {
	if strings.Trim(u.Path, "/") != "" || u.Opaque != "" {
		return nil, fmt.Errorf("%w: want mem://store?name=ref", backend.ErrInvalid)
	}
	if u.Host == "" {
		return map[string]string{}, nil
	}
	return map[string]string{"store": u.Host}, nil
}

// formatURL is the inverse of parseURL. A name that is no plain host stays in
// the query.
func formatURL(attrs map[string]string) *url.URL {
	plain := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return -1
		}
		return r
	}
	u := &url.URL{}
	if store := attrs["store"]; strings.Map(plain, store) == "" {
		u.Host = store
		delete(attrs, "store")
	}
	return u
}
