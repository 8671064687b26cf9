package backend

import (
	"slices"
	"strings"
)

// TypeInline is the type of locations of images that hold their cache in their
// config. It belongs to no driver: the attributes are those of a driver with
// Images, which opens the store.
//
//	type=inline,ref=ghcr.io/acme/app:latest
//	type=inline,src=./layout,tag=latest
//	inline://?ref=ghcr.io/acme/app:latest
//
// It is opened like the store itself. That the cache is to be written into the
// image, and not in its place, is for the caller to see to: [Location.Type]
// tells.
const TypeInline = "inline"

// inline returns the driver of locations of the images on the stores of d.
// Their URLs have everything in the query, because one scheme has to do for
// stores whose URLs differ.
func (d Driver) inline() Driver {
	d.Type, d.URL, d.Bare = TypeInline, URLSyntax{}, nil
	return d
}

// findFor returns the driver of a type for a location with the given
// attributes, which tell the stores of images apart.
func (m *Mux) findFor(typ string, attrs []attribute) (Driver, error) {
	stores := m.imageDrivers()
	if typ != TypeInline || len(stores) == 0 {
		return m.find(typ)
	}
	var wanted []string
	for _, d := range stores {
		for _, a := range d.Attrs {
			if !a.Required {
				continue
			}
			wanted = append(wanted, strings.Join(a.keys(), " or "))
			if slices.ContainsFunc(attrs, func(g attribute) bool { return slices.Contains(a.keys(), g.key) }) {
				return d.inline(), nil
			}
		}
	}
	return Driver{}, invalidf("attribute %s is missing for type=%s", strings.Join(wanted, ", or "), TypeInline)
}

// imageDrivers returns the drivers of stores that can hold images.
func (m *Mux) imageDrivers() []Driver {
	if _, taken := m.driver(TypeInline); taken {
		return nil
	}
	return slices.DeleteFunc(m.Drivers(), func(d Driver) bool { return !d.Images })
}
