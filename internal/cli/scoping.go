package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/scope"
	"github.com/larder-build/larder/scope/ci"
	"github.com/larder-build/larder/scope/git"
	"github.com/larder-build/larder/scope/rules"
)

// autoScope is the --scope of what is being built.
const autoScope = "auto"

// scoping are the flags that say what is built and what is wanted for it.
type scoping struct {
	name, rules, event, defaultBranch, target, platform string
	fork                                                bool
	// ask has the stores asked which scopes have a cache, in any case.
	ask bool
	// forkGiven says that --fork is not its default.
	forkGiven func() bool
}

// addScopeFlags adds the flags to a command. Without --scope its locations are
// what they are.
func (s *scoping) addScopeFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.name, "scope", s.name, "`SCOPE` of the locations, which then are bases without a ref: auto, a branch, pr:NUMBER or tag:NAME")
	flags.StringVar(&s.rules, "rules", "", "`FILE` with the rules of scopes, in YAML or JSON")
	flags.StringVar(&s.event, "event", "", "`FILE` with GitHub's event, in place of GITHUB_EVENT_PATH")
	flags.StringVar(&s.defaultBranch, "default-branch", "", "`BRANCH` that all others fall back to")
	flags.StringVar(&s.target, "target", "", "`NAME` of the build's target, which then has a cache of its own")
	flags.StringVar(&s.platform, "platform", "", "`NAME` of the build's platform, which then has a cache of its own")
	flags.BoolVar(&s.fork, "fork", false, "the build is of a fork; --fork=false that it is of none")
	s.forkGiven = func() bool { return flags.Changed("fork") }
}

// given reports whether the locations are bases of scopes.
func (s *scoping) given() bool { return s.name != "" }

// resolved is a plan with what it was made from.
type resolved struct {
	scope.Plan
	system string
	input  scope.Input
	notes  []string
	// there are the names of the refs at each base, by its text, where the store
	// was asked and told.
	there map[string][]string
}

// plan resolves the scope of the build: what the flags say, then the service that
// it runs in, then the checkout. Only what the rules leave to guess is warned of.
//
// If the build may have ancestors or a release line, the stores at the bases are
// asked which of those have a cache.
func (a *app) plan(ctx context.Context, s *scoping, bases ...string) (*resolved, error) {
	explicit, err := s.explicit()
	if err != nil {
		return nil, err
	}
	wanted, err := s.readRules()
	if err != nil {
		return nil, err
	}
	found := &resolved{input: explicit}
	if err := a.detect(s, found); err != nil {
		return nil, err
	}
	if err := found.checkout(ctx, wanted); err != nil {
		return nil, err
	}
	if s.forkGiven() {
		found.input.Fork = s.fork
	}
	if found.input.Kind == "" {
		return nil, usagef("nothing says what is built: no service is recognized, and this is no git checkout; name it with --scope BRANCH, and --default-branch")
	}
	if len(bases) > 0 && (s.ask || found.guesses()) {
		if err := a.askKnown(ctx, found, bases); err != nil {
			return nil, err
		}
	}
	found.Plan, err = scope.Resolve(found.input, wanted)
	return found, scopeError(err)
}

// guesses reports whether the plan depends on which scopes have a cache.
func (r *resolved) guesses() bool {
	return !r.input.Fork && (len(r.input.Ancestors) > 0 || r.input.Kind == scope.Tag || r.input.Kind == scope.Branch)
}

// askKnown adds the names that have a cache at any of the bases. A store that
// does not tell leaves it unknown.
func (a *app) askKnown(ctx context.Context, r *resolved, bases []string) error {
	r.there = make(map[string][]string)
	known := []string{}
	for _, text := range bases {
		base, err := a.mux().Parse(text)
		if err != nil {
			return usagef("%w", err)
		}
		names, err := a.refsAt(ctx, base)
		if err := ctx.Err(); err != nil {
			return err
		}
		if err != nil {
			r.notes = append(r.notes, fmt.Sprintf("which scopes have a cache is not known: %v", err))
			return nil
		}
		r.there[base.WithRef().String()] = names
		known = append(known, names...)
	}
	r.input.Known = known
	return nil
}

// refsAt returns the names of all refs of a store.
func (a *app) refsAt(ctx context.Context, l backend.Location) ([]string, error) {
	b, err := a.mux().Open(ctx, l)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }() // as closeAll
	names := []string{}
	for ref, err := range b.ListRefs(ctx) {
		if err != nil {
			return nil, err
		}
		names = append(names, ref.Name)
	}
	return names, nil
}

// has reports whether a place may have a cache, as far as its store was asked.
func (r *resolved) has(l larder.Located) bool {
	names, asked := r.there[l.At.WithRef().String()]
	return !asked || l.Name == "" || slices.Contains(names, l.Name)
}

// scopeError adds how the command is told what is missing.
func scopeError(err error) error {
	if err == nil {
		return nil
	}
	hints := map[string]string{
		"set Input.Default": "--default-branch says it, or \"git remote set-head origin --auto\" in the checkout",
		"set Input.Kind":    "--scope says it",
		"set Input.Ref":     "--scope says it",
		"set Input.Number":  "--scope pr:NUMBER says it",
		"Input.Ref is":      "--scope names another",
	}
	usage := &usageError{err: err}
	for text, hint := range hints {
		if strings.Contains(err.Error(), text) {
			return &hinted{error: usage, hint: hint}
		}
	}
	return usage
}

// explicit returns what the flags say.
func (s *scoping) explicit() (scope.Input, error) {
	in := scope.Input{Default: s.defaultBranch, Target: s.target, Platform: s.platform}
	if s.name == autoScope || s.name == "" {
		return in, nil
	}
	named, err := parseScope(s.name)
	in.Kind, in.Ref = named.Kind, named.Ref
	if in.Kind == scope.PullRequest {
		in.Ref, in.Number = "", named.Ref
	}
	return in, err
}

// parseScope returns the scope that text names: a branch or, by a prefix that no
// branch can have, something else.
func parseScope(text string) (scope.Scope, error) {
	prefix, name, found := strings.Cut(text, ":")
	if !found {
		return scope.Scope{Kind: scope.Branch, Ref: text}, nil
	}
	switch prefix {
	case "pr":
		return scope.Scope{Kind: scope.PullRequest, Ref: name}, nil
	case "tag":
		return scope.Scope{Kind: scope.Tag, Ref: name}, nil
	default:
		return scope.Scope{}, usagef("--scope: unknown kind %s, want a branch, pr:NUMBER or tag:NAME", blob.Quote(prefix))
	}
}

func (s *scoping) readRules() (scope.Rules, error) {
	if s.rules == "" {
		return scope.Rules{}, nil
	}
	f, err := os.Open(s.rules)
	if err != nil {
		return scope.Rules{}, usagef("--rules: %w", err)
	}
	defer func() { _ = f.Close() }() // It was only read.
	found, err := rules.Read(f)
	if err != nil {
		return scope.Rules{}, usagef("--rules: %s: %w", s.rules, err)
	}
	return found, nil
}

// detect adds what the service says.
func (a *app) detect(s *scoping, found *resolved) error {
	b, err := ci.Detect(ci.Environment{ReadFile: os.ReadFile, Getenv: func(name string) string {
		if name == "GITHUB_EVENT_PATH" {
			return cmp.Or(s.event, a.Getenv(name))
		}
		return a.Getenv(name)
	}})
	switch {
	case errors.Is(err, ci.ErrUnknown) && s.event == "":
		return nil
	case errors.Is(err, ci.ErrUnknown):
		return usagef("--event: this is no workflow of GitHub: GITHUB_ACTIONS is not true")
	case err != nil:
		return usagef("%w", err)
	}
	found.system, found.notes = b.System, b.Notes
	found.input = found.input.Or(b.Input)
	return nil
}

// checkout adds what the directory's checkout says, if it is in one.
func (r *resolved) checkout(ctx context.Context, wanted scope.Rules) error {
	stated := r.input.Kind != "" && r.system == ""
	c, err := git.Open(ctx, ".", git.Options{})
	if errors.Is(err, git.ErrNoCheckout) {
		return nil
	}
	if err != nil {
		return err
	}
	in := scope.Input{Kind: scope.Branch, Ref: c.Branch, Commit: c.Commit, Default: c.Default}
	if c.Branch == "" {
		in.Kind = scope.Detached
	}
	r.input = r.input.Or(in)
	if err := r.checkPatterns(ctx, c, wanted); err != nil {
		return err
	}
	if r.input.Fork || r.input.Commit != c.Commit || stated && r.input.Ref != c.Branch {
		return nil // its ancestors are not read, or are those of something else
	}
	r.input.Ancestors, err = c.Ancestors(ctx, git.AncestorOptions{Default: r.input.Default})
	if errors.Is(err, git.ErrShallow) {
		r.notes = append(r.notes, "ancestors are not known: "+err.Error())
		err = nil
	}
	return err
}

// checkPatterns notes patterns of the rules that match nothing: they may be
// misspelled. A shallow clone does not know what there is.
func (r *resolved) checkPatterns(ctx context.Context, c *git.Checkout, wanted scope.Rules) error {
	if len(wanted.Overrides) == 0 || c.Shallow {
		return nil
	}
	names, err := c.Known(ctx)
	for _, pattern := range wanted.Unmatched(append(names, r.input.Ref, r.input.Base, r.input.Default)...) {
		r.notes = append(r.notes, fmt.Sprintf("rules: the pattern %q matches no branch or tag that this clone knows", pattern))
	}
	return err
}

// warnPlan prints all that is to be said of a plan.
func (a *app) warnPlan(r *resolved) {
	for _, note := range append(r.notes, r.Notes...) {
		a.warn(note)
	}
}

// bind opens what one half of the plan of the flags needs, at the bases that
// texts spell.
func (a *app) bind(ctx context.Context, what string, plan scope.Plan, texts ...string) (*larder.Binding, error) {
	var bases []backend.Location
	for _, text := range texts {
		base, err := a.parse(a.mux(), use{what: what}, text)
		if err != nil {
			return nil, err
		}
		bases = append(bases, base)
	}
	b, err := larder.Bind(ctx, a.mux(), plan, bases...)
	switch {
	case errors.Is(err, backend.ErrInvalid), errors.Is(err, scope.ErrInvalid):
		return nil, usagef("%s: %w", cmp.Or(what, "location"), err)
	case err != nil:
		return nil, err
	}
	for _, d := range b.Degradations {
		a.warn(fmt.Sprintf("%s: %s", d.Target, d.Detail))
	}
	return b, nil
}

// readers binds the places that the build reads, at the bases.
func (a *app) readers(ctx context.Context, what string, r *resolved, bases ...string) (*larder.Binding, error) {
	plan := r.Plan
	plan.Write = nil
	if len(plan.Read) == 0 {
		return nil, fmt.Errorf("the rules let this build read nothing: %s", strings.Join(r.Notes, "; "))
	}
	return a.bind(ctx, what, plan, bases...)
}

// writers binds the places that the build writes, at the bases.
func (a *app) writers(ctx context.Context, r *resolved, bases ...string) (*larder.Binding, error) {
	plan := r.Plan
	plan.Read = nil
	if len(plan.Write) == 0 {
		return nil, fmt.Errorf("this build may write nothing: %s", strings.Join(r.Notes, "; "))
	}
	return a.bind(ctx, "--to", plan, bases...)
}

// existing returns the places that have a ref, as far as that is known. If none
// has, the error says so.
func existing(ctx context.Context, places []larder.Place) ([]larder.Target, error) {
	var found []larder.Target
	var names []string
	for _, p := range places {
		_, err := p.Backend.GetRef(ctx, p.Ref)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !errors.Is(err, backend.ErrNotFound) {
			found = append(found, p.Target)
		}
		names = append(names, p.Ref)
	}
	if len(found) == 0 {
		return nil, &nothingError{text: "none of the scopes has a cache: " + some(names)}
	}
	return found, nil
}

// openTargets opens locations to write; with --scope they are bases.
func (a *app) openTargets(ctx context.Context, s *scoping, to []string) ([]larder.Target, func(), error) {
	if !s.given() {
		places, err := a.open(ctx, use{what: "--to", write: true}, to...)
		return targets(places), func() { closeAll(places) }, err
	}
	plan, err := a.plan(ctx, s, to...)
	if err != nil {
		return nil, nil, err
	}
	a.warnPlan(plan)
	write, err := a.writers(ctx, plan, to...)
	if err != nil {
		return nil, nil, err
	}
	return larder.Targets(write.Write), func() { _ = write.Close() }, nil // as closeAll
}

// openSources opens locations to read, in order; with --scope they are bases.
func (a *app) openSources(ctx context.Context, s *scoping, from []string) ([]larder.Target, func(), error) {
	if !s.given() {
		places, err := a.open(ctx, use{what: "--from"}, from...)
		return targets(places), func() { closeAll(places) }, err
	}
	plan, err := a.plan(ctx, s) // the stores are not asked: what is read are other refs
	if err != nil {
		return nil, nil, err
	}
	a.warnPlan(plan)
	read, err := a.readers(ctx, "--from", plan, from...)
	if err != nil {
		return nil, nil, err
	}
	return larder.Targets(read.Read), func() { _ = read.Close() }, nil // as closeAll
}

// ends are what a copy or merge reads and writes.
type ends struct {
	from, to []larder.Target
	// at is the location of the first source.
	at    backend.Location
	close func()
}

// openEnds opens locations to read and to write; with --scope they are bases, of
// which one has a source if any of the scopes that the build reads has a cache.
func (a *app) openEnds(ctx context.Context, s *scoping, one bool, from, to []string) (*ends, error) {
	if s.given() {
		return a.openScopes(ctx, s, one, from, to)
	}
	sources, err := a.open(ctx, use{what: "--from", one: one}, from...)
	if err != nil {
		return nil, err
	}
	dests, err := a.open(ctx, use{what: "--to", write: true}, to...)
	if err != nil {
		closeAll(sources)
		return nil, err
	}
	return &ends{
		from: targets(sources), to: targets(dests), at: sources[0].loc,
		close: func() { closeAll(append(sources, dests...)) },
	}, nil
}

func (a *app) openScopes(ctx context.Context, s *scoping, one bool, from, to []string) (*ends, error) {
	plan, err := a.plan(ctx, s, from...)
	if err != nil {
		return nil, err
	}
	a.warnPlan(plan)
	read, err := a.readers(ctx, "--from", plan, from...)
	if err != nil {
		return nil, err
	}
	write, err := a.writers(ctx, plan, to...)
	if err != nil {
		_ = read.Close() // as closeAll
		return nil, err
	}
	e := &ends{to: larder.Targets(write.Write), close: func() { _, _ = read.Close(), write.Close() }}
	if e.from, err = existing(ctx, read.Read); err != nil {
		e.close()
		return nil, err
	}
	if one {
		e.from = e.from[:1]
	}
	for _, p := range read.Read {
		if p.Target == e.from[0] {
			e.at = p.At
			break
		}
	}
	return e, nil
}
