package larder

import (
	"encoding/json"
	"maps"

	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/scope"
)

// labelScope is the member of [manifest.FieldLarder], in the fields of a whole
// manifest, that holds the scope to which its ref belongs. Names that end in a
// hash lead back to their scope only by it.
const labelScope = "scope"

// label notes in a manifest whose it is, if the target knows.
func (t Target) label(m *manifest.Manifest) *manifest.Manifest {
	if t.Scope == nil {
		return m
	}
	notes := map[string]json.RawMessage{}
	if json.Unmarshal(m.Extra[manifest.FieldLarder], &notes) != nil {
		notes = map[string]json.RawMessage{}
	}
	// Structs and maps of strings and raw JSON cannot fail to be encoded.
	notes[labelScope], _ = json.Marshal(t.Scope)
	value, _ := json.Marshal(notes)
	labeled := *m
	labeled.Extra = maps.Clone(m.Extra)
	if labeled.Extra == nil {
		labeled.Extra = manifest.Fields{}
	}
	labeled.Extra[manifest.FieldLarder] = value
	return &labeled
}

// ScopeOf returns the scope that the name of a ref belongs to: the one that the
// manifest notes, if it has this very name, or the one that the name spells. A
// ref that nobody named after a scope may look like the branch of its name. The
// manifest may be nil.
func ScopeOf(ref string, m *manifest.Manifest) (scope.Scope, bool) {
	if m != nil {
		var notes struct {
			Scope scope.Scope `json:"scope"`
		}
		if json.Unmarshal(m.Extra[manifest.FieldLarder], &notes) == nil {
			if name, err := notes.Scope.Name(); err == nil && name == ref {
				return notes.Scope, true
			}
		}
	}
	s, err := scope.ParseName(ref)
	return s, err == nil
}
