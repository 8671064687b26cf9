package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
)

// place is a location from the command line with its open store.
type place struct {
	backend.Backend
	loc backend.Location
}

// targets returns a target for each ref of the place.
func (p *place) targets() []larder.Target { return larder.TargetsOf(p.Backend, p.loc) }

// use says what a location is for.
type use struct {
	// what names the location in errors: "--from", or "" for an argument.
	what string
	// write says that its refs will be written or removed, one that only one
	// ref is wanted.
	write, one bool
}

// parse returns the location that text spells, if it is fit for its use.
func (a *app) parse(mux *backend.Mux, u use, text string) (backend.Location, error) {
	prefix := ""
	if u.what != "" {
		prefix = u.what + ": "
	}
	loc, err := mux.Parse(text)
	if err != nil {
		return loc, usagef("%s%w", prefix, err)
	}
	refs := loc.Refs()
	switch {
	case u.one && len(refs) > 1:
		return loc, usagef("%s%s names %d refs, want one", prefix, loc, len(refs))
	case u.write && slices.ContainsFunc(refs, backend.IsDigest):
		return loc, usagef("%s%s: a digest can only be read, name a ref", prefix, loc)
	}
	if inert := loc.Inert(); len(inert) > 0 {
		a.warn(fmt.Sprintf("%s%s: storage makes no use of %s", prefix, loc, strings.Join(inert, ", ")))
	}
	return loc, nil
}

// open opens the stores at the locations that texts spell, having looked at all
// of them first. What it returns is closed by close.
func (a *app) open(ctx context.Context, u use, texts ...string) ([]*place, error) {
	mux := a.mux()
	locs := make([]backend.Location, len(texts))
	for i, text := range texts {
		loc, err := a.parse(mux, u, text)
		if err != nil {
			return nil, err
		}
		locs[i] = loc
	}
	var places []*place
	for _, loc := range locs {
		b, err := mux.Open(ctx, loc)
		if err != nil {
			closeAll(places)
			return nil, openError(err)
		}
		places = append(places, &place{Backend: b, loc: loc})
	}
	return places, nil
}

// openError tells a location that is wrong from a store that does not answer.
func openError(err error) error {
	if errors.Is(err, backend.ErrInvalid) {
		return &usageError{err: err}
	}
	return err
}

// closeAll closes stores. What they were to do is done: a failure to let go of
// a connection changes nothing.
func closeAll(places []*place) {
	for _, p := range places {
		_ = p.Close()
	}
}

func targets(places []*place) []larder.Target {
	var all []larder.Target
	for _, p := range places {
		all = append(all, p.targets()...)
	}
	return all
}
