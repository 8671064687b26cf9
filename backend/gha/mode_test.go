package gha_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/ghaserver"
)

// TestModes has a workflow, or a token, that does not allow everything.
func TestModes(t *testing.T) {
	reader := ghaserver.Scope{Ref: mainRef, Permission: ghaserver.Read}
	blind := ghaserver.Scope{Ref: mainRef, Permission: ghaserver.Write}
	for _, tt := range []struct {
		name, mode  string
		scope       ghaserver.Scope
		reads       bool
		blobs, refs error // of writing
		why         string
	}{
		{"not set", "", writer, true, nil, nil, ""},
		{"write", "write", writer, true, nil, nil, ""},
		{"one that is not known", "append", writer, true, nil, nil, ""},
		{"read", "read", writer, true, backend.ErrReadOnly, backend.ErrReadOnly, "ACTIONS_CACHE_MODE to read"},
		{"none", "none", writer, false, backend.ErrReadOnly, backend.ErrReadOnly, "ACTIONS_CACHE_MODE to none"},
		{"write-only", "write-only", writer, false, nil, backend.ErrDenied, "may not read"},
		{"token that only reads", "", reader, true, backend.ErrReadOnly, backend.ErrReadOnly, "may only read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := ghaserver.New(t, ghaserver.Options{})
			there, absent := content(1, 100), content(2, 100)
			full := open(t, s, nil, writer)
			put(t, full, there)
			putRef(t, full, "demo", "old", backend.Always)
			b := open(t, s, func(o *gha.Options) { o.Mode = tt.mode }, tt.scope)
			if tt.reads {
				wantBlob(t, b, there)
				wantRef(t, b, "demo", "old")
			} else {
				wantNoBlob(t, b, describe(there))
				wantRef(t, b, "demo", "")
			}
			_, refErr := b.PutRef(t.Context(), "demo", backend.Document{Data: []byte("new")}, backend.Always)
			blobErr := b.Put(t.Context(), describe(absent), blob.Bytes(absent))
			wantOmitted(t, "Put()", blobErr, tt.blobs, tt.why)
			wantOmitted(t, "PutRef()", refErr, tt.refs, tt.why)
		})
	}
	// Of such a token nobody can tell beforehand.
	s := ghaserver.New(t, ghaserver.Options{})
	b := open(t, s, func(o *gha.Options) { o.Mode = "write" }, blind)
	put(t, b, content(1, 100))
	put(t, open(t, s, nil, blind), content(1, 100)) // is there
}

// wantOmitted fails unless a write has ended with a kind of error that can be
// omitted, or with none.
func wantOmitted(t *testing.T, call string, err, want error, why string) {
	t.Helper()
	switch {
	case !errors.Is(err, want):
		t.Errorf("%s = %v, want %v", call, err, want)
	case want != nil && (!backend.Omittable(err) || !strings.Contains(err.Error(), why)):
		t.Errorf("%s = %v, Omittable %t, want an omittable error that says %q", call, err, backend.Omittable(err), why)
	}
}

// TestRefusedWritesAreNotRepeated has a service of which the token does not tell
// what it may do.
func TestRefusedWritesAreNotRepeated(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{Intercept: readOnly})
	for _, version := range []int{1, 2} {
		b := open(t, s, func(o *gha.Options) { o.Version = version }, writer)
		before := s.Count("create")
		for i := range 3 {
			err := b.Put(t.Context(), describe(content(i, 100)), blob.Bytes(content(i, 100)))
			wantOmitted(t, "Put()", err, backend.ErrReadOnly, "cache write denied")
		}
		_, err := b.PutRef(t.Context(), "demo", backend.Document{Data: []byte("x")}, backend.Always)
		wantOmitted(t, "PutRef()", err, backend.ErrReadOnly, "cache write denied")
		if n := s.Count("create") - before; n != 1 {
			t.Errorf("version %d: %d entries were asked for, want no more after the first refusal", version, n)
		}
	}
}
