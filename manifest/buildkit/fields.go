package buildkit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// What a document may have at most, whatever its size in bytes. A document of
// the default read limit that a build tool writes stays below; the counts bound
// the memory that one made of tiny items can take, to about ten times the limit.
const (
	// maxItems counts layers, records, inputs, links, results, the positions in
	// chains, descriptors and annotations.
	maxItems = 4 << 20
	// maxUnknown counts unknown fields, each of which may cost a map.
	maxUnknown = 256 << 10
	// maxProblems is how many problems are told one by one.
	maxProblems = 1000
)

// decoder holds what decoding one document, with those that it refers to, has
// used up and found.
type decoder struct {
	fetch Fetch
	// bytesLeft is how much may still be fetched.
	bytesLeft      int64
	items, unknown int
	problems       []Problem
	untold         int
}

// count takes one item from the budget.
func (d *decoder) count() error {
	if d.items++; d.items > maxItems {
		return fmt.Errorf("%w: the document has more than %d items", blob.ErrTooLarge, maxItems)
	}
	return nil
}

func (d *decoder) problem(b blob.Digest, format string, args ...any) {
	if len(d.problems) == maxProblems {
		d.untold++
		return
	}
	d.problems = append(d.problems, Problem{Blob: b, Detail: fmt.Sprintf(format, args...)})
}

// allProblems returns the problems, with how many there are beyond those told.
func (d *decoder) allProblems() []Problem {
	if d.untold == 0 {
		return d.problems
	}
	return append(d.problems, Problem{Detail: fmt.Sprintf("and %d problems more", d.untold)})
}

// split sets found to the values of the known fields of an object, in the order
// of known, and returns all other fields. A field that stands twice is an
// error, because readers differ in which one they believe; so is one that
// differs from a known one in case only, because BuildKit reads it as that.
func (d *decoder) split(object value, known []string, found []value) (manifest.Fields, error) {
	if object.absent() || object[0] != '{' {
		return nil, object.mismatchObject()
	}
	var extra manifest.Fields
	for f := range object.fields() {
		if i := slices.IndexFunc(known, func(name string) bool { return name == string(f.name) }); i >= 0 {
			if found[i] != nil {
				return nil, at(pathTo(known[i]), errTwice)
			}
			found[i] = f.value
			continue
		}
		if extra == nil {
			extra = make(manifest.Fields)
		}
		if err := d.addUnknown(extra, f, known); err != nil {
			return nil, err
		}
	}
	return extra, nil
}

// pick is split for objects that are read only: it ignores other fields.
func pick(object value, known []string, found []value) error {
	if object.absent() || object[0] != '{' {
		return object.mismatchObject()
	}
	for f := range object.fields() {
		i := slices.IndexFunc(known, func(name string) bool { return name == string(f.name) })
		if i < 0 {
			continue
		}
		if found[i] != nil {
			return at(pathTo(known[i]), errTwice)
		}
		found[i] = f.value
	}
	return nil
}

var errTwice = errors.New("stands twice")

func (d *decoder) addUnknown(extra manifest.Fields, f field, known []string) error {
	name := string(f.name)
	if _, twice := extra[name]; twice {
		return at(pathTo(name), errTwice)
	}
	if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) }); i >= 0 {
		return at(pathTo(name), fmt.Errorf("is spelled in another case than %s", known[i]))
	}
	if d.unknown++; d.unknown > maxUnknown {
		return fmt.Errorf("%w: the document has more than %d unknown fields", blob.ErrTooLarge, maxUnknown)
	}
	extra[name] = f.value.compacted()
	return nil
}

func pathTo(name string) string {
	if isPlain(name) && len(name) <= 64 && !strings.ContainsAny(name, " .[]") && name != "" {
		return "." + name
	}
	return "." + blob.Quote(name)
}

func (v value) mismatchObject() error {
	if v.absent() {
		return errors.New("is missing, want an object")
	}
	return v.mismatch("an object")
}

// stringMap reads an object whose values are strings, such as annotations.
func (d *decoder) stringMap(v value) (map[string]string, error) {
	if v.absent() {
		return nil, nil //nolint:nilnil // no annotations
	}
	if v[0] != '{' {
		return nil, v.mismatchObject()
	}
	m := make(map[string]string)
	for f := range v.fields() {
		name := string(f.name)
		if _, twice := m[name]; twice {
			return nil, at(pathTo(name), errTwice)
		}
		if err := d.count(); err != nil {
			return nil, err
		}
		text, err := f.value.text()
		if err != nil {
			return nil, at(pathTo(name), err)
		}
		m[name] = text
	}
	return m, nil
}

// invalid says that a document cannot be understood, and why. An error about
// its size keeps its kind.
func invalid(document string, err error) error {
	if errors.Is(err, blob.ErrTooLarge) || errors.Is(err, blob.ErrInvalid) {
		return fmt.Errorf("%s: %w", document, err)
	}
	return fmt.Errorf("%s: %w: %w", document, blob.ErrInvalid, err)
}
