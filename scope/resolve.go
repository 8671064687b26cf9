package scope

import (
	"fmt"
	"regexp"
	"slices"
)

// Resolve returns the plan of a build. It is pure: the same input and rules give
// the same plan, in whatever order the input lists ancestors and known names.
//
// By default a build writes the scope of its branch, pull request or tag, and
// reads that, its base, the nearest ancestors that have a cache, its release
// line and, last, the default branch. A fork's pull request writes only its own
// scope, or nothing, and reads that, its base and the default branch. A detached
// build has no scope to write.
//
// An error matches [ErrInvalid] and names the field or the rule to set.
func Resolve(in Input, rules Rules) (Plan, error) {
	if err := in.check(); err != nil {
		return Plan{}, err
	}
	if err := rules.Check(); err != nil {
		return Plan{}, err
	}
	if in.Kind == Schedule && in.Ref == "" {
		in.Ref = in.Default
	}
	r := &resolver{in: in, rules: rules, policy: rules.policy(in), plan: Plan{Trust: Trusted, Write: []Entry{}, Read: []Entry{}}}
	if in.Fork {
		r.plan.Trust = Untrusted
	}
	return r.resolve()
}

// resolver is one call of Resolve.
type resolver struct {
	in     Input
	rules  Rules
	policy Policy
	plan   Plan
}

func (r *resolver) resolve() (Plan, error) {
	own, err := r.own()
	if err != nil {
		return Plan{}, err
	}
	r.plan.Write = own
	for _, step := range []func() error{r.readOwn, r.readHead, r.readBase, r.readAncestors, r.readReleaseLine, r.readSources, r.readDefault} {
		if err := step(); err != nil {
			return Plan{}, err
		}
	}
	r.apply(r.policy.Mode)
	return r.plan, nil
}

// apply takes out what the mode forbids.
func (r *resolver) apply(mode Mode) {
	if (mode == ReadOnly || mode == Off) && len(r.plan.Write) > 0 {
		r.plan.Write = []Entry{}
		r.note("nothing is written: the rules' mode is %s", mode)
	}
	if mode == WriteOnly || mode == Off {
		r.plan.Read = []Entry{}
		r.note("nothing is read: the rules' mode is %s", mode)
	}
}

func (r *resolver) note(format string, args ...any) {
	r.plan.Notes = append(r.plan.Notes, fmt.Sprintf(format, args...))
}

// own returns the entries that are the build's to write.
func (r *resolver) own() ([]Entry, error) {
	writes := r.policy.Write
	switch {
	case r.in.Fork && r.in.Kind != PullRequest:
		r.note("nothing is written: a fork's build has a scope of its own only as a pull request")
		return []Entry{}, nil
	case r.in.Fork && r.rules.Untrusted == UntrustedNone:
		r.note("nothing is written: the pull request comes from a fork, and the rules let those write nothing")
		return []Entry{}, nil
	case r.in.Fork:
		// The commit of a fork may become one of the project's without a change of
		// its hash: its scope would be trusted then.
		writes = []WriteScope{WriteOwn}
	}
	own := []Entry{}
	for _, w := range writes {
		s, reason, err := r.scopeToWrite(w)
		if err != nil {
			return nil, err
		}
		if s.Ref == "" {
			r.note("no branch, pull request or tag is built, so that there is no scope of its own")
			continue
		}
		e, err := r.entry(s, reason)
		if err != nil {
			return nil, err
		}
		e.Trust = r.plan.Trust
		if !slices.ContainsFunc(own, e.same) {
			own = append(own, e)
		}
	}
	return own, nil
}

// scopeToWrite returns the scope that an entry of Policy.Write stands for.
func (r *resolver) scopeToWrite(w WriteScope) (Scope, Reason, error) {
	switch {
	case w == WriteCommit && r.in.Commit == "":
		return Scope{}, "", missing("Commit", "the commit, whose scope the rules want written,")
	case w == WriteCommit:
		return Scope{Kind: Commit, Ref: r.in.Commit}, ReasonCommit, nil
	case r.in.Kind == PullRequest:
		return Scope{Kind: PullRequest, Ref: r.in.pullRequest()}, ReasonOwn, nil
	case r.in.Kind == Tag:
		return Scope{Kind: Tag, Ref: r.in.Ref}, ReasonOwn, nil
	case r.in.Kind == Detached:
		return Scope{}, ReasonOwn, nil
	default:
		return Scope{Kind: Branch, Ref: r.in.Ref}, ReasonOwn, nil
	}
}

// entry returns the trusted entry of a scope for the build's target and platform.
func (r *resolver) entry(s Scope, reason Reason) (Entry, error) {
	if !r.rules.ShareTargets {
		s.Target = r.in.Target
	}
	if !r.rules.SharePlatforms {
		s.Platform = r.in.Platform
	}
	name, err := s.Name()
	if err != nil {
		return Entry{}, err
	}
	return Entry{Name: name, Scope: &s, Reason: reason, Trust: Trusted}, nil
}

// same reports whether two entries are the same cache.
func (e Entry) same(f Entry) bool { return e.Name == f.Name && e.Location == f.Location }

// read adds an entry unless it is there.
func (r *resolver) read(e Entry) {
	if !slices.ContainsFunc(r.plan.Read, e.same) {
		r.plan.Read = append(r.plan.Read, e)
	}
}

// readBranch adds a branch, unless it is the default, which is last.
func (r *resolver) readBranch(branch string, reason Reason) error {
	if branch == "" || branch == r.in.Default {
		return nil
	}
	e, err := r.entry(Scope{Kind: Branch, Ref: branch}, reason)
	if err == nil {
		r.read(e)
	}
	return err
}

func (r *resolver) readOwn() error {
	for _, e := range r.plan.Write {
		r.read(e)
	}
	return nil
}

func (r *resolver) readHead() error {
	if !r.policy.ReadHead || r.in.Fork || r.in.Kind != PullRequest {
		return nil
	}
	return r.readBranch(r.in.Head, ReasonHead)
}

func (r *resolver) readBase() error {
	if r.in.Kind == PullRequest && r.in.Base == "" {
		r.note("the branch that the pull request goes into is not known and not read: set Input.Base")
	}
	return r.readBranch(r.in.Base, ReasonBase)
}

// readAncestors adds the nearest ancestors that are not read for another reason.
func (r *resolver) readAncestors() error {
	if r.in.Fork || r.onDefault() {
		return nil
	}
	room := r.policy.Ancestors
	for _, a := range r.in.nearest() {
		if room <= 0 {
			return nil
		}
		e, err := r.entry(Scope{Kind: Branch, Ref: a.Branch}, ReasonAncestor)
		if err != nil {
			return err
		}
		if a.Branch == r.in.Default || slices.ContainsFunc(r.plan.Read, e.same) || !r.known(e.Name) {
			continue
		}
		r.read(e)
		room--
	}
	return nil
}

// onDefault reports whether the default branch itself is built: it has nothing
// to learn from branches that were made from it.
func (r *resolver) onDefault() bool {
	return (r.in.Kind == Branch || r.in.Kind == Schedule) && r.in.Ref == r.in.Default
}

// known reports whether a name has a cache, as far as that is known.
func (r *resolver) known(name string) bool {
	return r.in.Known == nil || slices.Contains(r.in.Known, name)
}

// version matches the names of releases, and of what is made for one.
var version = regexp.MustCompile(`^(?:.*[/-])?v?(\d+)\.(\d+)(?:[.-].*)?$`)

// usualLines are the names that the branch of a release line usually has.
var usualLines = [...]string{"release/$1.$2", "release/v$1.$2", "release/$1.$2.x", "release-$1.$2", "releases/$1.$2", "$1.$2.x", "v$1.$2.x", "v$1.$2"}

// readReleaseLine adds the branch that the release which is built belongs to.
func (r *resolver) readReleaseLine() error {
	if r.in.Fork || r.in.Kind == PullRequest || r.in.Ref == "" {
		return nil
	}
	for _, branch := range r.releaseLines() {
		e, err := r.entry(Scope{Kind: Branch, Ref: branch}, ReasonReleaseLine)
		if err != nil {
			return err
		}
		if r.known(e.Name) {
			return r.readBranch(branch, ReasonReleaseLine)
		}
	}
	return nil
}

// releaseLines returns the candidates for the line of what is built.
func (r *resolver) releaseLines() []string {
	var branches []string
	for _, l := range r.rules.ReleaseLines {
		if re, err := l.compile(); err == nil { // Rules.Check has seen to it
			branches = append(branches, expand(re, l.Branch, r.in.Ref)...)
		}
	}
	if len(r.rules.ReleaseLines) > 0 || r.in.Known == nil {
		return branches
	}
	for _, usual := range usualLines {
		branches = append(branches, expand(version, usual, r.in.Ref)...)
	}
	return branches
}

// expand returns the template with the groups that re matches in ref.
func expand(re *regexp.Regexp, template, ref string) []string {
	groups := re.FindStringSubmatchIndex(ref)
	if groups == nil {
		return nil
	}
	return []string{string(re.ExpandString(nil, template, ref, groups))}
}

func (r *resolver) readSources() error {
	if r.in.Fork {
		return nil
	}
	for _, s := range r.policy.Sources {
		if s.Location != "" {
			r.read(Entry{Location: s.Location, Reason: ReasonRule, Trust: Trusted})
		} else if err := r.readBranch(s.Branch, ReasonRule); err != nil {
			return err
		}
	}
	return nil
}

// readDefault adds the default branch.
func (r *resolver) readDefault() error {
	e, err := r.entry(Scope{Kind: Branch, Ref: r.in.Default}, ReasonDefault)
	if err == nil {
		r.read(e)
	}
	return err
}
