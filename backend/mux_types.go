package backend

import (
	"regexp"
	"slices"
	"strings"
)

// typeLike matches the type of a driver.
var typeLike = regexp.MustCompile(`^[a-z][a-z0-9]+$`)

// elsewhere says why a type that larder knows has no driver here, to the user of
// a program and to who wrote it.
func elsewhere(typ string) (advice string, ok bool) {
	const module = "github.com/larder-build/larder/"
	switch typ {
	case "local", "mem", "registry", "gha", "s3", "azblob":
		return "this program was built without its driver, package " + module + "backend/" + typ, true
	case "gs":
		return "register the driver of package " + module + "backend/bucket/gcs", true
	case "inline":
		return "this program was built without the driver of a store that holds images, package " + module + "backend/registry or " + module + "backend/local", true
	}
	return "", false
}

// find returns the driver of a type, or an error that says which there are.
func (m *Mux) find(typ string) (Driver, error) {
	if d, ok := m.driver(typ); ok {
		return d, nil
	}
	if advice, ok := elsewhere(typ); ok {
		return Driver{}, invalidf("type %s is not available here (%s): %s", typ, m.types(), advice)
	}
	if !keyLike.MatchString(typ) {
		return Driver{}, invalidf("malformed type, want one of %s", m.types())
	}
	if best, ok := nearest(strings.ToLower(typ), m.typeList()); ok {
		return Driver{}, invalidf("unknown type %s, did you mean %s?", typ, best)
	}
	return Driver{}, invalidf("unknown type %s, want one of %s", typ, m.types())
}

func (m *Mux) typeList() []string {
	var types []string
	for _, d := range m.drivers {
		types = append(types, d.Type)
	}
	if len(m.imageDrivers()) > 0 {
		types = append(types, TypeInline)
	}
	slices.Sort(types)
	return types
}

func (m *Mux) types() string {
	if len(m.drivers) == 0 {
		return "no driver is registered"
	}
	return strings.Join(m.typeList(), ", ")
}

// imageLike matches a reference to an image with its host, which must have a
// dot or a port, or be localhost, to be told from a path or a word.
var imageLike = regexp.MustCompile(`^(localhost|[\w-]+(\.[\w-]+)+|[\w.-]+:\d+)(:\d+)?/[\w./:@-]+$`)

// pathLike matches a path that says so itself, unlike a word.
var pathLike = regexp.MustCompile(`^(\.{1,2})?/`)

// unclear returns the error for a text that is in no form of a location. It
// does not repeat the text, which may be a misplaced secret.
func (m *Mux) unclear(s string) error {
	if imageLike.MatchString(s) {
		if _, err := m.find("registry"); err != nil {
			return err
		}
	}
	if pathLike.MatchString(s) && strings.ContainsAny(s, "?,") {
		return invalidf("a path that has ? or , or is written as a URL: local:DIR?tag=NAME, with %%3F and %%2C for those of the path")
	}
	return invalidf("want type=TYPE,key=value,..., a URL such as local:///dir, or a path that begins with ./ or / and has neither ? nor ,")
}
