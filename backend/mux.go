package backend

import (
	"context"
	"errors"
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
	for _, d := range m.drivers {
		if d.Bare == nil {
			continue
		}
		if attrs, ok := d.Bare(s); ok {
			return m.locate(d, given(attrs))
		}
	}
	if scheme, ok := m.cutScheme(s); ok {
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
	if strings.Contains(s, "=") {
		attrs, err := parseFields(s)
		if err != nil {
			return Location{}, err
		}
		return m.locateTyped(attrs)
	}
	return Location{}, m.unclear(s)
}

// Make returns the location of a type with attributes, as the Go clients of
// build tools hold them. It is as strict as [Mux.Parse].
func (m *Mux) Make(typ string, attrs map[string]string) (Location, error) {
	d, err := m.find(typ)
	if err != nil {
		return Location{}, err
	}
	return m.locate(d, given(attrs))
}

// locateTyped returns the location of attributes that include the type.
func (m *Mux) locateTyped(attrs []attribute) (Location, error) {
	i := slices.IndexFunc(attrs, func(a attribute) bool { return a.key == "type" })
	if i < 0 {
		return Location{}, invalidf("attribute type is missing, want one of %s", m.types())
	}
	d, err := m.find(attrs[i].value)
	if err != nil {
		return Location{}, err
	}
	return m.locate(d, slices.Delete(attrs, i, i+1))
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

// Open opens the store at a location, which it checks again. Attributes that
// are not given come from the environment, if Options has a Getenv and the
// attribute knows a variable. The caller closes the backend. The location's
// refs play no part: they are for the methods of the backend.
func (m *Mux) Open(ctx context.Context, l Location) (Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := m.complete(l)
	if err != nil {
		return nil, err
	}
	b, err := l.get().driver.Open(ctx, l, m.Options.withDefaults())
	if err != nil {
		return nil, err
	}
	if m.Wrap != nil {
		b = m.Wrap(b, l)
	}
	return b, nil
}

// complete returns l, checked against this Mux's driver of its type, with
// what the environment adds.
func (m *Mux) complete(l Location) (Location, error) {
	if l.IsZero() {
		return l, l.Check()
	}
	d, err := m.find(l.Type())
	if err != nil {
		return l, err
	}
	if l, err = d.locate(append(given(l.Attrs()), m.fromEnv(d, l)...)); err != nil {
		return l, err
	}
	return l, l.missing(false)
}

// fromEnv returns what the environment says of attributes that l lacks.
func (m *Mux) fromEnv(d Driver, l Location) []attribute {
	if m.Options.Getenv == nil {
		return nil
	}
	set := l.Attrs()
	var found []attribute
	for _, a := range d.Attrs {
		if slices.ContainsFunc(a.keys(), func(key string) bool { return set[key] != "" }) {
			continue
		}
		for _, name := range a.Env {
			if value := m.Options.Getenv(name); value != "" {
				found = append(found, attribute{a.Name, value})
				break
			}
		}
	}
	return found
}

// check returns what is wrong with a driver's description of itself.
func (d Driver) check() error {
	seen := map[string]bool{"type": true}
	for _, a := range d.Attrs {
		for _, key := range a.keys() {
			if seen[key] || !keyLike.MatchString(key) || key != strings.ToLower(key) {
				return fmt.Errorf("attribute %q is malformed, reserved or given twice", key)
			}
			seen[key] = true
		}
	}
	for _, key := range []string{d.Refs.Attr, d.Refs.Digest} {
		if key != "" && !seen[key] {
			return fmt.Errorf("attribute %q names refs and is not described", key)
		}
	}
	switch {
	case !typeLike.MatchString(d.Type):
		return errors.New("its type is not of lower-case letters and digits")
	case d.Open == nil:
		return errors.New("it has no Open")
	case (d.URL.Parse == nil) != (d.URL.Format == nil), (d.Refs.Split == nil) != (d.Refs.Join == nil):
		return errors.New("it has one half of a syntax")
	}
	return nil
}
