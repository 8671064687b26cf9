package buildkit

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// ErrNothingAttached says that no result of a cache consists of the layers of an
// image. It matches [blob.ErrInvalid].
var ErrNothingAttached error = blob.NewSentinel("no result of the cache consists of the image's layers", blob.ErrInvalid)

// AttachInline returns an image's manifest and config with a cache inside:
// those results of m that consist of the image's own layers, found by digest or
// diffID, and all records. A result that is the beginning of the image's layers
// is written by its topmost layer; any other one as a chain, for which BuildKit
// writes no time of creation.
//
// Nothing else changes. The config gets one field, or a new value for it if it
// had a cache before, and the manifest a new digest and size of the config; all
// other bytes of both stay as they are. In a config whose fields are sorted, as
// BuildKit's are, the new field is put in order, else at the end.
//
// The error matches [blob.ErrInvalid] if the two are not an image, if the config
// is not the manifest's, if m does not pass Check, or, as [ErrNothingAttached],
// if no result consists of the image's layers.
func AttachInline(imageManifest, imageConfig []byte, m *manifest.Manifest) (newManifest, newConfig []byte, err error) {
	image, err := parseImage(imageManifest, imageConfig)
	if err != nil {
		return nil, nil, err
	}
	if err := m.Check(); err != nil {
		return nil, nil, err
	}
	records, err := image.records(m)
	if err != nil {
		return nil, nil, err
	}
	newConfig = withCache(image.config, records)
	return image.withConfig(newConfig), newConfig, nil
}

// image is an image to which a cache is attached.
type image struct {
	manifest, config value
	// positions says where in the image a blob or a diffID is.
	positions map[blob.Digest]int
	layers    []descriptor
	diffIDs   []string
}

func parseImage(imageManifest, imageConfig []byte) (*image, error) {
	d := &decoder{}
	document, err := parse(imageManifest)
	if err != nil {
		return nil, invalid("image manifest", err)
	}
	if _, err := outline(document); err != nil {
		return nil, invalid("image manifest", err)
	}
	p, err := d.parts(document)
	if err != nil {
		return nil, invalid("image manifest", err)
	}
	if p.config == nil || !isImageConfig(p.config.MediaType) {
		return nil, fmt.Errorf("%w: the document is not the manifest of an image", blob.ErrInvalid)
	}
	if got := blob.Describe("", imageConfig); got.Digest != p.config.Digest || got.Size != p.config.Size {
		return nil, fmt.Errorf("%w: the image config is %s, the manifest wants %s", blob.ErrInvalid, got.Digest, p.config.Digest)
	}
	config, err := parse(imageConfig)
	if err != nil {
		return nil, invalid("image config", err)
	}
	diffIDs, err := d.rootFS(config)
	if err != nil {
		return nil, invalid("image config", err)
	}
	if len(diffIDs) != len(p.listed) {
		return nil, fmt.Errorf("%w: the image config has %d diffIDs, but the manifest has %d layers", blob.ErrInvalid, len(diffIDs), len(p.listed))
	}
	return newImage(document, config, p.listed, diffIDs), nil
}

func newImage(document, config value, layers []descriptor, diffIDs []string) *image {
	i := &image{manifest: document, config: config, layers: layers, diffIDs: diffIDs, positions: make(map[blob.Digest]int)}
	for position, diffID := range diffIDs {
		i.positions[blob.Digest(diffID)] = position
	}
	// A blob that is in the image goes before one that has the same content.
	for position, l := range layers {
		i.positions[l.Digest] = position
	}
	return i
}

// records writes the records of m with the results that the image holds.
func (i *image) records(m *manifest.Manifest) ([]byte, error) {
	kept := &manifest.Manifest{Layers: m.Layers, Records: slices.Clone(m.Records)}
	for n, r := range m.Records {
		kept.Records[n].Results = nil
		for _, result := range r.Results {
			if inImage, ok := i.result(m, result); ok {
				kept.Records[n].Results = append(kept.Records[n].Results, inImage)
			}
		}
	}
	if kept.IsEmpty() {
		return nil, ErrNothingAttached
	}
	var w writer
	w.records(kept.Records)
	return w.result()
}

// result expresses a result in positions of the image's layers, if it has all.
func (i *image) result(m *manifest.Manifest, r manifest.Result) (manifest.Result, bool) {
	stack := m.Stack(r)
	chain := make([]int, len(stack))
	isPrefix := len(stack) <= len(i.layers)
	for height, n := range stack {
		position, ok := i.position(m.Layers[n])
		if !ok {
			return r, false
		}
		chain[height] = position
		isPrefix = isPrefix && i.holds(height, m.Layers[n])
	}
	if isPrefix {
		return manifest.Result{Layer: len(stack) - 1, CreatedAt: r.CreatedAt, Extra: r.Extra}, true
	}
	return manifest.Result{Chain: chain, Extra: r.Extra}, true
}

// position returns where in the image a layer is. The same content may be
// there in another compression.
func (i *image) position(l manifest.Layer) (position int, ok bool) {
	if position, ok = i.positions[l.Digest]; !ok && l.DiffID != "" {
		position, ok = i.positions[l.DiffID]
	}
	return position, ok
}

// holds reports whether the image's layer at a position is l.
func (i *image) holds(position int, l manifest.Layer) bool {
	return i.layers[position].Digest == l.Digest || l.DiffID != "" && i.diffIDs[position] == string(l.DiffID)
}

// withCache returns an image config with the field of the cache.
func withCache(config value, records []byte) []byte {
	payload := strconv.Quote(base64.StdEncoding.EncodeToString(records))
	insertion, end := -1, 0
	sorted, last := true, ""
	for f := range config.fields() {
		name := string(f.name)
		if name == fieldInline {
			return splice(config, edit{f.start, f.end, payload})
		}
		sorted = sorted && last < name
		if insertion < 0 && name > fieldInline {
			insertion = f.nameStart
		}
		last, end = name, f.end
	}
	text := strconv.Quote(fieldInline) + ":" + payload
	if sorted && insertion >= 0 {
		return splice(config, edit{insertion, insertion, text + ","})
	}
	return splice(config, edit{end, end, "," + text})
}

// withConfig returns the manifest with another config.
func (i *image) withConfig(config []byte) []byte {
	var edits []edit
	for f := range i.manifest.fields() {
		if string(f.name) == "config" {
			edits = append(edits, moved(redescribe(f.value, config), f.start)...)
		}
	}
	return splice(i.manifest, edits...)
}

// edit is a piece of a document that is replaced by text.
type edit struct {
	start, end int
	text       string
}

// splice returns a copy of document with the edits made.
func splice(document []byte, edits ...edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out bytes.Buffer
	done := 0
	for _, e := range edits {
		out.Write(document[done:e.start])
		out.WriteString(e.text)
		done = e.end
	}
	out.Write(document[done:])
	return out.Bytes()
}
