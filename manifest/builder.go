package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/larder-build/larder/blob"
)

// Builder makes a manifest for a tool that has a cache of its own. What it makes
// BuildKit can import. Its methods never fail: they note a mistake with the
// value that is wrong and return a handle that does no harm, and
// [Builder.Manifest] returns all that was noted.
//
// A Builder is for one goroutine.
type Builder struct {
	manifest Manifest
	errs     []error
}

// NewBuilder returns a builder of an empty manifest.
func NewBuilder() *Builder { return &Builder{} }

// LayerHandle stands for a layer of a [Builder]. The zero value stands for no
// layer: it is the parent of a layer that has none.
type LayerHandle struct{ handle }

// RecordHandle stands for a record of a [Builder].
type RecordHandle struct{ handle }

// handle is a position in what builder makes. It is broken if the call that
// returned it failed.
type handle struct {
	builder  *Builder
	position int
	broken   bool
}

// Alternative is one way to satisfy an input: a record, or the part of its
// result that the selector names.
type Alternative struct {
	Record   RecordHandle
	Selector string
}

// Input is an input of a record. Any of its alternatives satisfies it.
type Input []Alternative

// AnyOf returns the input that the result of any of the records satisfies.
func AnyOf(records ...RecordHandle) Input {
	input := make(Input, len(records))
	for i, r := range records {
		input[i].Record = r
	}
	return input
}

// Select returns the input that the selected part of any of the alternatives'
// results satisfies. A selector is opaque: BuildKit's are paths.
func (in Input) Select(selector string) Input {
	out := slices.Clone(in)
	for i := range out {
		out[i].Selector = selector
	}
	return out
}

// Layer adds a layer: a tar archive laid over parent. Of desc, the digest, size
// and media type count; the type must be that of an OCI or Docker layer. The
// diffID is the digest of the uncompressed tar. The time may be zero if it is
// not known.
func (b *Builder) Layer(desc blob.Descriptor, diffID blob.Digest, createdAt time.Time, parent LayerHandle) LayerHandle {
	l := Layer{
		Digest: desc.Digest, DiffID: diffID, Size: desc.Size, MediaType: desc.MediaType,
		CreatedAt: createdAt, Parent: NoParent,
	}
	name := "layer " + blob.Quote(string(desc.Digest))
	ok := true
	if parent != (LayerHandle{}) {
		ok = b.owns(parent.handle, name+": parent")
		l.Parent = parent.position
	}
	if err := cmp.Or(b.manifest.checkLayer(l), l.defect()); ok && err != nil {
		ok = b.fail("%s: %w", name, err)
	}
	if !ok {
		return LayerHandle{handle{b, 0, true}}
	}
	b.manifest.Layers = append(b.manifest.Layers, l)
	return LayerHandle{handle{b, len(b.manifest.Layers) - 1, false}}
}

// Record adds the record of a step that is known by a readable key and by its
// inputs. The record's digest is [KeyDigest] of the key, and the key is kept in
// a field that BuildKit ignores: see [Record.Name].
func (b *Builder) Record(key string, inputs ...Input) RecordHandle {
	name := "record " + blob.Quote(key)
	if key == "" || !utf8.ValidString(key) {
		b.fail("%s: key is not text", name)
		return RecordHandle{handle{b, 0, true}}
	}
	return b.record(name, NewRecord(key), inputs)
}

// RecordDigest adds the record of a step that is known by an opaque digest and
// by its inputs.
func (b *Builder) RecordDigest(d blob.Digest, inputs ...Input) RecordHandle {
	return b.record("record "+blob.Quote(string(d)), Record{Digest: d}, inputs)
}

func (b *Builder) record(name string, r Record, inputs []Input) RecordHandle {
	ok := true
	for i, input := range inputs {
		var alternatives []Link
		for _, a := range input {
			ok = b.owns(a.Record.handle, fmt.Sprintf("%s: input %d", name, i)) && ok
			alternatives = append(alternatives, Link{Record: a.Record.position, Selector: a.Selector})
		}
		r.Inputs = append(r.Inputs, alternatives)
	}
	if ok {
		if err := b.manifest.checkRecord(r); err != nil {
			ok = b.fail("%s: %w", name, err)
		}
	}
	if !ok {
		return RecordHandle{handle{b, 0, true}}
	}
	b.manifest.Records = append(b.manifest.Records, r)
	return RecordHandle{handle{b, len(b.manifest.Records) - 1, false}}
}

// Result says that a record's result is the layer with all the parents below
// it. The time may be zero if it is not known.
func (b *Builder) Result(r RecordHandle, createdAt time.Time, top LayerHandle) {
	if b.owns(r.handle, "result: record") && b.owns(top.handle, "result: layer") {
		b.addResult(r, Result{Layer: top.position, CreatedAt: createdAt})
	}
}

// Chain says that a record's result is these layers, lowest first, whatever
// their parents. The time may be zero if it is not known.
func (b *Builder) Chain(r RecordHandle, createdAt time.Time, layers ...LayerHandle) {
	if len(layers) == 0 {
		b.fail("chain: there are no layers")
		return
	}
	ok := b.owns(r.handle, "chain: record")
	result := Result{CreatedAt: createdAt}
	for i, l := range layers {
		ok = b.owns(l.handle, fmt.Sprintf("chain: layer %d", i)) && ok
		result.Chain = append(result.Chain, l.position)
	}
	if ok {
		b.addResult(r, result)
	}
}

func (b *Builder) addResult(r RecordHandle, result Result) {
	results := &b.manifest.Records[r.position].Results
	*results = append(*results, result)
}

// Manifest returns what was built, in canonical order, or all mistakes that were
// noted, each matching [blob.ErrInvalid]. The builder can be used further.
func (b *Builder) Manifest() (*Manifest, error) {
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	return b.manifest.Canonical(), nil
}

// owns reports whether h is a good handle of b. A broken one is not, but needs
// no further error.
func (b *Builder) owns(h handle, what string) bool {
	switch {
	case h.builder == nil:
		return b.fail("%s is the zero handle", what)
	case h.builder != b:
		return b.fail("%s is of another builder", what)
	}
	return !h.broken
}

// fail notes a mistake and returns false.
func (b *Builder) fail(format string, args ...any) bool {
	b.errs = append(b.errs, fmt.Errorf("%w: %w", blob.ErrInvalid, fmt.Errorf(format, args...)))
	return false
}
