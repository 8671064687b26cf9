package buildkit

import (
	"errors"

	"github.com/larder-build/larder/manifest"
)

// factFields are those of a layer's annotations in the flat form. The last one
// is larder's: the annotations of the layer's descriptor in the OCI forms that
// have no field, which BuildKit loses. It ignores the field.
var factFields = []string{"mediaType", "diffID", "size", "createdAt", "annotations"}

// flat reads a cache config that has the facts of the layers in it.
func (d *decoder) flat(document value) (*Decoded, error) {
	m, annotations, err := d.config(document)
	if err != nil {
		return nil, invalid("flat manifest", err)
	}
	if err := d.describeFlat(m, annotations); err != nil {
		return nil, invalid("flat manifest", err)
	}
	unknown := make([]bool, len(m.Layers))
	for i, a := range annotations {
		unknown[i] = a.absent()
	}
	if m, err = finish(m, unknown); err != nil {
		return nil, invalid("flat manifest", err)
	}
	return &Decoded{Manifest: m, Encoding: Flat}, nil
}

// describeFlat gives the layers what their annotations say.
func (d *decoder) describeFlat(m *manifest.Manifest, annotations []value) error {
	described := 0
	for i, a := range annotations {
		if a.absent() {
			d.problem(m.Layers[i].Digest, "layers[%d] has no annotations: the layer and what needs it are left out", i)
			continue
		}
		described++
		if err := d.facts(&m.Layers[i], a); err != nil {
			return atIndex("layers", i, at(".annotations", err))
		}
	}
	if described == 0 && len(annotations) > 0 {
		return errors.New("no layer has annotations: this is the config of another form, without the document around it")
	}
	return nil
}

func (d *decoder) facts(l *manifest.Layer, annotations value) (err error) {
	var found [5]value
	if l.DescriptorExtra, err = d.split(annotations, factFields, found[:]); err != nil {
		return err
	}
	if l.MediaType, err = found[0].text(); err != nil {
		return at(".mediaType", err)
	}
	diffID, err := found[1].text()
	if err != nil {
		return at(".diffID", err)
	}
	l.DiffID = d.diffID(diffID, l.Digest)
	if l.Size, err = sizeOf(found[2]); err != nil {
		return at(".size", err)
	}
	if l.CreatedAt, err = d.time(found[3], l.Digest); err != nil {
		return at(".createdAt", err)
	}
	l.Annotations, err = d.stringMap(found[4])
	return at(".annotations", err)
}
