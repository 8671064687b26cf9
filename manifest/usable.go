package manifest

import (
	"errors"
	"fmt"
	"iter"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/blob"
)

// Layer types beside those that the OCI recommends.
const (
	// BuildKit writes these with oci-mediatypes=false.
	dockerLayer = "application/vnd.docker.image.rootfs.diff.tar"
	// Layers that were not to be pushed; deprecated, but caches still hold them.
	dockerForeignLayer    = "application/vnd.docker.image.rootfs.foreign.diff.tar"
	nonDistributableLayer = "application/vnd.oci.image.layer.nondistributable.v1.tar"
)

// Unusable yields the layers that BuildKit cannot use, with the reason. It
// fails a build that meets one of a wrong type or size, and rebuilds what needs
// one without a diffID, so they are best removed: [Manifest.Usable] does.
func (m *Manifest) Unusable() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i, l := range m.Layers {
			if err := l.CheckUsable(); err != nil && !yield(i, err) {
				return
			}
		}
	}
}

// CheckUsable returns an error matching [blob.ErrInvalid] if BuildKit cannot use
// the layer: because its diffID is not known, because its media type is not
// that of a tar layer of OCI or Docker, or because it has no bytes. The bytes
// themselves are not looked at.
func (l Layer) CheckUsable() error {
	if err := l.defect(); err != nil {
		return fmt.Errorf("%w: layer %s: %w", blob.ErrInvalid, l.Digest, err)
	}
	return nil
}

func (l Layer) defect() error {
	switch {
	case l.DiffID == "":
		return errors.New("diffID is unknown")
	case !isLayerType(l.MediaType):
		return fmt.Errorf("media type is %s, want that of a layer", blob.Quote(l.MediaType))
	case l.Size <= 0:
		return fmt.Errorf("size is %d, want more than 0", l.Size)
	}
	return nil
}

// isLayerType knows the types that containerd, and so BuildKit, can unpack:
// DiffCompression in containerd's package core/images.
func isLayerType(mediaType string) bool {
	switch mediaType {
	case ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd,
		nonDistributableLayer, nonDistributableLayer + "+gzip", nonDistributableLayer + "+zstd",
		dockerLayer, dockerLayer + ".gzip", dockerLayer + ".zstd",
		dockerForeignLayer, dockerForeignLayer + ".gzip":
		return true
	}
	return false
}
