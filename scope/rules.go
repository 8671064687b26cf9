package scope

import (
	"regexp"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Mode says what a build may do with caches.
type Mode string

// The modes. ReadWrite is the default.
const (
	ReadWrite Mode = "read-write"
	ReadOnly  Mode = "read-only"
	WriteOnly Mode = "write-only"
	Off       Mode = "off"
)

// WriteScope names a scope that a build writes.
type WriteScope string

// The scopes to write. WriteOwn is the default: that of the branch, pull request
// or tag. WriteCommit is one for the commit alone.
const (
	WriteOwn    WriteScope = "own"
	WriteCommit WriteScope = "commit"
)

// UntrustedPolicy says what a build may write that outsiders control.
type UntrustedPolicy string

// What outsiders' builds may write. UntrustedOwn is the default: the scope of
// their own pull request, which no other build reads. UntrustedNone is for stores
// where that would still be too much.
const (
	UntrustedOwn  UntrustedPolicy = "own"
	UntrustedNone UntrustedPolicy = "none"
)

// DefaultAncestors is how many ancestors a build reads unless rules say
// otherwise.
const DefaultAncestors = 3

// Rules are what a project wants. The zero value has the defaults: a build writes
// its own scope and reads that, its base, its nearest ancestors, its release
// line and the default branch.
type Rules struct {
	Policy `yaml:",inline"`
	// Untrusted says what a fork's pull request may write.
	Untrusted UntrustedPolicy `json:"untrusted,omitempty" yaml:"untrusted,omitempty"`
	// ShareTargets and SharePlatforms let the builds of different targets, or
	// for different platforms, share a cache. A build with another target
	// otherwise has one of its own.
	ShareTargets   bool `json:"shareTargets,omitempty" yaml:"shareTargets,omitempty"`
	SharePlatforms bool `json:"sharePlatforms,omitempty" yaml:"sharePlatforms,omitempty"`
	// ReleaseLines say which branch a release belongs to. If there are none,
	// "release/1.2" and the like are found for tags and branches such as "v1.2.3"
	// and "hotfix/1.2.4", if Input.Known has their cache.
	ReleaseLines []ReleaseLine `json:"releaseLines,omitempty" yaml:"releaseLines,omitempty"`
	// Overrides change the policy for some builds. The first that matches a
	// build counts.
	Overrides []Override `json:"overrides,omitempty" yaml:"overrides,omitempty"`
}

// Policy is the part of the rules that may differ from build to build.
type Policy struct {
	// Mode says whether to read and write.
	Mode Mode `json:"mode,omitempty" yaml:"mode,omitempty"`
	// Write lists the scopes to write.
	Write []WriteScope `json:"write,omitempty" yaml:"write,omitempty"`
	// ReadHead reads the branch that a pull request comes from, too, unless that
	// is a fork's.
	ReadHead bool `json:"readHead,omitempty" yaml:"readHead,omitempty"`
	// Ancestors is how many ancestors are read: 0 means DefaultAncestors, less
	// none.
	Ancestors int `json:"ancestors,omitempty" yaml:"ancestors,omitempty"`
	// Sources are read too, before the default branch. Builds of forks do not
	// read them.
	Sources []Source `json:"sources,omitempty" yaml:"sources,omitempty"`
}

// Source is a cache to read in addition: either of the two.
type Source struct {
	// Branch is a branch of the project.
	Branch string `json:"branch,omitempty" yaml:"branch,omitempty"`
	// Location is where some other cache is, with its ref, as text for the
	// command or a Mux. It is never written.
	Location string `json:"location,omitempty" yaml:"location,omitempty"`
}

// Override is a policy for some builds. What it leaves out is as in the rules.
type Override struct {
	// Refs are patterns for the names of branches and tags, with the meaning
	// that they have in GitHub's workflows: "*" stands for any characters but a
	// slash, "**" for any. A pull request matches by the branch it goes into. An
	// empty list matches every build.
	Refs []string `json:"refs,omitempty" yaml:"refs,omitempty"`
	// Kinds are the kinds of builds that match; an empty list means all.
	Kinds  []Kind `json:"kinds,omitempty" yaml:"kinds,omitempty"`
	Policy `yaml:",inline"`
}

// ReleaseLine says which branch the releases of a line come from.
type ReleaseLine struct {
	// Match is a regular expression for the whole name of a tag or branch.
	Match string `json:"match" yaml:"match"`
	// Branch is the line's branch; $1 stands for what the first group matched,
	// as in regexp.Expand.
	Branch string `json:"branch" yaml:"branch"`
}

// Check returns an error matching [ErrInvalid] that says what is wrong with the
// rules, if anything: a word that is none of those expected, or a pattern that
// can match nothing.
func (r Rules) Check() error {
	if err := r.check("rules"); err != nil {
		return err
	}
	if err := oneOf("rules: untrusted", r.Untrusted, UntrustedOwn, UntrustedNone); err != nil {
		return err
	}
	for _, l := range r.ReleaseLines {
		if _, err := l.compile(); err != nil {
			return err
		}
		if l.Branch == "" {
			return invalidf("rules: the release line %q has no branch", l.Match)
		}
	}
	for _, o := range r.Overrides {
		if err := o.check(); err != nil {
			return err
		}
	}
	return nil
}

// Unmatched returns the patterns of the overrides that match none of the given
// branches and tags. They may be misspelled.
func (r Rules) Unmatched(refs ...string) []string {
	var idle []string
	for _, o := range r.Overrides {
		for _, pattern := range o.Refs {
			if !matchesAny(pattern, refs) {
				idle = append(idle, pattern)
			}
		}
	}
	return idle
}

func matchesAny(pattern string, refs []string) bool {
	for _, ref := range refs {
		if doublestar.MatchUnvalidated(pattern, ref) {
			return true
		}
	}
	return false
}

func (p Policy) check(where string) error {
	if err := oneOf(where+": mode", p.Mode, ReadWrite, ReadOnly, WriteOnly, Off); err != nil {
		return err
	}
	for _, w := range p.Write {
		if w == "" {
			return invalidf("%s: write has an empty entry, want %s or %s", where, WriteOwn, WriteCommit)
		}
		if err := oneOf(where+": write", w, WriteOwn, WriteCommit); err != nil {
			return err
		}
	}
	for _, s := range p.Sources {
		if (s.Branch == "") == (s.Location == "") {
			return invalidf("%s: a source has branch %q and location %q, want one of the two", where, s.Branch, s.Location)
		}
		if err := checkName(where+": sources: branch", s.Branch); err != nil {
			return err
		}
	}
	return nil
}

func (o Override) check() error {
	if len(o.Refs) == 0 && len(o.Kinds) == 0 {
		return invalidf("rules: an override has neither refs nor kinds and so no end: put its policy into the rules themselves")
	}
	for _, pattern := range o.Refs {
		if err := checkPattern(pattern); err != nil {
			return err
		}
	}
	for _, k := range o.Kinds {
		if k == "" {
			return invalidf("rules: overrides: kinds has an empty entry, want %s", kinds())
		}
		if err := oneOf("rules: overrides: kinds", k, Branch, PullRequest, Tag, Schedule, Detached); err != nil {
			return err
		}
	}
	return o.Policy.check("rules: override for " + strings.Join(o.Refs, ", "))
}

// checkPattern refuses a pattern that matches no name that git allows.
func checkPattern(pattern string) error {
	const where = "rules: the pattern "
	if !doublestar.ValidatePattern(pattern) {
		return invalidf(where+"%q is malformed", pattern)
	}
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/"} {
		if short, full := strings.CutPrefix(pattern, prefix); full {
			return invalidf(where+"%q matches nothing, because names are short: want %q", pattern, short)
		}
	}
	switch {
	case pattern == "":
		return invalidf("rules: an empty pattern matches nothing: want \"**\" for all names")
	case strings.HasPrefix(pattern, "/"), strings.HasSuffix(pattern, "/"), strings.Contains(pattern, "//"):
		return invalidf(where+"%q matches nothing: no name begins or ends with a slash, or has two in a row", pattern)
	case strings.ContainsAny(pattern, " \t\n:~^"):
		return invalidf(where+"%q matches nothing: no name has a space, or one of : ~ ^", pattern)
	}
	return checkName("rules: overrides: refs", pattern)
}

// oneOf checks a word; "" stands for the default.
func oneOf[T ~string](what string, got T, want ...T) error {
	words := make([]string, len(want))
	for i, w := range want {
		if words[i] = string(w); got == w || got == "" {
			return nil
		}
	}
	return invalidf("%s is %q, want one of %s", what, got, strings.Join(words, ", "))
}

func (l ReleaseLine) compile() (*regexp.Regexp, error) {
	re, err := regexp.Compile("^(?:" + l.Match + ")$")
	if err != nil || l.Match == "" {
		return nil, invalidf("rules: the release line's match %q is no regular expression: %v", l.Match, err)
	}
	return re, nil
}

// matches reports whether the override is for a build.
func (o Override) matches(in Input) bool {
	kind := len(o.Kinds) == 0
	for _, k := range o.Kinds {
		kind = kind || k == in.Kind
	}
	if !kind || len(o.Refs) == 0 {
		return kind
	}
	ref := in.Ref
	if in.Kind == PullRequest {
		ref = in.Base
	}
	for _, pattern := range o.Refs {
		if doublestar.MatchUnvalidated(pattern, ref) {
			return true
		}
	}
	return false
}

// policy returns what holds for a build.
func (r Rules) policy(in Input) Policy {
	p := r.Policy
	for _, o := range r.Overrides {
		if o.matches(in) {
			p = o.over(p)
			break
		}
	}
	if len(p.Write) == 0 {
		p.Write = []WriteScope{WriteOwn}
	}
	if p.Ancestors == 0 {
		p.Ancestors = DefaultAncestors
	}
	return p
}

// over returns p with what it leaves out taken from other.
func (p Policy) over(other Policy) Policy {
	if p.Mode == "" {
		p.Mode = other.Mode
	}
	if len(p.Write) == 0 {
		p.Write = other.Write
	}
	if p.Ancestors == 0 {
		p.Ancestors = other.Ancestors
	}
	if len(p.Sources) == 0 {
		p.Sources = other.Sources
	}
	p.ReadHead = p.ReadHead || other.ReadHead
	return p
}
