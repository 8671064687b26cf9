package buildkit

import (
	"context"
	"encoding/json"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// The annotations of a layer's descriptor. Source: BuildKit's
// cache/remotecache/v1/utils.go and containerd's pkg/labels.
const (
	annotationDiffID    = "containerd.io/uncompressed"
	annotationCreatedAt = "buildkit/createdat"
)

var (
	// documentFields are those of manifests and indexes. A document with both
	// layers and manifests is refused before.
	documentFields   = []string{"schemaVersion", "mediaType", "config", "layers", "manifests"}
	descriptorFields = []string{"mediaType", "digest", "size", "annotations"}
)

// envelopeConfig is the name in a manifest's Envelope under which the unknown
// fields of the config's descriptor are kept. No unknown field of the document
// itself can have it.
const envelopeConfig = "config"

// descriptor is a descriptor with the fields that the codec does not know.
type descriptor struct {
	blob.Descriptor
	extra manifest.Fields
}

func (d *decoder) descriptor(v value) (desc descriptor, err error) {
	if err := d.count(); err != nil {
		return desc, err
	}
	var found [4]value
	if desc.extra, err = d.split(v, descriptorFields, found[:]); err != nil {
		return desc, err
	}
	if desc.MediaType, err = found[0].text(); err != nil {
		return desc, at(".mediaType", err)
	}
	if desc.Digest, err = digestOf(found[1]); err != nil {
		return desc, at(".digest", err)
	}
	if desc.Size, err = sizeOf(found[2]); err != nil {
		return desc, at(".size", err)
	}
	desc.Annotations, err = d.stringMap(found[3])
	return desc, at(".annotations", err)
}

// sizeOf returns a size in bytes.
func sizeOf(v value) (int64, error) {
	size, err := v.integer(0)
	if err == nil && size < 0 {
		err = v.mismatch("0 or more")
	}
	return size, err
}

// descriptors reads an array of descriptors, which stands at the given place.
func (d *decoder) descriptors(v value, place string) ([]descriptor, error) {
	if err := v.wantArray(); err != nil {
		return nil, at(place, err)
	}
	var all []descriptor
	for i, v := range v.items() {
		desc, err := d.descriptor(v)
		if err != nil {
			return nil, atIndex(place, i, err)
		}
		all = append(all, desc)
	}
	return all, nil
}

// parts are what a manifest or an index consists of: a config, and layers or
// what else is listed.
type parts struct {
	config *descriptor
	listed []descriptor
	extra  manifest.Fields
}

func (d *decoder) parts(document value) (p parts, err error) {
	var found [5]value
	if p.extra, err = d.split(document, documentFields, found[:]); err != nil {
		return p, err
	}
	if _, err := found[1].text(); err != nil {
		return p, at("mediaType", err)
	}
	if !found[4].absent() {
		p.listed, err = d.descriptors(found[4], "manifests")
		return p, err
	}
	config, err := d.descriptor(found[2])
	if err != nil {
		return p, at("config", err)
	}
	p.config = &config
	p.listed, err = d.descriptors(found[3], "layers")
	return p, err
}

func (d *decoder) imageManifest(ctx context.Context, document value) (*Decoded, error) {
	p, err := d.parts(document)
	if err != nil {
		return nil, invalid("image manifest", err)
	}
	if p.config.MediaType != MediaTypeConfig {
		return d.oneImage(ctx, p)
	}
	return d.ociForm(ctx, OCIManifest, document, p)
}

// ociForm reads the cache config that a document of one of the OCI forms refers
// to and joins it with what the document says of the layers.
func (d *decoder) ociForm(ctx context.Context, enc Encoding, document value, p parts) (*Decoded, error) {
	data, err := d.fetchOne(ctx, *p.config)
	if err != nil {
		return nil, err
	}
	d.noteSize("the document", "", len(document))
	d.noteSize("the cache config", p.config.Digest, len(data))
	m, err := d.ociConfig(data, p.listed)
	if err != nil {
		return nil, invalid("cache config "+string(p.config.Digest), err)
	}
	m.Envelope = withConfigExtra(p.extra, *p.config)
	return &Decoded{Manifest: m, Encoding: enc, Documents: []blob.Descriptor{p.config.bare()}}, nil
}

func (d *decoder) ociConfig(data []byte, descriptors []descriptor) (*manifest.Manifest, error) {
	v, err := parse(data)
	if err != nil {
		return nil, err
	}
	m, annotations, err := d.config(v)
	if err != nil {
		return nil, err
	}
	for i, a := range annotations {
		if a != nil { // not of this form, and so nothing that counts
			m.Layers[i].Extra = withField(m.Layers[i].Extra, "annotations", a.compacted())
		}
	}
	return finish(m, d.describe(m, descriptors))
}

// noteSize tells of a document that larder reads and BuildKit does not.
func (d *decoder) noteSize(name string, b blob.Digest, size int) {
	if size > ImportLimit {
		d.problem(b, "%s has %d bytes; BuildKit ignores a cache in which it has more than %d", name, size, ImportLimit)
	}
}

// describe gives the layers what their descriptors say, and returns which ones
// have no descriptor: somebody took it out of the document to drop the layer.
func (d *decoder) describe(m *manifest.Manifest, descriptors []descriptor) (unknown []bool) {
	last := make(map[blob.Digest]int, len(descriptors))
	for i, desc := range descriptors {
		last[desc.Digest] = i
	}
	facts := make(map[blob.Digest]*manifest.Layer, len(last))
	for i, desc := range descriptors {
		// Of several descriptors of one blob BuildKit believes the last.
		if last[desc.Digest] == i {
			facts[desc.Digest] = new(d.layerFacts(desc))
		}
	}
	unknown = make([]bool, len(m.Layers))
	for i, l := range m.Layers {
		known := facts[l.Digest]
		if known == nil {
			unknown[i] = true
			d.problem(l.Digest, "layers[%d] of the cache config is not listed in the document: the layer and what needs it are left out", i)
			continue
		}
		known.Parent, known.Extra = l.Parent, l.Extra
		m.Layers[i] = *known
	}
	return unknown
}

// layerFacts returns what a descriptor says of a layer.
func (d *decoder) layerFacts(desc descriptor) manifest.Layer {
	l := manifest.Layer{Digest: desc.Digest, Size: desc.Size, MediaType: desc.MediaType, DescriptorExtra: desc.extra}
	if text, ok := desc.Annotations[annotationCreatedAt]; ok {
		l.CreatedAt = d.parseTime(text, desc.Digest)
	}
	l.DiffID = d.diffID(desc.Annotations[annotationDiffID], desc.Digest)
	delete(desc.Annotations, annotationCreatedAt)
	delete(desc.Annotations, annotationDiffID)
	if len(desc.Annotations) > 0 {
		l.Annotations = desc.Annotations
	}
	return l
}

// diffID returns text if it is a digest. A layer without a diffID is a problem
// and no error: BuildKit rebuilds only what needs it.
func (d *decoder) diffID(text string, of blob.Digest) blob.Digest {
	diffID := blob.Digest(text)
	switch {
	case text == "":
		d.problem(of, "the layer has no diffID: BuildKit builds again what needs it")
		return ""
	case blob.CheckDigest(diffID) != nil:
		d.problem(of, "the layer's diffID is %s, want sha256: and 64 lower-case hexadecimal digits; taken as missing", blob.Quote(text))
		return ""
	}
	return diffID
}

// bare returns the descriptor without what a store has no use for.
func (d descriptor) bare() blob.Descriptor {
	return blob.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// withConfigExtra adds to the envelope what a config's descriptor has beside
// the three fields that follow from the config.
func withConfigExtra(envelope manifest.Fields, config descriptor) manifest.Fields {
	extra := config.extra
	if len(config.Annotations) > 0 {
		extra = withField(extra, "annotations", config.Annotations)
	}
	if len(extra) == 0 {
		return envelope
	}
	return withField(envelope, envelopeConfig, extra)
}

// withField returns fields with one more, whose value is made of strings and
// raw JSON, which can always be marshaled.
func withField(fields manifest.Fields, name string, content any) manifest.Fields {
	if fields == nil {
		fields = make(manifest.Fields)
	}
	fields[name], _ = json.Marshal(content)
	return fields
}
