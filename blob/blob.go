// Package blob names, opens and checks content-addressed data: immutable bytes
// known by the sha256 digest of exactly those bytes.
//
// It is the bottom of larder: every other package speaks of blobs in its terms,
// and it knows nothing of stores, manifests or build tools. Digests and
// descriptors are those of the Open Container Initiative, so that values pass
// between larder and other container libraries unchanged.
package blob

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Digest is the name of a blob, "sha256:" and 64 lower-case hexadecimal digits.
// Other algorithms that go-digest knows are refused by [CheckDigest], because
// no store that larder shares with BuildKit can hold them.
type Digest = digest.Digest

// Descriptor describes a blob to be moved: its digest, its exact size in bytes
// and its media type. Only these three matter to a store.
type Descriptor = ocispec.Descriptor

// hexLength is the length of a sha256 sum in hexadecimal digits.
const hexLength = 64

// CheckDigest returns an error matching [ErrInvalid] unless d is a well-formed
// sha256 digest. A digest that passes is safe as a file name or object key.
func CheckDigest(d Digest) error {
	hex, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(hex) != hexLength || strings.Trim(hex, "0123456789abcdef") != "" {
		return fmt.Errorf("%w: digest %s: want sha256: and 64 lower-case hexadecimal digits", ErrInvalid, Quote(string(d)))
	}
	return nil
}

// CheckDescriptor returns an error matching [ErrInvalid] unless the digest of d
// is well-formed and its size is not negative.
func CheckDescriptor(d Descriptor) error {
	if err := CheckDigest(d.Digest); err != nil {
		return err
	}
	if d.Size < 0 {
		return fmt.Errorf("%w: blob %s: size %d is negative", ErrInvalid, d.Digest, d.Size)
	}
	return nil
}

// Describe returns the descriptor of data under a media type.
func Describe(mediaType string, data []byte) Descriptor {
	return Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// maxQuoted bounds how much of a foreign value an error message repeats.
const maxQuoted = 100

// Quote returns s as a Go string literal, cut after about a hundred bytes. It
// is for error messages about foreign input, which may be long or hold control
// characters.
func Quote(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%q…", s[:maxQuoted])
	}
	return fmt.Sprintf("%q", s)
}

// ReadAll returns the content that d describes, read from src and verified. It
// is for small documents: a descriptor larger than limit bytes is an error
// matching [ErrTooLarge], and nothing is read.
func ReadAll(ctx context.Context, d Descriptor, src Source, limit int64) ([]byte, error) {
	if err := CheckDescriptor(d); err != nil {
		return nil, err
	}
	if d.Size > limit {
		return nil, fmt.Errorf("%w: blob %s has %d bytes, the limit is %d", ErrTooLarge, d.Digest, d.Size, limit)
	}
	r, err := src.Open(ctx)
	if err != nil {
		return nil, err
	}
	verified := NewReader(r, d)
	data, err := io.ReadAll(verified)
	if closeErr := verified.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}
