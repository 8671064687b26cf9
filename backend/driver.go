package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Driver describes one type of location to a [Mux]: which attributes it takes,
// how it is spelled, and how it is opened. A package of a driver exports a
// function that returns it, such as local.Driver.
type Driver struct {
	// Type is the value of the attribute "type" and the scheme of the URL. It
	// consists of two or more lower-case letters and digits, a letter first.
	Type string
	// Attrs are the attributes that a location of this type may have, in the
	// order in which they are printed, [CommonAttrs] included.
	Attrs []Attr
	// Refs says which of the attributes name refs.
	Refs RefSyntax
	// URL says how the part of a URL before its query is read and written.
	URL URLSyntax
	// Images says that the store can hold images beside caches, so that locations
	// of [TypeInline] may have the attributes of this driver. One of them is
	// required.
	Images bool
	// Bare recognizes locations written without a type, such as ./dir, and
	// returns their attributes. It claims nothing that another type could mean,
	// nothing with a scheme and nothing of the form key=value,...; nil claims
	// nothing at all.
	Bare func(s string) (attrs map[string]string, ok bool)
	// Open opens the store at a location whose attributes have been checked,
	// with every required one present. The refs of the location are not its
	// business: whoever has the backend passes them to its methods. The context
	// governs the opening alone.
	Open func(ctx context.Context, l Location, opts OpenOptions) (Backend, error)
}

// Attr describes an attribute of a [Driver].
type Attr struct {
	// Name is the key, in lower case.
	Name string
	// Aliases are other keys with the same meaning. Giving two different values
	// under two of them is an error.
	Aliases []string
	// Secret says that the value is never printed, except on express demand.
	Secret bool
	// Required says that the store cannot be opened without it.
	Required bool
	// Empty says that an empty value may be given: it means none, where no value
	// at all means Default or the environment's.
	Empty bool
	// Inert says that storage has no use for it: build tools have, so it is
	// accepted, checked, kept, and reported by [Location.Inert].
	Inert bool
	// Default is what [Location.Value] returns if the attribute is not given.
	Default string
	// Env names the environment variables that [Mux.Open] consults, in this
	// order, if the attribute is not given and OpenOptions has a Getenv.
	Env []string
	// Check returns what is wrong with a value, phrased as what is wanted:
	// "want true or false". The value itself need not be repeated. Nil accepts
	// every value. It is called for no value that is empty, has space at an end, or
	// holds control characters.
	Check func(value string) error
}

// keys returns the name of the attribute and its aliases.
func (a Attr) keys() []string { return append([]string{a.Name}, a.Aliases...) }

// RefSyntax says how the locations of a [Driver] name refs. The zero value is
// that of a store without nameable refs.
type RefSyntax struct {
	// Attr is the attribute with the names of refs: "name", "tag", "ref".
	Attr string
	// Digest is the attribute that holds the digest of a document in place of
	// names, or "".
	Digest string
	// Default is the ref of a location that names none, or "" if there is no
	// such ref.
	Default string
	// Split returns the names in a value of Attr, and Join returns the value
	// with other names in their place, perhaps none. If they are nil the value
	// is nothing but names separated by semicolons. A registry's, in contrast,
	// is host/repository:tag.
	Split func(value string) ([]string, error)
	Join  func(value string, names []string) string
	// Check returns an error if a name, which has passed [CheckRefName], cannot
	// be one on this type of store. Nil accepts every name.
	Check func(name string) error
}

func (r RefSyntax) split(value string) ([]string, error) {
	if r.Split != nil {
		return r.Split(value)
	}
	return strings.Split(value, ";"), nil
}

func (r RefSyntax) join(value string, names []string) string {
	if r.Join != nil {
		return r.Join(value, names)
	}
	return strings.Join(names, ";")
}

// URLSyntax says how the locations of a [Driver] are written as URLs. Attributes
// that these functions leave alone are in the query. If both are nil, all are.
type URLSyntax struct {
	// Parse returns the attributes in the host, path or opaque part of u, which
	// has no user information, no query and no fragment, and perhaps none of
	// those parts either.
	Parse func(u *url.URL) (map[string]string, error)
	// Format returns a URL with a host, path or opaque part, and deletes the
	// attributes that are expressed by it from attrs. Values that Parse would
	// not find again may be expressed: they end up in the query.
	Format func(attrs map[string]string) *url.URL
}

// OpenOptions are what an application passes to its drivers through
// [Mux.Options]. Drivers are handed a copy in which Logger and Now are not nil.
type OpenOptions struct {
	// Getenv looks up an environment variable, usually [os.Getenv]. Nil means
	// that the environment is not consulted for settings of a location.
	Getenv func(name string) string
	// Logger receives what may interest an operator; nil discards it.
	Logger *slog.Logger
	// Transport sends the requests of drivers that speak HTTP. Nil means
	// [http.DefaultTransport] or what the driver finds better; proxies are then
	// taken from the environment, as everywhere in Go.
	Transport http.RoundTripper
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	// TempDir is where drivers that need temporary files keep them; "" means
	// the system's directory or, for a store of files, the store's own.
	TempDir string
}

// withDefaults returns o with every field set that drivers may rely on.
func (o OpenOptions) withDefaults() OpenOptions {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// check returns what is wrong with a driver's description of itself.
func (d Driver) check() error {
	seen := map[string]bool{"type": true}
	for _, a := range d.Attrs {
		if len(a.Aliases) > 0 && (a.Name == d.Refs.Attr || a.Name == d.Refs.Digest) {
			return fmt.Errorf("attribute %q names refs and has aliases", a.Name)
		}
		for _, key := range a.keys() {
			if seen[key] || !keyLike.MatchString(key) || key != strings.ToLower(key) {
				return fmt.Errorf("attribute %q is malformed, reserved or given twice", key)
			}
			seen[key] = true
		}
	}
	for _, key := range []string{d.Refs.Attr, d.Refs.Digest} {
		if key != "" && !seen[key] {
			return fmt.Errorf("attribute %q names refs and is not described", key)
		}
	}
	switch {
	case !typeLike.MatchString(d.Type):
		return errors.New("its type is not of lower-case letters and digits")
	case d.Open == nil:
		return errors.New("it has no Open")
	case (d.URL.Parse == nil) != (d.URL.Format == nil), (d.Refs.Split == nil) != (d.Refs.Join == nil):
		return errors.New("it has one half of a syntax")
	}
	return nil
}
