package buildkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

const (
	// fieldInline is the field of an image's config that holds the records, in
	// base64. Source: cache/remotecache/import.go.
	fieldInline = "moby.buildkit.cache.v0"
	// mediaTypeDockerConfig is that of the config of a Docker image.
	mediaTypeDockerConfig = "application/vnd.docker.container.image.v1+json"
)

// oneImage reads the cache inside an image.
func (d *decoder) oneImage(ctx context.Context, p parts) (*Decoded, error) {
	if !isImageConfig(p.config.MediaType) {
		return nil, notImage(p)
	}
	data, err := d.fetchOne(ctx, *p.config)
	if err != nil {
		return nil, err
	}
	m, err := d.inImage(p, data)
	if err != nil {
		return nil, err
	}
	return &Decoded{Manifest: m, Encoding: Inline, Documents: []blob.Descriptor{p.config.bare()}}, nil
}

func isImageConfig(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageConfig || mediaType == mediaTypeDockerConfig
}

func notImage(p parts) error {
	return fmt.Errorf("%w: the config %s has media type %s, want %s or that of an image", ErrNotCache, p.config.Digest, blob.Quote(p.config.MediaType), MediaTypeConfig)
}

// images reads the caches inside the images that an index lists, and joins them
// into one. An image that is damaged or gone is a problem as long as another
// one has a cache.
func (d *decoder) images(ctx context.Context, listed []descriptor) (*Decoded, error) {
	images, err := d.manifestsOf(ctx, listed)
	if err != nil {
		return nil, err
	}
	if images, err = d.inImages(ctx, images); err != nil {
		return nil, err
	}
	return d.joinImages(images)
}

// inImages fetches the configs of images and sets the cache of each, or why it
// has none.
func (d *decoder) inImages(ctx context.Context, images []listedImage) ([]listedImage, error) {
	var configs []descriptor
	var owners []*listedImage
	for i := range images {
		image := &images[i]
		switch {
		case image.err != nil:
		case !isImageConfig(image.config.MediaType):
			image.err = notImage(image.parts)
		default:
			configs = append(configs, *image.config)
			owners = append(owners, image)
		}
	}
	contents, lost, err := d.fetchAll(ctx, configs)
	if err != nil {
		return nil, err
	}
	for i, image := range owners {
		if image.err = lost[i]; image.err == nil {
			image.cache, image.err = d.inImage(image.parts, contents[i])
		}
	}
	return images, nil
}

func (d *decoder) joinImages(images []listedImage) (*Decoded, error) {
	found := &Decoded{Manifest: &manifest.Manifest{}, Encoding: Inline}
	var damage error
	for _, image := range images {
		switch {
		case image.err == nil:
			found.Documents = append(found.Documents, image.bare(), image.config.bare())
			appendManifest(found.Manifest, image.cache)
		case !errors.Is(image.err, ErrNotCache):
			d.problem(image.Digest, "%v", image.err)
			damage = cmp.Or(damage, image.err)
		}
	}
	switch {
	case len(found.Documents) > 0:
		return found, nil
	case damage != nil:
		return nil, damage
	default:
		return nil, fmt.Errorf("%w: none of the %d images that the index lists has one", ErrNotCache, len(images))
	}
}

// appendManifest adds the layers and records of part behind those of m.
func appendManifest(m, part *manifest.Manifest) {
	layers, records := len(m.Layers), len(m.Records)
	for _, l := range part.Layers {
		if l.Parent != manifest.NoParent {
			l.Parent += layers
		}
		m.Layers = append(m.Layers, l)
	}
	for _, r := range part.Records {
		for _, input := range r.Inputs {
			for i := range input {
				input[i].Record += records
			}
		}
		for i := range r.Results {
			if r.Results[i].Chain == nil {
				r.Results[i].Layer += layers
			}
			for j := range r.Results[i].Chain {
				r.Results[i].Chain[j] += layers
			}
		}
		m.Records = append(m.Records, r)
	}
}

// imageConfig is the part of an image's config that a cache needs.
type imageConfig struct {
	diffIDs []string
	// created has the times of the steps that made a layer.
	created []string
	// cache is the array of records, or nil.
	cache []byte
}

// inImage reads the cache inside an image: records about the image's own
// layers, each of which lies on the one before.
func (d *decoder) inImage(p parts, data []byte) (*manifest.Manifest, error) {
	name := "image config " + string(p.config.Digest)
	config, err := d.imageConfig(data)
	if err != nil {
		return nil, invalid(name, err)
	}
	if config.cache == nil {
		return nil, fmt.Errorf("%w: %s has no field %s", ErrNotCache, name, fieldInline)
	}
	if have, want := len(config.diffIDs), len(p.listed); have != want {
		return nil, invalid(name, fmt.Errorf("has %d diffIDs, but the manifest has %d layers", have, want))
	}
	records, err := parse(config.cache)
	if err != nil {
		return nil, invalid(name, at(fieldInline, err))
	}
	m := &manifest.Manifest{Layers: d.imageLayers(p.listed, config)}
	if m.Records, err = d.records(records); err != nil {
		return nil, invalid(name, err)
	}
	if err := m.Check(); err != nil {
		return nil, invalid(name, err)
	}
	return m, nil
}

func (d *decoder) imageConfig(data []byte) (c imageConfig, err error) {
	document, err := parse(data)
	if err != nil {
		return c, err
	}
	var found [2]value
	if err := pick(document, []string{fieldInline, "history"}, found[:]); err != nil {
		return c, err
	}
	if c.cache, err = found[0].binary(); err != nil || c.cache == nil {
		return c, at(fieldInline, err)
	}
	if c.created, err = d.history(found[1]); err != nil {
		return c, err
	}
	c.diffIDs, err = d.rootFS(document)
	return c, err
}

// rootFS returns the diffIDs of an image's layers.
func (d *decoder) rootFS(config value) ([]string, error) {
	var found [1]value
	if err := pick(config, []string{"rootfs"}, found[:]); err != nil {
		return nil, err
	}
	var rootFS [1]value
	if err := pick(found[0], []string{"diff_ids"}, rootFS[:]); err != nil {
		return nil, at("rootfs", err)
	}
	diffIDs, err := d.diffIDs(rootFS[0])
	return diffIDs, at("rootfs", err)
}

// history returns the times of an image's steps, without those that made no
// layer.
func (d *decoder) history(v value) ([]string, error) {
	if err := v.wantArray(); err != nil {
		return nil, at("history", err)
	}
	var times []string
	for i, v := range v.items() {
		if err := d.count(); err != nil {
			return nil, err
		}
		var found [2]value
		if err := pick(v, []string{"created", "empty_layer"}, found[:]); err != nil {
			return nil, atIndex("history", i, err)
		}
		if string(found[1]) == "true" {
			continue
		}
		created, err := found[0].text()
		if err != nil {
			return nil, atIndex("history", i, at(".created", err))
		}
		times = append(times, created)
	}
	return times, nil
}

func (d *decoder) diffIDs(v value) ([]string, error) {
	if err := v.wantArray(); err != nil {
		return nil, at(".diff_ids", err)
	}
	var diffIDs []string
	for i, v := range v.items() {
		if err := d.count(); err != nil {
			return nil, err
		}
		diffID, err := v.text()
		if err != nil {
			return nil, atIndex(".diff_ids", i, err)
		}
		diffIDs = append(diffIDs, diffID)
	}
	return diffIDs, nil
}

// imageLayers returns an image's layers, of which the config has the diffIDs
// and, in the history, the times.
func (d *decoder) imageLayers(listed []descriptor, config imageConfig) []manifest.Layer {
	layers := make([]manifest.Layer, len(listed))
	for i, desc := range listed {
		if desc.Annotations == nil {
			desc.Annotations = make(map[string]string)
		}
		desc.Annotations[annotationDiffID] = config.diffIDs[i]
		if i < len(config.created) && config.created[i] != "" {
			desc.Annotations[annotationCreatedAt] = config.created[i]
		}
		layers[i] = d.layerFacts(desc)
		layers[i].Parent = i - 1
	}
	return layers
}
