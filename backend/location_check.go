package backend

import (
	"slices"
	"strings"

	"github.com/larder-build/larder/blob"
)

// attr finds an attribute by its name or an alias.
func (d Driver) attr(key string) (Attr, bool) {
	for _, a := range d.Attrs {
		if a.Name == key || slices.Contains(a.Aliases, key) {
			return a, true
		}
	}
	return Attr{}, false
}

// order returns the keys of attrs in the order of the driver's attributes.
func (d Driver) order(attrs map[string]string) []string {
	var keys []string
	for _, a := range d.Attrs {
		for _, key := range a.keys() {
			if _, ok := attrs[key]; ok {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// locate returns the location that has the given attributes, having checked
// all of them. Whether required ones are there is left to missing.
func (d Driver) locate(list []attribute) (Location, error) {
	s := settings{driver: d, attrs: make(map[string]string, len(list))}
	by := make(map[string]attribute, len(list))
	for _, given := range list {
		a, err := d.checkAttr(given)
		if err != nil {
			return Location{}, err
		}
		before, repeated := by[a.Name]
		switch {
		case !repeated:
			by[a.Name] = given
			s.attrs[given.key] = given.value
		case before.key == given.key:
			return Location{}, invalidf("attribute %s is given twice", given.key)
		case before.value != given.value:
			return Location{}, invalidf("attributes %s and %s mean the same and differ", before.key, given.key)
		}
	}
	refs, err := d.refs(s.attrs)
	s.refs = refs
	if err != nil {
		return Location{}, err
	}
	return newLocation(s), nil
}

// checkAttr returns the driver's attribute that is given, if it may have the
// given value.
func (d Driver) checkAttr(given attribute) (Attr, error) {
	a, ok := d.attr(given.key)
	if !ok {
		return a, d.unknownAttr(given.key)
	}
	if a.Empty && given.value == "" {
		return a, nil
	}
	if err := checkText("attribute "+given.key, given.value); err != nil {
		return a, err
	}
	if a.Secret && given.value == redacted {
		return a, invalidf("attribute %s is %s: this location was printed, and its secrets left out", given.key, redacted)
	}
	if a.Check == nil {
		return a, nil
	}
	err := a.Check(given.value)
	switch {
	case err == nil:
		return a, nil
	case a.Secret, strings.Contains(given.value, "://") && strings.Contains(given.value, "@"): // a URL can have a password
		return a, invalidf("attribute %s: %w", given.key, err)
	default:
		return a, invalidf("attribute %s is %s, %w", given.key, blob.Quote(given.value), err)
	}
}

func (d Driver) unknownAttr(key string) error {
	if !keyLike.MatchString(key) {
		return invalidf("malformed attribute for type=%s", d.Type)
	}
	names := []string{"type"}
	for _, a := range d.Attrs {
		names = append(names, a.keys()...)
	}
	if best, ok := nearest(key, names); ok {
		return invalidf("unknown attribute %s for type=%s, did you mean %s?", key, d.Type, best)
	}
	return invalidf("unknown attribute %s for type=%s, want one of %s", key, d.Type, strings.Join(names, ", "))
}

// refs returns the refs that attrs name.
func (d Driver) refs(attrs map[string]string) ([]string, error) {
	value, named := attrs[d.Refs.Attr]
	document, pinned := attrs[d.Refs.Digest]
	var names []string
	if named {
		var err error
		if names, err = d.Refs.split(value); err != nil {
			return nil, invalidf("attribute %s: %w", d.Refs.Attr, err)
		}
	}
	if pinned && len(names) > 0 {
		return nil, invalidf("attributes %s and %s exclude each other", d.Refs.Attr, d.Refs.Digest)
	}
	if pinned {
		return []string{document}, nil
	}
	return names, d.checkRefs(names)
}

func (d Driver) checkRefs(names []string) error {
	for i, name := range names {
		if err := CheckRefName(name); err != nil {
			return invalidf("attribute %s: %w", d.Refs.Attr, err)
		}
		if slices.Contains(names[:i], name) {
			return invalidf("attribute %s names %s twice", d.Refs.Attr, blob.Quote(name))
		}
		if d.Refs.Check == nil {
			continue
		}
		if err := d.Refs.Check(name); err != nil {
			return invalidf("attribute %s: %w", d.Refs.Attr, err)
		}
	}
	return nil
}

// missing returns an error if l lacks a required attribute. Those that the
// environment may still supply are passed over if later is set.
func (l Location) missing(later bool) error {
	for _, a := range l.get().driver.Attrs {
		if !a.Required || l.Value(a.Name) != "" || later && len(a.Env) > 0 {
			continue
		}
		hint := ""
		if len(a.Env) > 0 {
			hint = ", nor in the environment as " + strings.Join(a.Env, " or ")
		}
		return invalidf("attribute %s is missing for type=%s%s", strings.Join(a.keys(), " or "), l.Type(), hint)
	}
	return nil
}
