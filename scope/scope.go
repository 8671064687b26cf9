// Package scope decides where a build of a branch, pull request or tag keeps its
// cache and where it may look for those of others, so that one exporter feeds
// many importers: main's cache serves every branch, a branch's own never
// disturbs main, and a fork's build is never told to write what others trust.
//
// [Resolve] is a pure function of what is known about a build, [Input], and of
// what a project wants, [Rules]. Its [Plan] lists names of refs, with the reason
// and the trust of each; it knows nothing of the stores that keep them. Package
// larder binds a plan to stores. Packages scope/git and scope/ci find out what
// an Input needs, and scope/rules reads Rules from a file.
package scope

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrInvalid is matched by every error of this package that is the fault of an
// input, of rules, of a name or of a plan. Its text says what was expected.
var ErrInvalid = errors.New("invalid scope")

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Kind tells builds and scopes apart by what they belong to.
type Kind string

// The kinds. Schedule and Detached are kinds of builds only: the scope of a
// scheduled build is that of its branch, and a detached one has none. Commit is
// a kind of scope only.
const (
	Branch      Kind = "branch"
	PullRequest Kind = "pull-request"
	Tag         Kind = "tag"
	Schedule    Kind = "schedule"
	Detached    Kind = "detached"
	Commit      Kind = "commit"
)

// Scope is a namespace of builds, to which one cache belongs.
type Scope struct {
	// Kind is Branch, PullRequest, Tag or Commit.
	Kind Kind `json:"kind"`
	// Ref is the name of the branch or tag, the number of the pull request, or
	// the commit's hash.
	Ref string `json:"ref"`
	// Target and Platform are those of the builds if they do not share a cache
	// with others, and otherwise "".
	Target   string `json:"target,omitempty"`
	Platform string `json:"platform,omitempty"`
}

// String says the scope in words.
func (s Scope) String() string {
	text := strings.ReplaceAll(string(s.Kind), "-", " ") + " " + s.Ref
	if s.Target != "" {
		text += ", target " + s.Target
	}
	if s.Platform != "" {
		text += ", platform " + s.Platform
	}
	return text
}

// Check returns an error matching [ErrInvalid] unless s has a kind of scope, a
// ref, and nothing but UTF-8 in its parts.
func (s Scope) Check() error {
	if _, ok := kindWord(s.Kind); !ok {
		return invalidf("kind %q, want %s, %s, %s or %s", s.Kind, Branch, PullRequest, Tag, Commit)
	}
	if s.Ref == "" {
		return invalidf("a %s without a name", s.Kind)
	}
	for _, part := range []string{s.Ref, s.Target, s.Platform} {
		if !utf8.ValidString(part) {
			return invalidf("the name %q is not UTF-8, which registries and object stores require: rename it, or set another", part)
		}
	}
	return nil
}
