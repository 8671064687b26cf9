package buildkit

import (
	"encoding/json"
	"fmt"
	"maps"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// mediaTypes pairs the layer types of OCI and Docker, which differ in the name
// only. Docker has no name for a layer that is not to be distributed in zstd.
var mediaTypes = []struct{ oci, docker string }{
	{ocispec.MediaTypeImageLayer, "application/vnd.docker.image.rootfs.diff.tar"},
	{ocispec.MediaTypeImageLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.gzip"},
	{ocispec.MediaTypeImageLayerZstd, "application/vnd.docker.image.rootfs.diff.tar.zstd"},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar"},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"},
}

// encodeOCI writes a cache config and the document around it.
func encodeOCI(m *manifest.Manifest, enc Encoding, limit int64) (*Encoded, error) {
	config, err := encodeConfig(m, false)
	if err != nil {
		return nil, err
	}
	encoded := &Encoded{
		MediaType:  documentType(enc),
		Config:     blob.Describe(MediaTypeConfig, config),
		ConfigData: config,
	}
	if encoded.Data, err = encodeDocument(m, encoded, enc); err != nil {
		return nil, err
	}
	if limit >= 0 && max(encoded.Config.Size, int64(len(encoded.Data))) > limit {
		return nil, fmt.Errorf("%w: the cache config has %d bytes and the %s around it %d, the limit is %d each", blob.ErrTooLarge, len(config), enc, len(encoded.Data), limit)
	}
	return encoded, nil
}

func documentType(enc Encoding) string {
	switch enc {
	case OCIIndex:
		return ocispec.MediaTypeImageIndex
	case DockerList:
		return MediaTypeDockerList
	default:
		return ocispec.MediaTypeImageManifest
	}
}

// encodeDocument writes the manifest or index: the config stands before the
// layers in the one and behind them in the other.
func encodeDocument(m *manifest.Manifest, encoded *Encoded, enc Encoding) ([]byte, error) {
	var w writer
	w.open('{')
	w.numberField("schemaVersion", 2)
	w.textField("mediaType", encoded.MediaType)
	if enc == OCIManifest {
		w.name("config")
		w.config(encoded.Config, m.Envelope)
		w.name("layers")
	} else {
		w.name("manifests")
	}
	w.open('[')
	for _, l := range m.Layers {
		w.next()
		w.descriptor(l, enc)
	}
	if enc != OCIManifest {
		w.next()
		w.config(encoded.Config, m.Envelope)
	}
	w.shut(']')
	w.unknown(withoutField(m.Envelope, envelopeConfig, true), documentFields)
	w.shut('}')
	return w.result()
}

// config writes the descriptor of the config, with the unknown fields that the
// envelope keeps for it.
func (w *writer) config(config blob.Descriptor, envelope manifest.Fields) {
	var extra manifest.Fields
	if raw, ok := envelope[envelopeConfig]; ok {
		if err := json.Unmarshal(raw, &extra); err != nil {
			w.fail(fmt.Errorf("the field config of the envelope holds no fields: %w", err))
		}
	}
	w.open('{')
	w.textField("mediaType", config.MediaType)
	w.textField("digest", string(config.Digest))
	w.numberField("size", config.Size)
	w.unknown(extra, descriptorFields[:3])
	w.shut('}')
}

// descriptor writes a layer as a document of an OCI form has it.
func (w *writer) descriptor(l manifest.Layer, enc Encoding) {
	mediaType, err := convertMediaType(l.MediaType, enc == DockerList)
	w.fail(err)
	w.open('{')
	w.textField("mediaType", mediaType)
	w.textField("digest", string(l.Digest))
	w.numberField("size", l.Size)
	w.name("annotations")
	w.checkAnnotations(l)
	annotations := maps.Clone(l.Annotations)
	if annotations == nil {
		annotations = make(map[string]string, 2)
	}
	annotations[annotationDiffID] = string(l.DiffID)
	if !l.CreatedAt.IsZero() {
		annotations[annotationCreatedAt] = w.timeText(l.CreatedAt)
	}
	w.stringMap(annotations)
	w.unknown(l.DescriptorExtra, descriptorFields)
	w.shut('}')
}

// convertMediaType returns the name of a layer type in the family wanted.
func convertMediaType(mediaType string, docker bool) (string, error) {
	for _, pair := range mediaTypes {
		if mediaType != pair.oci && mediaType != pair.docker {
			continue
		}
		if docker {
			return pair.docker, nil
		}
		return pair.oci, nil
	}
	if docker {
		return "", fmt.Errorf("media type %s has no counterpart in Docker's", mediaType)
	}
	return mediaType, nil
}
