package backend

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// attribute is a key with its value as found in a location's text. Their order
// is kept so that of several mistakes the first is reported.
type attribute struct{ key, value string }

// given returns attributes in the order of their keys.
func given(attrs map[string]string) []attribute {
	list := make([]attribute, 0, len(attrs))
	for key, value := range attrs {
		list = append(list, attribute{key, value})
	}
	slices.SortFunc(list, func(a, b attribute) int { return strings.Compare(a.key, b.key) })
	return list
}

// invalidf returns an error matching ErrInvalid. No argument may be the value
// of a secret, nor text of which it is unknown whether it holds one.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w location: "+format, append([]any{ErrInvalid}, args...)...)
}

// checkText returns an error if a text, called what, has control characters or
// space at an end. It does not repeat the text.
func checkText(what, text string) error {
	switch {
	case text == "":
		return invalidf("%s is empty", what)
	case !utf8.ValidString(text):
		return invalidf("%s is not UTF-8", what)
	case strings.ContainsFunc(text, unicode.IsControl):
		return invalidf("%s has a control character", what)
	case strings.TrimSpace(text) != text:
		return invalidf("%s has a space at one end", what)
	}
	return nil
}

// parseFields reads BuildKit's spelling: one record of comma-separated values,
// each key=value.
func parseFields(line string) ([]attribute, error) {
	fields, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil {
		// The error would repeat part of the line.
		return nil, invalidf(`quotation marks do not match: quote a whole field, "key=va,lue", and double those inside`)
	}
	attrs := make([]attribute, 0, len(fields))
	for i, field := range fields {
		a, err := parseAttribute(i+1, field)
		if err != nil {
			return nil, err
		}
		attrs = append(attrs, a)
	}
	return attrs, nil
}

// keyLike matches what may be printed as a key: anything else could be a
// secret cut in two by a comma.
var keyLike = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,40}$`)

// parseAttribute reads the nth field of a location, counted from 1.
func parseAttribute(n int, field string) (attribute, error) {
	key, value, ok := strings.Cut(field, "=")
	name := fmt.Sprintf("attribute %d", n)
	switch trimmed := strings.TrimSpace(key); {
	case !ok:
		return attribute{}, invalidf("%s has no =, want key=value", name)
	case keyLike.MatchString(key):
		name = "attribute " + strings.ToLower(key)
	case keyLike.MatchString(trimmed):
		return attribute{}, invalidf("a stray space before or after the key %s", trimmed)
	default:
		return attribute{}, invalidf("the key of %s is malformed", name)
	}
	if value == "" { // only its driver knows whether an attribute may be
		return attribute{strings.ToLower(key), ""}, nil
	}
	return attribute{strings.ToLower(key), value}, checkText(name, value)
}

var (
	// urlScheme matches the beginning of a URL. A single letter is no scheme but
	// a volume of Windows.
	urlScheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]+):(//)?`)
	// portLike matches what follows the colon in host:5000/repository.
	portLike = regexp.MustCompile(`^[0-9]+/`)
)

// cutScheme reports whether s is a URL: it has "://", or a type before a colon.
// What looks like a host with a port is none, because hosts of registries are
// called "registry" and "local" indeed.
func (m *Mux) cutScheme(s string) (scheme string, ok bool) {
	match := urlScheme.FindStringSubmatch(s)
	if match == nil {
		return "", false
	}
	scheme = strings.ToLower(match[1])
	_, registered := m.driver(scheme)
	_, known := elsewhere(scheme)
	short := (registered || known) && !portLike.MatchString(s[len(match[0]):])
	return scheme, short || match[2] != ""
}

// parseURL reads the URL of a location of the driver's type.
func (d Driver) parseURL(s string) ([]attribute, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		// The error would repeat part of the URL, which may hold a password.
		return nil, invalidf("%s: malformed URL, is something in its host, port or path not percent-encoded?", d.Type)
	case u.User != nil:
		return nil, invalidf("%s: user information in a URL, credentials go elsewhere", d.Type)
	case strings.Contains(s, "#"):
		return nil, invalidf("%s: a fragment in a URL, write # as %%23", d.Type)
	}
	query, err := parseQuery(u)
	if err != nil {
		return nil, err
	}
	u.RawQuery, u.ForceQuery = "", false
	attrs, err := d.parsePlace(u)
	return append(given(attrs), query...), err
}

// parsePlace returns the attributes in a URL without query.
func (d Driver) parsePlace(u *url.URL) (map[string]string, error) {
	if d.URL.Parse != nil {
		attrs, err := d.URL.Parse(u)
		if err != nil {
			return nil, invalidf("%s: %w", d.Type, err)
		}
		return attrs, nil
	}
	if u.Host+u.Path+u.Opaque != "" {
		return nil, invalidf("%s: a host or path in a URL that has none, want %s://?key=value", d.Type, d.Type)
	}
	return nil, nil
}

// parseQuery reads key=value&key=value, percent-encoded. Unlike [url.ParseQuery]
// it allows the semicolon and leaves "+" alone, which is common in secrets.
func parseQuery(u *url.URL) ([]attribute, error) {
	if u.RawQuery == "" && !u.ForceQuery {
		return nil, nil
	}
	var attrs []attribute
	for field := range strings.SplitSeq(u.RawQuery, "&") {
		key, value, ok := strings.Cut(field, "=")
		if decoded, err := url.PathUnescape(value); err == nil {
			value = decoded
		} else {
			return nil, invalidf("attribute %d of the query is not percent-encoded", len(attrs)+1)
		}
		if ok {
			key += "="
		}
		a, err := parseAttribute(len(attrs)+1, key+value)
		if err != nil {
			return nil, err
		}
		attrs = append(attrs, a)
	}
	return attrs, nil
}
