package buildkit

import (
	"errors"
	"fmt"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// EncodeOptions bounds what [Encode] writes.
type EncodeOptions struct {
	// Limit is the most that the document, and the config, may have in the OCI
	// forms, in bytes. The default is ImportLimit, beyond which BuildKit ignores
	// the cache; a negative value means no limit. The flat form has none.
	Limit int64
}

// Encode writes a manifest in one of the free-standing forms, byte for byte as
// BuildKit does: the same manifest gives the same bytes. The order is that of
// m; unknown fields follow the known ones of their object, sorted by name. For
// [Inline] see [AttachInline].
//
// It writes nothing that BuildKit would refuse or choke on: a manifest that
// does not pass Check, that has no results, or that has a layer without diffID,
// without bytes or of an unknown media type, is an error matching
// [blob.ErrInvalid]. In the OCI forms a document or config that exceeds the
// limit is one matching [blob.ErrTooLarge]; manifest.Shed helps against that.
//
// The OCI forms have OCI media types for layers, the Docker list has Docker's;
// the flat form keeps them. Between the OCI forms and the flat form nothing of
// a layer or record is lost; the flat form has no place for the Envelope.
func Encode(m *manifest.Manifest, enc Encoding, opts EncodeOptions) (*Encoded, error) {
	if err := checkEncodable(m); err != nil {
		return nil, err
	}
	switch enc {
	case Flat:
		data, err := encodeConfig(m, true)
		if err != nil {
			return nil, err
		}
		return &Encoded{Data: data}, nil
	case OCIManifest, OCIIndex, DockerList:
		return encodeOCI(m, enc, opts.limit())
	case Inline:
		return nil, fmt.Errorf("%w: an inline cache is part of an image and no document of its own", blob.ErrInvalid)
	default:
		return nil, fmt.Errorf("%w: encoding %s, want one of %s, %s, %s, %s", blob.ErrInvalid, blob.Quote(string(enc)), OCIManifest, OCIIndex, DockerList, Flat)
	}
}

func (o EncodeOptions) limit() int64 {
	if o.Limit == 0 {
		return ImportLimit
	}
	return o.Limit
}

func checkEncodable(m *manifest.Manifest) error {
	if err := m.Check(); err != nil {
		return err
	}
	if m.IsEmpty() {
		return fmt.Errorf("%w: the manifest has no results", blob.ErrInvalid)
	}
	for i, l := range m.Layers {
		if err := l.CheckUsable(); err != nil {
			return fmt.Errorf("layers[%d]: %w", i, err)
		}
	}
	return nil
}

// encodeConfig writes a cache config: flat, or to be joined with descriptors.
func encodeConfig(m *manifest.Manifest, flat bool) ([]byte, error) {
	var w writer
	w.open('{')
	if len(m.Layers) > 0 {
		w.name("layers")
		w.open('[')
		for _, l := range m.Layers {
			w.next()
			w.layer(l, flat)
		}
		w.shut(']')
	}
	if len(m.Records) > 0 {
		w.name("records")
		w.records(m.Records)
	}
	w.unknown(m.Extra, configFields)
	w.shut('}')
	return w.result()
}

// result returns what was written.
func (w *writer) result() ([]byte, error) {
	if w.err != nil {
		return nil, fmt.Errorf("%w: %w", blob.ErrInvalid, w.err)
	}
	return w.Bytes(), nil
}

func (w *writer) layer(l manifest.Layer, flat bool) {
	w.open('{')
	w.textField("blob", string(l.Digest))
	if l.Parent != 0 { // as BuildKit's encoder does, which takes 0 for empty
		w.numberField("parent", int64(l.Parent))
	}
	known := layerFields
	if flat {
		w.name("annotations")
		w.facts(l)
	} else {
		// The config of an OCI form may have annotations, which mean nothing.
		known = layerFields[:2]
	}
	w.unknown(withoutField(l.Extra, "annotations", flat), known)
	w.shut('}')
}

// withoutField returns fields without one if there is reason.
func withoutField(fields manifest.Fields, name string, reason bool) manifest.Fields {
	if _, ok := fields[name]; !ok || !reason {
		return fields
	}
	rest := make(manifest.Fields, len(fields))
	for n, v := range fields {
		if n != name {
			rest[n] = v
		}
	}
	return rest
}

// facts writes what the flat form says of a layer.
func (w *writer) facts(l manifest.Layer) {
	w.open('{')
	w.textField("mediaType", l.MediaType)
	w.textField("diffID", string(l.DiffID))
	w.numberField("size", l.Size)
	w.timeField("createdAt", l.CreatedAt)
	if len(l.Annotations) > 0 {
		w.checkAnnotations(l)
		w.name("annotations")
		w.stringMap(l.Annotations)
	}
	w.unknown(l.DescriptorExtra, factFields)
	w.shut('}')
}

func (w *writer) records(records []manifest.Record) {
	w.open('[')
	for _, r := range records {
		w.next()
		w.record(r)
	}
	w.shut(']')
}

func (w *writer) record(r manifest.Record) {
	w.open('{')
	w.results("layers", r.Results, false)
	w.results("chains", r.Results, true)
	w.textField("digest", string(r.Digest))
	if len(r.Inputs) > 0 {
		w.name("inputs")
		w.open('[')
		for _, links := range r.Inputs {
			w.next()
			w.links(links)
		}
		w.shut(']')
	}
	w.unknown(r.Extra, recordFields)
	w.shut('}')
}

// results writes those results that are chains, or those that are not.
func (w *writer) results(name string, results []manifest.Result, chains bool) {
	begun := false
	for _, r := range results {
		if (r.Chain != nil) != chains {
			continue
		}
		if !begun {
			w.name(name)
			w.open('[')
			begun = true
		}
		w.next()
		w.oneResult(r)
	}
	if begun {
		w.shut(']')
	}
}

func (w *writer) oneResult(r manifest.Result) {
	w.open('{')
	known := resultFields
	if r.Chain == nil {
		w.numberField("layer", int64(r.Layer))
	} else {
		known = chainFields
		w.name("layers")
		w.open('[')
		for _, layer := range r.Chain {
			w.next()
			w.number(int64(layer))
		}
		w.shut(']')
	}
	w.timeField("createdAt", r.CreatedAt)
	w.unknown(r.Extra, known)
	w.shut('}')
}

func (w *writer) links(links []manifest.Link) {
	w.open('[')
	for _, l := range links {
		w.next()
		w.open('{')
		if l.Selector != "" {
			w.textField("selector", l.Selector)
		}
		w.numberField("link", int64(l.Record))
		w.unknown(l.Extra, linkFields)
		w.shut('}')
	}
	w.shut(']')
}

// checkAnnotations refuses annotations that are fields of the layer.
func (w *writer) checkAnnotations(l manifest.Layer) {
	for _, name := range []string{annotationDiffID, annotationCreatedAt} {
		if _, ok := l.Annotations[name]; ok {
			w.fail(errors.New("layer " + string(l.Digest) + " has the annotation " + name + ", which is a field of the layer"))
		}
	}
}
