package backend

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larder-build/larder/blob"
)

// CommonAttrs returns the attributes that BuildKit knows for every type of
// cache, or for several, and that concern how it builds rather than where a
// cache is. Storage has no use for any of them.
//
// Source: docker/buildx and moby/buildkit, "Export cache" in their manuals.
func CommonAttrs() []Attr {
	return []Attr{
		{Name: "mode", Inert: true, Check: OneOf("min", "max")},
		{Name: "ignore-error", Inert: true, Check: Bool},
		{Name: "compression", Inert: true, Check: OneOf("uncompressed", "gzip", "estargz", "zstd")},
		{Name: "compression-level", Inert: true, Check: IntBetween(0, 22)},
		{Name: "force-compression", Inert: true, Check: Bool},
		{Name: "oci-mediatypes", Inert: true, Check: Bool},
		{Name: "image-manifest", Inert: true, Check: Bool},
	}
}

// Bool is a check for [Attr]: it accepts what [strconv.ParseBool] does, as
// BuildKit.
func Bool(value string) error {
	if _, err := strconv.ParseBool(value); err != nil {
		return errors.New("want true or false")
	}
	return nil
}

// OneOf returns a check for [Attr] that accepts the given values.
func OneOf(values ...string) func(string) error {
	return func(value string) error {
		if slices.Contains(values, value) {
			return nil
		}
		return fmt.Errorf("want one of %s", strings.Join(values, ", "))
	}
}

// IntBetween returns a check for [Attr] that accepts decimal integers from low to
// high, both included.
func IntBetween(low, high int) func(string) error {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < low || n > high {
			return fmt.Errorf("want a whole number from %d to %d", low, high)
		}
		return nil
	}
}

// Duration is a check for [Attr]: it accepts durations in Go's notation that are
// not negative: 24h, 90s, 1h30m.
func Duration(value string) error {
	if d, err := time.ParseDuration(value); err != nil || d < 0 {
		return errors.New("want a duration such as 90s or 24h")
	}
	return nil
}

// HTTPURL is a check for [Attr]: it accepts absolute http and https URLs with a
// host and without user information, query and fragment, where secrets could
// hide.
func HTTPURL(value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return errors.New("want a URL such as https://host:port")
	case u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(value, "#"):
		return errors.New("want a URL without user information, query and fragment")
	}
	return nil
}

// Digest is a check for [Attr]: it accepts digests as [blob.CheckDigest] does.
func Digest(value string) error {
	if blob.CheckDigest(blob.Digest(value)) != nil {
		return errors.New("want sha256: and 64 lower-case hexadecimal digits")
	}
	return nil
}
