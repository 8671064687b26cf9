package backend

import (
	"fmt"
	"slices"
	"strings"
)

// Mux parses and opens the locations of the drivers that were registered with
// it. The zero value is one without drivers; package all makes one with every
// driver of larder. Once set up, a Mux may be used from many goroutines.
type Mux struct {
	// Options are passed to the drivers.
	Options OpenOptions
	// Wrap, unless nil, is applied to each backend that Open has opened, and
	// Open returns its result. The result's Close closes b.
	Wrap func(b Backend, l Location) Backend

	drivers []Driver
}

// Register adds a driver. It panics if the driver is incomplete, or if its type
// is taken: both are mistakes in the program.
func (m *Mux) Register(d Driver) {
	if err := d.check(); err != nil {
		panic(fmt.Sprintf("backend: register driver %q: %v", d.Type, err))
	}
	if _, taken := m.driver(d.Type); taken {
		panic(fmt.Sprintf("backend: register driver %q: this type is registered already", d.Type))
	}
	m.drivers = append(m.drivers, d)
}

// Drivers returns the drivers in the order of their registration.
func (m *Mux) Drivers() []Driver { return slices.Clone(m.drivers) }

func (m *Mux) driver(typ string) (Driver, bool) {
	i := slices.IndexFunc(m.drivers, func(d Driver) bool { return d.Type == typ })
	if i < 0 {
		return Driver{}, false
	}
	return m.drivers[i], true
}

// Parse returns the location that s spells, in one of the forms that the
// comment of [Location] describes or in one that a driver recognizes without a
// type, such as ./dir. It consults neither the environment nor any store, and
// its errors match [ErrInvalid].
//
// A required attribute may be absent if the environment is consulted when the
// location is opened.
func (m *Mux) Parse(s string) (Location, error) {
	if err := checkText("it", s); err != nil {
		return Location{}, err
	}
	if scheme, ok := m.cutScheme(s); ok {
		return m.parseURL(scheme, s)
	}
	for _, d := range m.drivers {
		if d.Bare == nil {
			continue
		}
		if attrs, ok := d.Bare(s); ok {
			return m.locate(d, given(attrs))
		}
	}
	if strings.Contains(s, "=") && !strings.HasPrefix(s, ".") && !strings.HasPrefix(s, "/") {
		attrs, err := parseFields(s)
		if err != nil {
			return Location{}, err
		}
		return m.locateTyped(attrs)
	}
	return Location{}, m.unclear(s)
}

// parseURL returns the location that a URL with the given scheme spells.
func (m *Mux) parseURL(scheme, s string) (Location, error) {
	if len(m.imageDrivers()) > 0 && scheme == TypeInline {
		attrs, err := Driver{}.inline().parseURL(s)
		if err != nil {
			return Location{}, err
		}
		return m.locateAs(scheme, attrs)
	}
	d, err := m.find(scheme)
	if err != nil {
		return Location{}, err
	}
	attrs, err := d.parseURL(s)
	if err != nil {
		return Location{}, err
	}
	return m.locate(d, attrs)
}

// Make returns the location of a type with attributes, as the Go clients of
// build tools hold them. It is as strict as [Mux.Parse].
func (m *Mux) Make(typ string, attrs map[string]string) (Location, error) {
	return m.locateAs(typ, given(attrs))
}

// locateTyped returns the location of attributes that include the type.
func (m *Mux) locateTyped(attrs []attribute) (Location, error) {
	i := slices.IndexFunc(attrs, func(a attribute) bool { return a.key == "type" })
	if i < 0 {
		return Location{}, invalidf("attribute type is missing, want one of %s", m.types())
	}
	typ := attrs[i].value
	if err := checkText("attribute type", typ); err != nil {
		return Location{}, err
	}
	return m.locateAs(typ, slices.Delete(attrs, i, i+1))
}

// locateAs returns the location of a type with attributes.
func (m *Mux) locateAs(typ string, attrs []attribute) (Location, error) {
	d, err := m.findFor(typ, attrs)
	if err != nil {
		return Location{}, err
	}
	return m.locate(d, attrs)
}

func (m *Mux) locate(d Driver, attrs []attribute) (Location, error) {
	if slices.ContainsFunc(attrs, func(a attribute) bool { return a.key == "type" }) {
		return Location{}, invalidf("attribute type is given twice")
	}
	l, err := d.locate(attrs)
	if err != nil {
		return Location{}, err
	}
	if err := l.missing(m.Options.Getenv != nil); err != nil {
		return Location{}, err
	}
	return l, nil
}
