package manifest

import (
	"encoding/json"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/blob"
)

// FieldLarder is the name of the one unknown field, to BuildKit, in which larder
// keeps what it adds to a document. Its value is a JSON object.
const FieldLarder = "larder/v1"

// recordNotes is the value of FieldLarder in a record.
type recordNotes struct {
	Key string `json:"key,omitempty"`
}

// KeyDigest returns the digest for a record whose step is known by a readable
// key, such as "compile linux/amd64 4f3c": the sha256 digest of the key.
func KeyDigest(key string) blob.Digest { return digest.FromString(key) }

// NewRecord returns a record for a step that is known by a readable key, which
// Name gives back.
func NewRecord(key string) Record {
	notes, _ := json.Marshal(recordNotes{Key: key}) // a string cannot fail to be encoded
	return Record{Digest: KeyDigest(key), Extra: Fields{FieldLarder: notes}}
}

// Name returns the readable key of a record that was made with one, or "". A key
// that is not the one from which the record's digest was made is not returned.
func (r Record) Name() string {
	var notes recordNotes
	if json.Unmarshal(r.Extra[FieldLarder], &notes) != nil || KeyDigest(notes.Key) != r.Digest {
		return ""
	}
	return notes.Key
}
