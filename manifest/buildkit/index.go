package buildkit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// Bounds of an index of images. BuildKit has none; the index of the most widely
// built images has some dozen entries and no index in it.
const (
	maxImages     = 1000
	maxIndexDepth = 4
)

// index reads a cache in the form of an index, or the caches inside the images
// of an ordinary one.
func (d *decoder) index(ctx context.Context, mediaType string, document value) (*Decoded, error) {
	p, err := d.parts(document)
	if err != nil {
		return nil, invalid("index", err)
	}
	isConfig := func(desc descriptor) bool { return desc.MediaType == MediaTypeConfig }
	first := slices.IndexFunc(p.listed, isConfig)
	if first < 0 {
		return d.images(ctx, p.listed)
	}
	config := p.listed[first]
	if other := slices.IndexFunc(p.listed, func(desc descriptor) bool {
		return isConfig(desc) && desc.Digest != config.Digest
	}); other >= 0 {
		return nil, fmt.Errorf("%w: index lists two cache configs, manifests[%d] and manifests[%d]", blob.ErrInvalid, first, other)
	}
	p.config = &config
	p.listed = slices.DeleteFunc(p.listed, isConfig)
	return d.ociForm(ctx, indexEncoding(mediaType, document), document, p)
}

// indexEncoding tells the two kinds of index apart by what the document says of
// itself, else by what was said of it.
func indexEncoding(said string, document value) Encoding {
	for f := range document.fields() {
		if string(f.name) == "mediaType" {
			if own, err := f.value.text(); err == nil && isIndex(own) {
				said = own
			}
		}
	}
	if said == MediaTypeDockerList {
		return DockerList
	}
	return OCIIndex
}

// manifestsOf fetches the image manifests that an index lists, and those of the
// indexes in it, level by level.
func (d *decoder) manifestsOf(ctx context.Context, listed []descriptor) ([]listedImage, error) {
	var images []listedImage
	seen := make(map[blob.Digest]bool)
	for depth := 0; ; depth++ {
		listed = slices.DeleteFunc(listed, func(desc descriptor) bool {
			skip := seen[desc.Digest] || !mayHaveCache(desc)
			seen[desc.Digest] = true
			return skip
		})
		if len(listed) == 0 {
			return images, nil
		}
		if depth == maxIndexDepth || len(images)+len(listed) > maxImages {
			return nil, fmt.Errorf("%w: index with more than %d images or %d levels", blob.ErrTooLarge, maxImages, maxIndexDepth)
		}
		contents, lost, err := d.fetchAll(ctx, listed)
		if err != nil {
			return nil, err
		}
		var next []descriptor
		for i, desc := range listed {
			image, below := d.listedImage(desc, contents[i], lost[i])
			next = append(next, below...)
			if image.config != nil || image.err != nil {
				images = append(images, image)
			}
		}
		listed = next
	}
}

// mayHaveCache reports whether a descriptor in an index leads to images, and
// not to an attestation, which BuildKit marks with an unknown platform:
// exporter/containerimage/writer.go.
func mayHaveCache(desc descriptor) bool {
	if !isManifest(desc.MediaType) && !isIndex(desc.MediaType) && desc.MediaType != "" {
		return false
	}
	var platform ocispec.Platform
	if raw, ok := desc.extra["platform"]; ok && json.Unmarshal(raw, &platform) != nil {
		return true
	}
	return platform.OS != "unknown" || platform.Architecture != "unknown"
}

// listedImage is an image that an index lists, with its cache or the reason why
// that could not be read.
type listedImage struct {
	descriptor
	parts
	cache *manifest.Manifest
	err   error
}

// listedImage reads a document that an index lists: an image, or an index, of
// which it returns what is listed there.
func (d *decoder) listedImage(desc descriptor, data []byte, lost error) (listedImage, []descriptor) {
	image := listedImage{descriptor: desc, err: lost}
	if lost != nil {
		return image, nil
	}
	document, err := parse(data)
	if err == nil {
		_, err = outline(document)
	}
	if err == nil {
		image.parts, err = d.parts(document)
	}
	if err != nil {
		image.err = invalid(nameOf(desc.MediaType)+" "+string(desc.Digest), err)
		return image, nil
	}
	if image.config == nil {
		return image, image.listed
	}
	return image, nil
}
