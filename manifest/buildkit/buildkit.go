// Package buildkit reads and writes cache manifests in BuildKit's own forms:
// an OCI image manifest, an OCI index or a Docker manifest list around a cache
// config blob; the flat form of the object stores; and the records inside an
// image's config, called inline.
//
// The formats are those of github.com/moby/buildkit, package
// cache/remotecache and below. What BuildKit would refuse is never written.
package buildkit

import (
	"context"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// Encoding is the form of a manifest on a store.
type Encoding string

// The encodings.
const (
	// OCIManifest is an OCI image manifest whose config is the cache config and
	// whose layers are the cache's. BuildKit's default on registries and in
	// local directories since v0.21.
	OCIManifest Encoding = "oci-manifest"
	// OCIIndex is an OCI index that lists layers and cache config as if they
	// were manifests. BuildKit's older form; some registries refuse it.
	OCIIndex Encoding = "oci-index"
	// DockerList is the same as a Docker manifest list, with Docker media types.
	DockerList Encoding = "docker-list"
	// Flat is the cache config with the layers' facts in it: S3, Azure, GitHub.
	Flat Encoding = "flat"
	// Inline is an image, or an index of images, whose config carries records
	// about the image's own layers.
	Inline Encoding = "inline"
)

// Media types of cache documents.
const (
	// MediaTypeConfig is the media type of the cache config blob.
	MediaTypeConfig = "application/vnd.buildkit.cacheconfig.v0"
	// MediaTypeDockerList is that of a Docker manifest list.
	MediaTypeDockerList = "application/vnd.docker.distribution.manifest.list.v2+json"
	// MediaTypeDockerManifest is that of a Docker image manifest.
	MediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
)

// Limits of BuildKit and of larder, in bytes.
const (
	// ImportLimit is the largest manifest, and the largest config, that BuildKit
	// imports in the OCI forms; it ignores a cache that exceeds it. Source:
	// cache/remotecache/import.go.
	ImportLimit = 1 << 20
	// DefaultReadLimit is the largest document that Decode reads unless told
	// otherwise.
	DefaultReadLimit = 64 << 20
)

// Fetch returns the verified content of a blob that a document refers to: a
// cache config, an image config, or a manifest in an index.
type Fetch func(ctx context.Context, d blob.Descriptor) ([]byte, error)

// Decoded is a document that was understood.
type Decoded struct {
	Manifest *manifest.Manifest
	Encoding Encoding
	// Documents are the blobs beside the layers that the cache consists of: the
	// cache config, or the manifests and configs of the images in an index.
	Documents []blob.Descriptor
	// Problems says what was left out of Manifest because the document is
	// damaged in part, and what in it BuildKit cannot use.
	Problems []Problem
}

// Problem is a defect in a document that costs only a part of it.
type Problem struct {
	// Blob is the layer or document concerned, or "".
	Blob blob.Digest
	// Detail says what is wrong, for a person.
	Detail string
}

// Encoded is a manifest made ready for a store. Config and children are stored
// before the document.
type Encoded struct {
	// MediaType and Data are the document that the ref points to. A flat one
	// has no media type.
	MediaType string
	Data      []byte
	// Config is the cache config blob of the OCI forms; its data is nil in the
	// others.
	Config     blob.Descriptor
	ConfigData []byte
}
