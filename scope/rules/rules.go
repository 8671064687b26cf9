// Package rules reads [scope.Rules] from a file in YAML or JSON, of which it is
// the latter's superset:
//
//	write: [own, commit]
//	untrusted: none
//	sources:
//	  - location: type=registry,ref=ghcr.io/vendor/cache:main
//	releaseLines:
//	  - match: v(\d+)\.(\d+)\..*
//	    branch: release/$1.$2
//	overrides:
//	  - refs: [release/**]
//	    kinds: [branch]
//	    mode: read-only
//
// It is apart from package scope so that who writes rules in Go links no parser.
package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"

	"github.com/larder-build/larder/scope"
)

// MaxSize is the size of the largest file that is read, in bytes.
const MaxSize = 1 << 20

// Read returns the rules in r, which it reads to the end. An empty file has the
// defaults. A key that rules do not have, one that comes twice, a second
// document, and everything that [scope.Rules.Check] objects to is an error
// matching [scope.ErrInvalid].
func Read(r io.Reader) (scope.Rules, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return scope.Rules{}, err
	}
	if len(data) > MaxSize {
		return scope.Rules{}, fmt.Errorf("%w: the rules have more than %d bytes", scope.ErrInvalid, MaxSize)
	}
	return Parse(data)
}

// Parse is Read for rules in memory.
func Parse(data []byte) (scope.Rules, error) {
	var found scope.Rules
	d := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := d.Decode(&found); err != nil && !errors.Is(err, io.EOF) {
		return scope.Rules{}, fmt.Errorf("%w: rules: %w", scope.ErrInvalid, err)
	}
	if err := d.Decode(new(scope.Rules)); !errors.Is(err, io.EOF) {
		return scope.Rules{}, fmt.Errorf("%w: rules: want one document", scope.ErrInvalid)
	}
	return found, found.Check()
}
