package backend

import (
	"context"
	"fmt"
)

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
	if err := l.Check(); err != nil {
		return l, err
	}
	d, err := m.findFor(l.Type(), given(l.Attrs()))
	if err != nil {
		return l, err
	}
	added, err := m.fromEnv(d, l)
	if err != nil {
		return l, err
	}
	if l, err = d.locate(append(given(l.Attrs()), added...)); err != nil {
		return l, err
	}
	return l, l.missing(false)
}

// fromEnv returns what the environment says of attributes that l lacks.
func (m *Mux) fromEnv(d Driver, l Location) ([]attribute, error) {
	if m.Options.Getenv == nil {
		return nil, nil
	}
	var found []attribute
	for _, a := range d.Attrs {
		if _, ok := l.lookup(a); ok {
			continue
		}
		name, value := m.getenv(a.Env)
		if value == "" {
			continue
		}
		if _, err := d.checkAttr(attribute{a.Name, value}); err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", name, err)
		}
		found = append(found, attribute{a.Name, value})
	}
	return found, nil
}

// getenv returns the first of the variables that is set and not empty.
func (m *Mux) getenv(names []string) (name, value string) {
	for _, name := range names {
		if value := m.Options.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}
