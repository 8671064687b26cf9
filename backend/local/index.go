package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// annotationImageName holds the full name of an image, where an entry of
// index.json is one. Source: moby/buildkit, client/ociindex/ociindex.go.
const annotationImageName = "io.containerd.image.name"

// fieldManifests is the field of index.json that holds the entries.
const fieldManifests = "manifests"

// index is the content of index.json. Fields and entries that are not changed
// keep their bytes and their order.
type index struct {
	fields  []field
	entries []entry
}

// field is a member of the JSON object. That of the entries has no raw value.
type field struct {
	name string
	raw  json.RawMessage
}

// entry is a descriptor with the bytes it was read from.
type entry struct {
	ocispec.Descriptor

	raw json.RawMessage
}

// parseIndex reads index.json. An empty file is an index without entries:
// BuildKit creates it before it writes it.
func parseIndex(data []byte) (index, error) {
	if len(data) == 0 {
		return newIndex(), nil
	}
	var x index
	dec := json.NewDecoder(bytes.NewReader(data))
	err := x.readFields(dec)
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("there is more after its end")
		}
	}
	if err != nil {
		return index{}, fmt.Errorf("%w: index.json: %w", backend.ErrCorrupt, err)
	}
	return x, nil
}

// newIndex returns the index of an empty layout, with BuildKit's fields in
// BuildKit's order.
func newIndex() index {
	return index{fields: []field{
		{name: "schemaVersion", raw: json.RawMessage("2")},
		{name: "mediaType", raw: json.RawMessage(`"` + ocispec.MediaTypeImageIndex + `"`)},
		{name: fieldManifests},
	}}
}

// readFields reads the members of the object one by one, to learn their order.
func (x *index) readFields(dec *json.Decoder) error {
	if err := readDelim(dec, '{'); err != nil {
		return err
	}
	found := false
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		f := field{name: fmt.Sprint(name)}
		if f.name != fieldManifests {
			err = dec.Decode(&f.raw)
		} else if err = x.readEntries(dec); found {
			err = fmt.Errorf("it has the field %s twice", fieldManifests)
		}
		if err != nil {
			return err
		}
		found = found || f.name == fieldManifests
		x.fields = append(x.fields, f)
	}
	if !found {
		x.fields = append(x.fields, field{name: fieldManifests})
	}
	return readDelim(dec, '}')
}

func (x *index) readEntries(dec *json.Decoder) error {
	var raws []json.RawMessage
	if err := dec.Decode(&raws); err != nil {
		return err
	}
	x.entries = make([]entry, len(raws))
	for i, raw := range raws {
		x.entries[i].raw = raw
		if err := json.Unmarshal(raw, &x.entries[i].Descriptor); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return nil
}

func readDelim(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err == nil && got != want {
		err = fmt.Errorf("want a JSON object, found %s", blob.Quote(fmt.Sprint(got)))
	}
	return err
}

// encode returns the bytes of index.json.
func (x *index) encode() []byte {
	var out bytes.Buffer
	separator := byte('{')
	for _, f := range x.fields {
		out.WriteByte(separator)
		separator = ','
		out.Write(marshal(f.name))
		out.WriteByte(':')
		if f.name == fieldManifests {
			x.encodeEntries(&out)
		} else {
			out.Write(f.raw)
		}
	}
	out.WriteByte('}')
	return out.Bytes()
}

func (x *index) encodeEntries(out *bytes.Buffer) {
	out.WriteByte('[')
	for i, e := range x.entries {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(e.raw)
	}
	out.WriteByte(']')
}

// marshal encodes a value that cannot fail to be encoded.
func marshal(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // Strings and maps of strings: a mistake in this package.
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}

// name returns what the entry is called. It may be "".
func (e *entry) name() string {
	if name := e.Annotations[annotationImageName]; name != "" {
		return name
	}
	return e.Annotations[ocispec.AnnotationRefName]
}

// find returns the entry that a name means, in BuildKit's order of preference:
// the name of an image, then that of a ref, each time the first one.
func (x *index) find(name string) (entry, bool) {
	for _, annotation := range []string{annotationImageName, ocispec.AnnotationRefName} {
		for _, e := range x.entries {
			if value, ok := e.Annotations[annotation]; ok && value == name {
				return e, true
			}
		}
	}
	return entry{}, false
}

// set makes name mean the document d, and reports whether that changes the
// index. Entries with that very name are replaced. An image whose short name it
// is, like "latest", stays, but behind the new entry, which is found first.
func (x *index) set(name string, d blob.Descriptor) (changed bool) {
	annotations := map[string]string{ocispec.AnnotationRefName: name}
	if old, ok := x.find(name); ok && old.name() == name {
		if old.MediaType == d.MediaType && old.Digest == d.Digest && old.Size == d.Size {
			return false
		}
		maps.Copy(annotations, names(old))
	}
	place := slices.IndexFunc(x.entries, func(e entry) bool {
		return e.name() == name || e.Annotations[ocispec.AnnotationRefName] == name
	})
	if place < 0 {
		place = len(x.entries)
	}
	d = blob.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, Annotations: annotations}
	x.remove(name)
	x.entries = slices.Insert(x.entries, place, entry{Descriptor: d, raw: marshal(d)})
	return true
}

// names returns the annotations of an entry that name it.
func names(e entry) map[string]string {
	kept := maps.Clone(e.Annotations)
	maps.DeleteFunc(kept, func(k, _ string) bool {
		return k != annotationImageName && k != ocispec.AnnotationRefName
	})
	return kept
}

// remove removes the entries with that very name, and reports whether there
// were any.
func (x *index) remove(name string) bool {
	before := len(x.entries)
	x.entries = slices.DeleteFunc(x.entries, func(e entry) bool { return e.name() == name })
	return len(x.entries) < before
}
