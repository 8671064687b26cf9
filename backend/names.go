package backend

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/larder-build/larder/blob"
)

// MaxRefName is the longest name of a ref that every backend must take that
// has no limit of its own, in bytes.
const MaxRefName = 255

// CheckRefName returns an error matching [ErrInvalid] unless name can name a
// ref: 1 to [MaxRefName] bytes of UTF-8 without control characters, commas,
// semicolons, or space at either end, whose parts between slashes are neither
// empty nor "." nor "..". A driver may refuse more, such as a registry names
// that are no tags.
func CheckRefName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: ref name is empty", ErrInvalid)
	case len(name) > MaxRefName:
		return fmt.Errorf("%w: ref name %s has %d bytes, want at most %d", ErrInvalid, blob.Quote(name), len(name), MaxRefName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: ref name %s is not UTF-8", ErrInvalid, blob.Quote(name))
	case strings.ContainsFunc(name, unicode.IsControl), strings.ContainsAny(name, ",;"), strings.TrimSpace(name) != name:
		return fmt.Errorf("%w: ref name %s has a control character, comma, semicolon, or space at an end", ErrInvalid, blob.Quote(name))
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("%w: ref name %s has the part %q between slashes", ErrInvalid, blob.Quote(name), part)
		}
	}
	return nil
}

// IsDigest reports whether a ref name is the digest of a document rather than
// a name: such refs can only be read.
func IsDigest(name string) bool { return blob.CheckDigest(blob.Digest(name)) == nil }
