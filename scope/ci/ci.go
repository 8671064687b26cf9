// Package ci finds out from the environment of a continuous integration service
// what is built: the branch, pull request or tag, and whether an outsider wrote
// it. It uses only variables and files that the services document, reads them
// through functions that the caller passes in, and asks nobody.
//
// Where a service does not say whether a pull request comes from a fork, it is
// taken for a fork's: a cache that is not written costs time, one that an
// outsider wrote may cost more.
package ci

import (
	"errors"
	"fmt"
	"strings"

	"github.com/larder-build/larder/scope"
)

// ErrUnknown is returned by [Detect] outside of the services that it knows.
var ErrUnknown = errors.New("no continuous integration service is recognized")

// Environment is what is seen of the world around a build.
type Environment struct {
	// Getenv looks up an environment variable, usually os.Getenv.
	Getenv func(name string) string
	// ReadFile reads a file that a variable names, usually os.ReadFile: the event
	// of GitHub, the properties of TeamCity. Nil reads none.
	ReadFile func(name string) ([]byte, error)
}

// Build is a build that was recognized.
type Build struct {
	// System is the name of the service.
	System string
	// Input has what the service says. Other parts, the default branch of some
	// services among them, have to come from elsewhere: see [scope.Input.Or].
	Input scope.Input
	// Notes say what was not to be found out, and what was assumed.
	Notes []string
}

// Detect recognizes the service in which the process runs. It returns an error
// matching [ErrUnknown] if there is none that it knows, and one matching
// [scope.ErrInvalid] if the service's own variables make no sense.
func Detect(env Environment) (Build, error) {
	for _, s := range systems() {
		if !s.is(env) {
			continue
		}
		b := &Build{System: s.name}
		if err := s.read(env, b); err != nil {
			return Build{}, fmt.Errorf("%w: %s: %w", scope.ErrInvalid, s.name, err)
		}
		return *b, nil
	}
	return Build{}, fmt.Errorf("%w: say what is built, a branch, pull request or tag, and which branch is the default", ErrUnknown)
}

// system is a service.
type system struct {
	name string
	is   func(Environment) bool
	read func(Environment, *Build) error
}

// systems are the services, the more specific before those whose variables
// others imitate.
func systems() []system {
	return []system{
		{"GitHub Actions", equals("GITHUB_ACTIONS", "true"), github},
		{"GitLab CI", equals("GITLAB_CI", "true"), gitlab},
		{"CircleCI", equals("CIRCLECI", "true"), circleCI},
		{"Buildkite", equals("BUILDKITE", "true"), buildkite},
		{"Azure Pipelines", equals("TF_BUILD", "true"), azure},
		{"Bitbucket Pipelines", isSet("BITBUCKET_BUILD_NUMBER"), bitbucket},
		{"Woodpecker", equals("CI", "woodpecker"), woodpecker},
		{"Travis CI", equals("TRAVIS", "true"), travis},
		{"TeamCity", isSet("TEAMCITY_VERSION"), teamCity},
		{"Jenkins", isSet("JENKINS_URL"), jenkins},
	}
}

// equals returns whether a variable has a value, in any case: Azure's is True.
func equals(name, value string) func(Environment) bool {
	return func(env Environment) bool { return strings.EqualFold(env.Getenv(name), value) }
}

func isSet(name string) func(Environment) bool {
	return func(env Environment) bool { return env.Getenv(name) != "" }
}

// first returns the first of the variables that has a value.
func (env Environment) first(names ...string) string {
	for _, name := range names {
		if value := env.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}

// note adds to what is to be said of the build.
func (b *Build) note(format string, args ...any) {
	b.Notes = append(b.Notes, fmt.Sprintf(format, args...))
}

// assumeFork makes the build a fork's because nothing says that it is none.
func (b *Build) assumeFork(why string) {
	b.Input.Fork = true
	b.note("taken for a fork's build: %s", why)
}

// branchOrTag sets what a full or short name of a ref stands for, of which an
// empty one stands for nothing in particular.
func (b *Build) branchOrTag(branch, tag string) {
	switch {
	case tag != "":
		b.Input.Kind, b.Input.Ref = scope.Tag, tag
	case branch != "":
		b.Input.Kind, b.Input.Ref = scope.Branch, branch
	default:
		b.Input.Kind = scope.Detached
	}
}

// ref sets what a full name of a ref stands for.
func (b *Build) ref(full string) {
	branch, isBranch := strings.CutPrefix(full, "refs/heads/")
	tag, isTag := strings.CutPrefix(full, "refs/tags/")
	switch {
	case isTag:
		b.branchOrTag("", tag)
	case isBranch:
		b.branchOrTag(branch, "")
	default:
		b.branchOrTag("", "")
	}
}

// short returns the name of a branch without the start of a full name.
func short(name string) string { return strings.TrimPrefix(name, "refs/heads/") }

// schedule makes the build of a branch one by the clock.
func (b *Build) schedule(is bool) {
	if is && b.Input.Kind == scope.Branch {
		b.Input.Kind = scope.Schedule
	}
}
