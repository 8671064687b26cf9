package backend

import (
	"maps"
	"slices"
)

// Location says where a cache is: the type of a backend, its attributes, and
// perhaps the names of refs. A [Mux] makes locations from text and opens them.
//
// There are two spellings with the same meaning. BuildKit's is a line of
// comma-separated values, of which those that hold a comma or quotation mark
// are quoted as a whole; keys are in any case:
//
//	type=local,dest=/var/cache/app,tag=main
//	type=s3,bucket=b,region=eu-west-1,"prefix=a,b/"
//
// The other is a URL whose scheme is the type. Its query holds the attributes
// that are not in its host or path, percent-encoded, and a "+" in it is a plus:
//
//	local:///var/cache/app?tag=main
//	s3://b/a,b/?region=eu-west-1
//
// Both are strict. What is unknown, repeated, contradictory, malformed, empty
// where that has no meaning, or has a stray space is an error matching [ErrInvalid] that says what was
// expected, and no such error holds the value of a secret.
//
// Several refs are separated by semicolons (tag=main;v1). A digest in place of
// a name reads that document, and cannot be written.
//
// Locations hold secrets. Only [Location.Reveal], [Location.RevealURL],
// [Location.Value] and [Location.Attrs] give them away; every other way of
// printing, encoding or logging a location leaves them out. Locations are
// immutable and are compared with [Location.Equal]. The zero value is the
// location of nothing.
type Location struct {
	// settings is a function so that packages that look into values by
	// reflection, such as fmt for fields that are not exported, see no secret.
	settings func() settings
}

// settings are the content of a location.
type settings struct {
	driver Driver
	// attrs has the attributes that were given, under the keys used then.
	attrs map[string]string
	// refs are the names among them.
	refs []string
}

func (l Location) get() settings {
	if l.settings == nil {
		return settings{}
	}
	return l.settings()
}

func newLocation(s settings) Location {
	return Location{settings: func() settings { return s }}
}

// IsZero reports whether l is the zero Location.
func (l Location) IsZero() bool { return l.settings == nil }

// Type returns the type of the location's backend, such as "local".
func (l Location) Type() string { return l.get().driver.Type }

// Refs returns the names of the location's refs in the order given. A location
// that names none has the default of its type, "latest" or "buildkit".
func (l Location) Refs() []string {
	s := l.get()
	if len(s.refs) == 0 && s.driver.Refs.Default != "" {
		return []string{s.driver.Refs.Default}
	}
	return slices.Clone(s.refs)
}

// NamesRefs reports whether refs were given rather than left to the default.
func (l Location) NamesRefs() bool { return len(l.get().refs) > 0 }

// WithRef returns the location with other refs: names or digests, or none to
// go back to the default. The names are checked by [Location.Check].
func (l Location) WithRef(names ...string) Location {
	s := l.get()
	syntax := s.driver.Refs
	if syntax.Attr == "" {
		return l
	}
	s.attrs = maps.Clone(s.attrs)
	s.refs = slices.Clone(names)
	value := syntax.join(s.attrs[syntax.Attr], nil)
	delete(s.attrs, syntax.Digest)
	if len(names) == 1 && IsDigest(names[0]) && syntax.Digest != "" {
		s.attrs[syntax.Digest] = names[0]
	} else {
		value = syntax.join(s.attrs[syntax.Attr], names)
	}
	s.attrs[syntax.Attr] = value
	if value == "" {
		delete(s.attrs, syntax.Attr)
	}
	return newLocation(s)
}

// Value returns the value of an attribute, under its name or any alias; if it
// was not given, its default or "". It does not hide secrets.
func (l Location) Value(name string) string {
	a, ok := l.get().driver.attr(name)
	if !ok {
		return ""
	}
	if value, ok := l.lookup(a); ok {
		return value
	}
	return a.Default
}

// lookup returns the value that was given for an attribute.
func (l Location) lookup(a Attr) (value string, ok bool) {
	attrs := l.get().attrs
	for _, key := range a.keys() {
		if value, ok = attrs[key]; ok {
			break
		}
	}
	return value, ok
}

// Attrs returns the attributes that were given, but for "type", in BuildKit's
// vocabulary: what its Go client takes. It does not hide secrets.
func (l Location) Attrs() map[string]string { return maps.Clone(l.get().attrs) }

// Inert returns the names of the attributes that were given and of which
// storage makes no use, such as "mode". They should be reported, because
// whoever gave them expected some effect.
func (l Location) Inert() []string {
	s := l.get()
	var names []string
	for key := range s.attrs {
		if a, _ := s.driver.attr(key); a.Inert {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	return names
}

// Check returns an error matching [ErrInvalid] unless a [Mux] with the same
// driver would parse the location as it is. Only a location made by WithRef
// can fail.
func (l Location) Check() error {
	if l.IsZero() {
		return invalidf("it is empty")
	}
	s := l.get()
	if err := s.driver.checkRefs(s.refs); err != nil {
		return err
	}
	_, err := s.driver.locate(given(s.attrs))
	return err
}

// Equal reports whether l and m are the same refs of a store with the same
// attributes, however they were written.
func (l Location) Equal(m Location) bool {
	return l.Type() == m.Type() && slices.Equal(l.Refs(), m.Refs()) &&
		maps.Equal(l.store(), m.store())
}

// store returns the attributes by their names, without refs.
func (l Location) store() map[string]string {
	s := l.WithRef().get()
	return s.driver.byName(given(s.attrs))
}
