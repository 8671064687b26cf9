package backend

import (
	"encoding/csv"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"strings"
)

// redacted stands for the value of a secret. It is no valid value of one, so
// that a printed location is not mistaken for a working one.
const redacted = "REDACTED"

// String returns BuildKit's spelling with secrets replaced by REDACTED. It is
// "" for the zero Location.
func (l Location) String() string { return l.buildkit(l.hidden()) }

// Reveal returns BuildKit's spelling with secrets: parsing it gives the same
// location. It must not be logged.
func (l Location) Reveal() string { return l.buildkit(l.Attrs()) }

// URL returns the location as a URL with secrets replaced by REDACTED. It is ""
// for the zero Location.
func (l Location) URL() string { return l.url(l.hidden()) }

// RevealURL returns the location as a URL with secrets: parsing it gives the
// same location. It must not be logged.
func (l Location) RevealURL() string { return l.url(l.Attrs()) }

// Format implements [fmt.Formatter]: every verb prints [Location.String].
func (l Location) Format(f fmt.State, verb rune) {
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), l.String())
}

// MarshalText implements [encoding.TextMarshaler] with [Location.String], which
// makes it the form in JSON too.
func (l Location) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// LogValue implements [slog.LogValuer] with [Location.String].
func (l Location) LogValue() slog.Value { return slog.StringValue(l.String()) }

// hidden returns the attributes of l with secrets replaced.
func (l Location) hidden() map[string]string {
	s := l.get()
	attrs := maps.Clone(s.attrs)
	for key := range attrs {
		if a, _ := s.driver.attr(key); a.Secret {
			attrs[key] = redacted
		}
	}
	return attrs
}

func (l Location) buildkit(attrs map[string]string) string {
	if l.IsZero() {
		return ""
	}
	fields := []string{"type=" + l.Type()}
	for _, key := range l.get().driver.order(attrs) {
		fields = append(fields, key+"="+attrs[key])
	}
	var line strings.Builder
	w := csv.NewWriter(&line)
	_ = w.Write(fields) // a strings.Builder takes every write
	w.Flush()
	return strings.TrimSuffix(line.String(), "\n")
}

func (l Location) url(attrs map[string]string) string {
	if l.IsZero() {
		return ""
	}
	d := l.get().driver
	place, attrs := d.formatPlace(attrs)
	separator := "?"
	for _, key := range d.order(attrs) {
		place += separator + key + "=" + escapeQuery(attrs[key])
		separator = "&"
	}
	return place
}

// formatPlace returns a URL without query, and the attributes that are left for
// the query. What the driver does not read back as it wrote it, such as a host
// with impossible characters, is left too.
func (d Driver) formatPlace(attrs map[string]string) (place string, query map[string]string) {
	nowhere := d.Type + "://"
	if d.URL.Format == nil {
		return nowhere, attrs
	}
	query = maps.Clone(attrs)
	u := *d.URL.Format(query)
	if u == (url.URL{}) {
		return nowhere, query
	}
	u.Scheme = d.Type
	if portLike.MatchString(u.Opaque) {
		u.Opaque = "%3" + u.Opaque // the first digit encoded, lest it be taken for a port
	}
	again, err := d.parseURL(u.String())
	if err != nil || !maps.Equal(d.byName(append(again, given(query)...)), d.byName(given(attrs))) {
		return nowhere, attrs
	}
	return u.String(), query
}

// byName returns the values of attributes by their names, aliases resolved.
func (d Driver) byName(list []attribute) map[string]string {
	values := make(map[string]string, len(list))
	for _, given := range list {
		a, _ := d.attr(given.key)
		values[a.Name] = given.value
	}
	return values
}

// readable undoes the parts of [url.QueryEscape] that a query does not need,
// and its use of "+" for space, which not every reader understands.
var readable = strings.NewReplacer("+", "%20", "%2F", "/", "%3A", ":", "%3B", ";", "%2C", ",")

func escapeQuery(value string) string { return readable.Replace(url.QueryEscape(value)) }
