// Package larder stores build caches: content-addressed blobs and the small
// manifests that say which of them are the result of which build step. It
// exports, imports, copies, inspects, compares and verifies them, and saves and
// restores directories, on any [backend.Backend].
//
//	mux := all.Mux(all.Options{})
//	loc, err := mux.Parse("type=local,src=./cache,tag=main")
//	...
//	b, err := mux.Open(ctx, loc)
//	...
//	defer b.Close()
//	found, err := larder.Inspect(ctx, larder.Target{Backend: b, Ref: loc.Refs()[0]}, larder.InspectOptions{})
//
// The verbs are functions. Each takes its targets, an options struct whose zero
// value is right, and returns a [Report], even along with an error: what was
// sent, what was reused, and everything that went less well than it should
// have. A cache only saves time, so a verb carries on where it can, and says
// so; it fails where its result would not be what was asked for.
//
// A context governs the whole verb: when it ends, the verb returns soon, with an
// error that matches that of the context, and leaves refs as they were or
// written as a whole.
//
// The verbs never close a backend. They may be called at the same time, on the
// same targets too: what one of them has acknowledged, another does not undo.
package larder

import (
	"fmt"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/manifest/buildkit"
	"github.com/larder-build/larder/scope"
)

// Schema is the version of the JSON forms of this package's results. Fields
// may be added under the same version; a change of meaning changes it.
const Schema = "larder/v1"

// Target is where a cache is: a ref on an open backend.
type Target struct {
	Backend backend.Backend
	// Ref is the name of the ref: a tag, a name, a scope.
	Ref string
	// Encoding is the form in which the verbs write this target; "" leaves it to
	// their options. [buildkit.Inline] stands for the image that the ref has: the
	// cache is put into it, see [AttachInline]. Reading finds the form by itself.
	Encoding buildkit.Encoding
	// Scope is what the ref belongs to, if it is named after a scope: an export
	// notes it in the manifest, see [ScopeOf].
	Scope *scope.Scope
}

// TargetsOf returns a target for each ref of a location, whose store b is. Those
// of type=inline have that encoding.
func TargetsOf(b backend.Backend, l backend.Location) []Target {
	var all []Target
	for _, ref := range l.Refs() {
		t := Target{Backend: b, Ref: ref}
		if l.Type() == backend.TypeInline {
			t.Encoding = buildkit.Inline
		}
		all = append(all, t)
	}
	return all
}

// String names the target for a person, without secrets.
func (t Target) String() string {
	if t.Backend == nil {
		return "no backend"
	}
	return t.Backend.Info().Location + " " + t.Ref
}

func (t Target) check() error {
	if t.Backend == nil {
		return fmt.Errorf("%w: target %q has no backend", backend.ErrInvalid, t.Ref)
	}
	if backend.IsDigest(t.Ref) {
		return nil
	}
	return backend.CheckRefName(t.Ref)
}

// checkWritable also refuses what cannot be written to.
func (t Target) checkWritable() error {
	if err := t.check(); err != nil {
		return err
	}
	if backend.IsDigest(t.Ref) {
		return fmt.Errorf("%w: %s: a digest cannot be written to, name a ref", backend.ErrInvalid, t)
	}
	return nil
}
