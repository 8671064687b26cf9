package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"
)

// TestBuilds sees each set of programs built once, and an error of a build
// when its server's turn comes.
func TestBuilds(t *testing.T) {
	b := &bed{out: io.Discard}
	broken := server{name: "broken", module: "nothing-here", packages: []string{"example.com/x"}}
	twin, system := broken, server{name: "system"}
	twin.name = "twin"
	b.builds.start(t.Context(), b, []server{broken, system, twin})
	_, err := b.builds.of(t.Context(), b, broken)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of(broken) = %v, want %v", err, fs.ErrNotExist)
	}
	if _, again := b.builds.of(t.Context(), b, twin); again != err { //nolint:errorlint // the very same
		t.Errorf("of(twin) = %v, want the error of the one build, %v", again, err)
	}
	if bin, err := b.builds.of(t.Context(), b, system); bin != "" || err != nil {
		t.Errorf("of(system) = %q, %v, want nothing", bin, err)
	}
	b.builds.wait()
}

// TestBuildsEnd sees that nothing is being built any more after an interrupt.
func TestBuildsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &bed{out: io.Discard}
	s := server{name: "server", module: "servers", packages: []string{"example.com/never"}}
	b.builds.start(ctx, b, []server{s})
	b.builds.wait()
	if _, err := b.builds.of(ctx, b, s); !errors.Is(err, context.Canceled) {
		t.Errorf("of = %v, want %v", err, context.Canceled)
	}
}
