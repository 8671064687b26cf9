// Package manifest holds the model of a build cache, the document that stands
// behind a ref: layers, and records that say which layers are the result of
// which build step. It merges, overlays, compares, checks and reduces such
// documents and builds new ones. It does no input or output; the encodings in
// which a manifest lies on a store are in the packages below it.
//
// The model is BuildKit's cache config (package cache/remotecache/v1 of
// github.com/moby/buildkit), joined with what the store says of each layer. A
// step is opaque: a record's digest means something only to the tool that
// wrote it.
//
// Positions mean something within one document only. Across documents a layer
// is known by its blob and those below it, and a record by its digest and the
// records that its inputs come from. That is all it takes to join documents of
// builds about which nothing is known:
//
//   - [Merge] joins what several writers have; every record survives.
//   - [Overlay] joins what several sources offer, in order of preference.
//   - [Diff] tells what one has and the other has not.
//   - [Manifest.Canonical] brings one into the order that its content defines.
//   - [Manifest.Without] takes out what needs a lost layer, [Manifest.Compact]
//     what serves nothing, [Shed] the oldest until the rest fits a limit.
//   - [Builder] makes one, and [Index] looks up steps in it.
//
// All of them but [Manifest.Check] rely on a manifest that passes Check, leave
// their arguments alone, and take time about linear in the size of the document,
// whoever made it and to whatever end.
package manifest

import (
	"encoding/json"
	"time"

	"github.com/larder-build/larder/blob"
)

// NoParent is the parent of a layer that has none.
const NoParent = -1

// Manifest is one cache document. Layers and records refer to each other by
// their positions in these slices. A Manifest that came from a codec or from
// this package's functions passes Check; treat it as immutable.
type Manifest struct {
	Layers  []Layer
	Records []Record
	// Extra holds the fields of the cache config that this model does not know.
	Extra Fields
	// Envelope holds the fields that this model does not know of the document
	// around the cache config, where there is one.
	Envelope Fields
}

// Fields are JSON fields that this version of larder does not know. They
// survive a rewrite.
type Fields map[string]json.RawMessage

// Layer is a tar archive, perhaps compressed, that is laid over its parent. One
// blob may be several layers, on different parents.
type Layer struct {
	// Digest names the blob.
	Digest blob.Digest
	// DiffID is the digest of the uncompressed tar, or "" if the document does
	// not say. BuildKit cannot use a layer without.
	DiffID blob.Digest
	// Size is the size of the blob in bytes.
	Size int64
	// MediaType tells the compression: an OCI or Docker layer type.
	MediaType string
	// CreatedAt is when the layer was made; the zero time means unknown.
	CreatedAt time.Time
	// Parent is the position of the layer below, or NoParent.
	Parent int
	// Annotations are those of the layer's descriptor that have no field above.
	Annotations map[string]string
	// Extra and DescriptorExtra hold the unknown fields of the layer's entry in
	// the cache config and of its descriptor.
	Extra           Fields
	DescriptorExtra Fields
}

// Descriptor returns what a store needs to know of the layer's blob.
func (l Layer) Descriptor() blob.Descriptor {
	return blob.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size}
}

// Record is one cached step, or a link in a chain of steps. Several records may
// have the same digest and different inputs.
type Record struct {
	// Digest is the key of the step: opaque, never empty.
	Digest blob.Digest
	// Inputs has one entry for each input of the step; each lists at least one
	// record, any of which satisfies that input.
	Inputs [][]Link
	// Results are what the step produced: none if the record is only a link,
	// usually one. Any of them will do.
	Results []Result
	// Extra holds unknown fields.
	Extra Fields
}

// Link points to a record that is the input of another.
type Link struct {
	// Record is the position of the record in Manifest.Records.
	Record int
	// Selector narrows the input to a part of the record's result, such as a
	// path. It is opaque and often "".
	Selector string
	// Extra holds unknown fields.
	Extra Fields
}

// Result is a stack of layers, given either as its topmost layer, with all the
// parents below it, or as a chain.
type Result struct {
	// Layer is the position of the topmost layer. It is meaningless if Chain is
	// not nil.
	Layer int
	// Chain lists the positions of the layers, lowest first, without regard to
	// their parents.
	Chain []int
	// CreatedAt is when the result was made; the zero time means unknown.
	CreatedAt time.Time
	// Extra holds unknown fields.
	Extra Fields
}

// Stack returns the positions of a result's layers, lowest first. The manifest
// must pass Check.
func (m *Manifest) Stack(r Result) []int {
	if r.Chain != nil {
		return r.Chain
	}
	var depth int
	for i := r.Layer; i != NoParent; i = m.Layers[i].Parent {
		depth++
	}
	stack := make([]int, depth)
	for i := r.Layer; i != NoParent; i = m.Layers[i].Parent {
		depth--
		stack[depth] = i
	}
	return stack
}

// Blobs returns the descriptors of the distinct blobs of all layers, in the
// order in which they first occur.
func (m *Manifest) Blobs() []blob.Descriptor {
	seen := make(map[blob.Digest]bool, len(m.Layers))
	var blobs []blob.Descriptor
	for _, l := range m.Layers {
		if !seen[l.Digest] {
			seen[l.Digest] = true
			blobs = append(blobs, l.Descriptor())
		}
	}
	return blobs
}

// IsEmpty reports whether m caches nothing: no record has a result.
func (m *Manifest) IsEmpty() bool {
	for _, r := range m.Records {
		if len(r.Results) > 0 {
			return false
		}
	}
	return true
}
