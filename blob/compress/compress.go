// Package compress reads and writes layers: tar archives that are compressed
// with gzip or zstd, or not at all. What a blob is compressed with is found out from its
// first bytes, because media types are often wrong and BuildKit does not go by
// them either. An eStargz layer is a gzip stream of several members, and is
// read as one.
package compress

import (
	"bytes"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Compression is how a layer is compressed. Its values are those of BuildKit's
// attribute "compression".
type Compression string

// The compressions.
const (
	Uncompressed Compression = "uncompressed"
	Gzip         Compression = "gzip"
	Zstd         Compression = "zstd"
	// EStargz is gzip with an index of the files, for readers that fetch only
	// what they need. It is only written: what is read is Gzip.
	EStargz Compression = "estargz"
)

// Media types of layers in Docker's manifests. The one with zstd is not part of
// Docker's specification, but BuildKit writes it.
const (
	DockerLayer     = "application/vnd.docker.image.rootfs.diff.tar"
	DockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	DockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd"
)

// mediaTypes has, for each compression, the media type of OCI and of Docker.
var mediaTypes = map[Compression]struct{ oci, docker string }{
	Uncompressed: {ocispec.MediaTypeImageLayer, DockerLayer},
	Gzip:         {ocispec.MediaTypeImageLayerGzip, DockerLayerGzip},
	Zstd:         {ocispec.MediaTypeImageLayerZstd, DockerLayerZstd},
	EStargz:      {ocispec.MediaTypeImageLayerGzip, DockerLayerGzip},
}

// MediaType returns the media type of an OCI layer with this compression, or ""
// if c is unknown.
func (c Compression) MediaType() string { return mediaTypes[c].oci }

// DockerMediaType returns the media type of a Docker layer with this
// compression, or "" if c is unknown.
func (c Compression) DockerMediaType() string { return mediaTypes[c].docker }

// Layers that must not be pushed to just any registry have media types of
// their own.
const (
	nonDistributable = "application/vnd.oci.image.layer.nondistributable.v1."
	foreign          = "application/vnd.docker.image.rootfs.foreign.diff."
)

// IsForeign reports whether a media type is that of a layer that must not be
// pushed to just any registry.
func IsForeign(mediaType string) bool {
	return strings.HasPrefix(mediaType, nonDistributable) || strings.HasPrefix(mediaType, foreign)
}

// OfMediaType returns the compression that a media type stands for; ok is false
// if it is not that of a tar layer.
func OfMediaType(mediaType string) (c Compression, ok bool) {
	plain := strings.Replace(mediaType, nonDistributable, "application/vnd.oci.image.layer.v1.", 1)
	plain = strings.Replace(plain, foreign, "application/vnd.docker.image.rootfs.diff.", 1)
	for _, c := range []Compression{Uncompressed, Gzip, Zstd} {
		if plain == c.MediaType() || plain == c.DockerMediaType() {
			return c, true
		}
	}
	return "", false
}

// The first bytes of compressed data: RFC 1952 and RFC 8878. A zstd stream may
// also begin with a skippable frame, whose first byte has any low digit.
var (
	gzipMagic      = []byte{0x1f, 0x8b}
	zstdMagic      = []byte{0x28, 0xb5, 0x2f, 0xfd}
	skippableMagic = []byte{0x2a, 0x4d, 0x18}
)

// magicSize is how many bytes Detect needs to see.
const magicSize = 4

// Detect tells the compression of a blob from its first four bytes or more.
// Whatever is not compressed in a known way is Uncompressed.
func Detect(prefix []byte) Compression {
	switch {
	case bytes.HasPrefix(prefix, gzipMagic):
		return Gzip
	case bytes.HasPrefix(prefix, zstdMagic):
		return Zstd
	case len(prefix) >= magicSize && prefix[0]&0xf0 == 0x50 && bytes.HasPrefix(prefix[1:], skippableMagic):
		return Zstd
	default:
		return Uncompressed
	}
}
