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
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

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
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&found); err != nil && !errors.Is(err, io.EOF) {
		return scope.Rules{}, fmt.Errorf("%w: rules: %w", scope.ErrInvalid, plain(err))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return scope.Rules{}, fmt.Errorf("%w: rules: want one document", scope.ErrInvalid)
	}
	return found, found.Check()
}

// inType is how the parser speaks of the types of this program.
var inType = regexp.MustCompile(` (not found in type|into) \S+`)

// plain returns the parser's error without the types of this program.
func plain(err error) error {
	typed, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return err
	}
	var all []error
	for _, line := range typed.Errors {
		line = inType.ReplaceAllStringFunc(line, func(text string) string {
			if strings.HasPrefix(text, " not found") {
				return " is unknown"
			}
			return ""
		})
		all = append(all, errors.New(line))
	}
	return errors.Join(all...)
}
