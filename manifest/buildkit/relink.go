package buildkit

import (
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/larder-build/larder/blob"
)

// Relink returns an index that lists documents in place of others: replaced has
// the new content by the digest of the old one. Digests, sizes and embedded
// contents change, and no other byte does.
//
// The error matches [blob.ErrInvalid] if the document is no index.
func Relink(index []byte, replaced map[blob.Digest][]byte) ([]byte, error) {
	document, err := parse(index)
	if err != nil {
		return nil, invalid("index", err)
	}
	s, err := outline(document)
	if err != nil {
		return nil, invalid("index", err)
	}
	if !s.manifests {
		return nil, fmt.Errorf("%w: the document lists no manifests, want an index", blob.ErrInvalid)
	}
	var edits []edit
	for f := range document.fields() {
		if string(f.name) != "manifests" {
			continue
		}
		more, err := relinkedAll(f.value, replaced)
		if err != nil {
			return nil, invalid("index", at("manifests", err))
		}
		edits = append(edits, moved(more, f.start)...)
	}
	return splice(document, edits...), nil
}

// relinkedAll returns the edits of an array of descriptors.
func relinkedAll(list value, replaced map[blob.Digest][]byte) ([]edit, error) {
	if list.absent() || list[0] != '[' {
		return nil, list.mismatch("an array")
	}
	var edits []edit
	end := 0
	for i := list.skip(1, ""); list[i] != ']'; i = list.skip(end, ",") {
		end = list.end(i)
		more, err := relinked(list[i:end], replaced)
		if err != nil {
			return nil, err
		}
		edits = append(edits, moved(more, i)...)
	}
	return edits, nil
}

// relinked returns the edits by which a descriptor gets to describe its
// replacement, if there is one.
func relinked(v value, replaced map[blob.Digest][]byte) ([]edit, error) {
	var found [1]value
	if err := pick(v, []string{"digest"}, found[:]); err != nil {
		return nil, err
	}
	old, err := found[0].text()
	if err != nil {
		return nil, at(".digest", err)
	}
	data, ok := replaced[blob.Digest(old)]
	if !ok {
		return nil, nil
	}
	return redescribe(v, data), nil
}

// redescribe returns the edits by which a descriptor gets to describe data.
func redescribe(v value, data []byte) []edit {
	var edits []edit
	described := blob.Describe("", data)
	for f := range v.fields() {
		e := edit{start: f.start, end: f.end}
		switch string(f.name) {
		case "digest":
			e.text = strconv.Quote(string(described.Digest))
		case "size":
			e.text = strconv.FormatInt(described.Size, 10)
		case "data": // the content itself, embedded
			e.text = strconv.Quote(base64.StdEncoding.EncodeToString(data))
		default:
			continue
		}
		edits = append(edits, e)
	}
	return edits
}

// moved returns the edits of a part of a document that begins at start as edits
// of the document.
func moved(edits []edit, start int) []edit {
	for i := range edits {
		edits[i].start += start
		edits[i].end += start
	}
	return edits
}
