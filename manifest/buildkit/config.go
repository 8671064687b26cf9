package buildkit

import (
	"errors"
	"fmt"
	"time"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// The fields of the cache config, in the order in which BuildKit writes them:
// cache/remotecache/v1/types/types.go.
var (
	configFields = []string{"layers", "records"}
	layerFields  = []string{"blob", "parent", "annotations"}
	recordFields = []string{"layers", "chains", "digest", "inputs"}
	resultFields = []string{"layer", "createdAt"}
	chainFields  = []string{"layers", "createdAt"}
	linkFields   = []string{"selector", "link"}
)

// config reads a cache config. Layers get what it says of them in every form:
// their blob and parent. The annotations, in which the flat form has the rest,
// are returned beside.
func (d *decoder) config(v value) (m *manifest.Manifest, annotations []value, err error) {
	var found [2]value
	m = &manifest.Manifest{}
	if m.Extra, err = d.split(v, configFields, found[:]); err != nil {
		return nil, nil, err
	}
	if err := found[0].wantArray(); err != nil {
		return nil, nil, at("layers", err)
	}
	for i, v := range found[0].items() {
		layer, facts, err := d.layer(v)
		if err != nil {
			return nil, nil, atIndex("layers", i, err)
		}
		m.Layers = append(m.Layers, layer)
		annotations = append(annotations, facts)
	}
	m.Records, err = d.records(found[1])
	return m, annotations, err
}

func (d *decoder) layer(v value) (l manifest.Layer, annotations value, err error) {
	if err := d.count(); err != nil {
		return l, nil, err
	}
	var found [3]value
	if l.Extra, err = d.split(v, layerFields, found[:]); err != nil {
		return l, nil, err
	}
	if l.Digest, err = digestOf(found[0]); err != nil {
		return l, nil, at(".blob", err)
	}
	// BuildKit leaves out a parent that is 0.
	l.Parent, err = found[1].index()
	return l, found[2], at(".parent", err)
}

// digestOf returns a digest that names a blob, and so must be well-formed.
func digestOf(v value) (blob.Digest, error) {
	text, err := v.text()
	if err != nil {
		return "", err
	}
	d := blob.Digest(text)
	if blob.CheckDigest(d) != nil {
		return "", fmt.Errorf("is %s, want sha256: and 64 lower-case hexadecimal digits", blob.Quote(text))
	}
	return d, nil
}

// records reads the array of records, which is all that an image with an inline
// cache has of a cache config.
func (d *decoder) records(v value) ([]manifest.Record, error) {
	if err := v.wantArray(); err != nil {
		return nil, at("records", err)
	}
	var records []manifest.Record
	for i, v := range v.items() {
		record, err := d.record(v)
		if err != nil {
			return nil, atIndex("records", i, err)
		}
		records = append(records, record)
	}
	return records, nil
}

func (d *decoder) record(v value) (r manifest.Record, err error) {
	if err := d.count(); err != nil {
		return r, err
	}
	var found [4]value
	if r.Extra, err = d.split(v, recordFields, found[:]); err != nil {
		return r, err
	}
	key, err := found[2].text()
	if err != nil {
		return r, at(".digest", err)
	}
	if key == "" {
		return r, at(".digest", errors.New("is missing"))
	}
	r.Digest = blob.Digest(key)
	if r.Results, err = d.results(found[0], nil, ".layers", (*decoder).result); err != nil {
		return r, err
	}
	if r.Results, err = d.results(found[1], r.Results, ".chains", (*decoder).chain); err != nil {
		return r, err
	}
	r.Inputs, err = d.inputs(found[3])
	return r, err
}

// results appends the items of one of a record's two lists of results.
func (d *decoder) results(v value, results []manifest.Result, name string, read func(*decoder, value) (manifest.Result, error)) ([]manifest.Result, error) {
	if err := v.wantArray(); err != nil {
		return nil, at(name, err)
	}
	for i, v := range v.items() {
		if err := d.count(); err != nil {
			return nil, err
		}
		result, err := read(d, v)
		if err != nil {
			return nil, atIndex(name, i, err)
		}
		results = append(results, result)
	}
	return results, nil
}

func (d *decoder) result(v value) (r manifest.Result, err error) {
	var found [2]value
	if r.Extra, err = d.split(v, resultFields, found[:]); err != nil {
		return r, err
	}
	if r.Layer, err = found[0].index(); err != nil {
		return r, at(".layer", err)
	}
	r.CreatedAt, err = d.time(found[1], "")
	return r, at(".createdAt", err)
}

func (d *decoder) chain(v value) (r manifest.Result, err error) {
	var found [2]value
	if r.Extra, err = d.split(v, chainFields, found[:]); err != nil {
		return r, err
	}
	if err := found[0].wantArray(); err != nil {
		return r, at(".layers", err)
	}
	r.Chain = []int{} // a chain even without layers, for Check to refuse
	for i, v := range found[0].items() {
		if err := d.count(); err != nil {
			return r, err
		}
		layer, err := v.index()
		if err != nil {
			return r, atIndex(".layers", i, err)
		}
		r.Chain = append(r.Chain, layer)
	}
	r.CreatedAt, err = d.time(found[1], "")
	return r, at(".createdAt", err)
}

// time reads a time. One that cannot be understood is a problem of the blob
// concerned and no error: BuildKit drops a whole cache for it, needlessly.
func (d *decoder) time(v value, concerns blob.Digest) (time.Time, error) {
	text, err := v.text()
	if err != nil || text == "" && v.absent() {
		return time.Time{}, err
	}
	return d.parseTime(text, concerns), nil
}

func (d *decoder) parseTime(text string, concerns blob.Digest) time.Time {
	var t time.Time
	if err := t.UnmarshalText([]byte(text)); err != nil {
		d.problem(concerns, "creation time %s is not understood, want one like 2006-01-02T15:04:05Z; taken as unknown", blob.Quote(text))
		return time.Time{}
	}
	return t
}

func (d *decoder) inputs(v value) ([][]manifest.Link, error) {
	if err := v.wantArray(); err != nil {
		return nil, at(".inputs", err)
	}
	var inputs [][]manifest.Link
	for i, v := range v.items() {
		if err := d.count(); err != nil {
			return nil, err
		}
		links, err := d.links(v)
		if err != nil {
			return nil, atIndex(".inputs", i, err)
		}
		inputs = append(inputs, links)
	}
	return inputs, nil
}

func (d *decoder) links(v value) ([]manifest.Link, error) {
	if err := v.wantArray(); err != nil {
		return nil, err
	}
	var links []manifest.Link
	for i, v := range v.items() {
		link, err := d.link(v)
		if err != nil {
			return nil, atIndex("", i, err)
		}
		links = append(links, link)
	}
	return links, nil
}

func (d *decoder) link(v value) (l manifest.Link, err error) {
	if err := d.count(); err != nil {
		return l, err
	}
	var found [2]value
	if l.Extra, err = d.split(v, linkFields, found[:]); err != nil {
		return l, err
	}
	if l.Selector, err = found[0].text(); err != nil {
		return l, at(".selector", err)
	}
	l.Record, err = found[1].index()
	return l, at(".link", err)
}
