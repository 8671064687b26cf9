package larder

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/manifest/buildkit"
	"github.com/larder-build/larder/scope"
)

// Located is an entry of a plan with the place that it stands for.
type Located struct {
	scope.Entry
	At backend.Location
}

// Locate returns the places that a plan's entries stand for, without opening
// any: each name at each of the bases, which are stores without a ref, and the
// locations of other caches. The order is that of the plan and, for each entry,
// that of the bases. Errors match backend.ErrInvalid or [scope.ErrInvalid].
func Locate(mux *backend.Mux, plan scope.Plan, bases ...backend.Location) (write, read []Located, err error) {
	if err := errors.Join(plan.Check(), checkBases(plan, bases)); err != nil {
		return nil, nil, err
	}
	if write, err = locate(mux, plan.Write, bases); err != nil {
		return nil, nil, err
	}
	read, err = locate(mux, plan.Read, bases)
	return write, read, err
}

// checkBases refuses bases that cannot have a ref for each scope, or have one
// that would be ignored.
func checkBases(plan scope.Plan, bases []backend.Location) error {
	if len(bases) == 0 && len(plan.Write)+len(plan.Read) > 0 {
		return fmt.Errorf("%w: no base to find scopes at", backend.ErrInvalid)
	}
	for i, base := range bases {
		switch {
		case base.IsZero():
			return fmt.Errorf("%w: the base is empty", backend.ErrInvalid)
		case base.NamesRefs():
			return fmt.Errorf("%w: the base %s names a ref, in whose place each scope has its own: leave it out", backend.ErrInvalid, base)
		case !base.WithRef("scope").NamesRefs():
			return fmt.Errorf("%w: the base %s has no refs, which scopes need", backend.ErrInvalid, base)
		case slices.ContainsFunc(bases[:i], base.Equal):
			return fmt.Errorf("%w: the base %s is given twice", backend.ErrInvalid, base)
		}
	}
	return nil
}

func locate(mux *backend.Mux, entries []scope.Entry, bases []backend.Location) ([]Located, error) {
	var all []Located
	for _, e := range entries {
		if e.Location != "" {
			at, err := mux.Parse(e.Location)
			if err != nil {
				return nil, fmt.Errorf("source of the rules: %w", err)
			}
			all = append(all, Located{Entry: e, At: at})
			continue
		}
		for _, base := range bases {
			at := base.WithRef(e.Name)
			if err := at.Check(); err != nil {
				return nil, fmt.Errorf("%s: %w", e, err)
			}
			all = append(all, Located{Entry: e, At: at})
		}
	}
	return all, nil
}

// Place is a target that a plan has an entry for.
type Place struct {
	Target
	Located
}

// String names the place for a person.
func (p Place) String() string { return p.Target.String() }

// Binding is a plan whose places are open. What the plan does not allow is
// refused before anything is sent: places to read from are not written, of
// places to write to nothing but their refs is, and if the plan reads nothing no
// layer is read from them either.
type Binding struct {
	// Write and Read are the places of the plan's entries, in order.
	Write, Read []Place
	// Degradations are sources of the rules that could not be opened.
	Degradations []Degradation

	stores []backend.Backend
}

// Bind opens what a plan needs, each base once, and checks the plan again: it
// may have been elsewhere meanwhile, as in a file. A base that cannot be opened
// is an error, a source of the rules a degradation. The caller closes the
// binding; ctx governs the opening alone.
func Bind(ctx context.Context, mux *backend.Mux, plan scope.Plan, bases ...backend.Location) (*Binding, error) {
	write, read, err := Locate(mux, plan, bases...)
	if err != nil {
		return nil, err
	}
	b := &binder{ctx: ctx, mux: mux, plan: plan}
	for _, base := range bases {
		if err := b.open(base); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	for _, l := range write {
		b.Write = append(b.Write, b.place(l, b.writers[b.at(l)]))
	}
	for _, l := range read {
		if err := b.read(l); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return &b.Binding, nil
}

// binder makes a binding.
type binder struct {
	Binding
	ctx  context.Context // of the call that the binder is for
	mux  *backend.Mux
	plan scope.Plan

	bases            []backend.Location
	readers, writers []backend.Backend // by base
}

// open opens a base, for reading and for writing.
func (b *binder) open(base backend.Location) error {
	store, err := b.mux.Open(b.ctx, base)
	if err != nil {
		return fmt.Errorf("base %s: %w", base, err)
	}
	var names []string
	for _, e := range b.plan.Write {
		names = append(names, e.Name, e.Name+DirectorySuffix)
	}
	writer := wrap.OnlyRefs(store, names...)
	if len(b.plan.Read) == 0 {
		writer = wrap.WriteOnly(writer)
	}
	b.bases = append(b.bases, base)
	b.stores = append(b.stores, store)
	b.readers = append(b.readers, wrap.ReadOnly(store))
	b.writers = append(b.writers, writer)
	return nil
}

// at returns the number of the base at which something is.
func (b *binder) at(l Located) int {
	return slices.IndexFunc(b.bases, l.At.WithRef().Equal)
}

func (b *binder) place(l Located, store backend.Backend) Place {
	t := Target{Backend: store, Ref: l.Name, Scope: l.Scope}
	if l.At.Type() == backend.TypeInline {
		t.Encoding = buildkit.Inline
	}
	return Place{Located: l, Target: t}
}

// read adds a place to read from, or several if it is a location with as many
// refs.
func (b *binder) read(l Located) error {
	if l.Location == "" {
		b.Read = append(b.Read, b.place(l, b.readers[b.at(l)]))
		return nil
	}
	store, err := b.mux.Open(b.ctx, l.At)
	if err := b.ctx.Err(); err != nil {
		return err
	}
	if err != nil {
		b.Degradations = append(b.Degradations, Degradation{Kind: SourceFailed, Target: l.At.String(), Detail: err.Error()})
		return nil
	}
	b.stores = append(b.stores, store)
	for _, t := range TargetsOf(wrap.ReadOnly(store), l.At) {
		b.Read = append(b.Read, Place{Located: l, Target: t})
	}
	return nil
}

// Close closes all stores. Readers that are still open fail.
func (b *Binding) Close() error {
	var all []error
	for _, store := range b.stores {
		all = append(all, store.Close())
	}
	return errors.Join(all...)
}

// Targets returns the targets of places.
func Targets(places []Place) []Target {
	all := make([]Target, len(places))
	for i, p := range places {
		all[i] = p.Target
	}
	return all
}
