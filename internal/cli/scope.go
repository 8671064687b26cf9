package cli

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/scope"
)

const scopeHelp = `Print where a build writes its cache and where it may read others, with the
reason for each. The stores are asked nothing, unless --ask is given: then
ancestors and release lines without a cache are passed over, and so is in flags
for BuildKit what has none. A missing cache of type=local fails its build.

What is built is taken from the continuous integration service (GitHub Actions,
GitLab, CircleCI, Buildkite, Azure Pipelines, Bitbucket, Woodpecker, Travis,
TeamCity, Jenkins) and from the git checkout; flags come first. A build writes the
scope of its branch, pull request or tag, and reads that, its base, the nearest
ancestors, its release line and the default branch. A fork's pull request writes
its own scope only. --rules changes that, see "larder help scopes".

Formats: text; json; buildx, the flags for docker buildx build, one a line; bake,
a file for docker buildx bake; env, shell variables with one location a line. In
the latter three the own scope is the last to read, which BuildKit prefers.

  docker buildx build $(larder scope --base host/app/cache --format buildx) .`

// scopeFormats are the forms in which a plan is printed.
var scopeFormats = []string{"text", "json", "buildx", "bake", "env"}

// scopeCommand returns "larder scope".
func (a *app) scopeCommand() *cobra.Command {
	var bases []string
	var format string
	s := &scoping{name: autoScope}
	cmd := a.command("scope [--base LOCATION]... [flags]", "Print where a build writes and reads its cache", scopeHelp, cobra.NoArgs,
		func(ctx context.Context, _ []string) error { return a.scope(ctx, s, format, bases) })
	flags := cmd.Flags()
	flags.StringArrayVar(&bases, "base", nil, "`LOCATION` that gets a ref for each scope, so without one; may be repeated")
	flags.StringVar(&format, "format", "text", "`FORM` to print: "+strings.Join(scopeFormats, ", "))
	flags.BoolVar(&s.ask, "ask", false, "ask the stores at the bases which scopes have a cache")
	s.addScopeFlags(cmd)
	// Both fail only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("base", a.completeLocation)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(scopeFormats, cobra.ShellCompDirectiveNoFileComp))
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func (a *app) scope(ctx context.Context, s *scoping, format string, bases []string) error {
	if !slices.Contains(scopeFormats, format) {
		return usagef("--format: unknown form %s, want one of %s", blob.Quote(format), strings.Join(scopeFormats, ", "))
	}
	a.json = a.json || format == "json"
	if len(bases) == 0 && !a.json && format != "text" {
		return usagef("--format %s needs --base LOCATION", format)
	}
	var asked []string
	if s.ask {
		asked = bases
	}
	found, err := a.plan(ctx, s, asked...)
	if err != nil {
		return err
	}
	write, read, err := a.locate(found.Plan, bases)
	if err != nil {
		return err
	}
	if a.json || format == "text" {
		return a.answer(found.document(write, read), func(w io.Writer) { a.printPlan(w, found, write, read) })
	}
	a.warnPlan(found)
	read = slices.DeleteFunc(read, func(l larder.Located) bool { return !found.has(l) })
	// BuildKit finds what follows a step only in the last of the caches that have
	// the step: with the own cache before the default branch's, which has less, it
	// runs again what only the own one has (v0.33).
	slices.Reverse(read)
	return a.printBuild(format, s.target, write, read)
}

// locate returns the places of the plan, without locations if there is no base.
func (a *app) locate(plan scope.Plan, texts []string) (write, read []larder.Located, err error) {
	var bases []backend.Location
	for _, text := range texts {
		// What concerns building has its effect in the flags that are printed.
		base, err := a.mux().Parse(text)
		if err != nil {
			return nil, nil, usagef("--base: %w", err)
		}
		bases = append(bases, base)
	}
	if len(bases) == 0 {
		for _, e := range plan.Write {
			write = append(write, larder.Located{Entry: e})
		}
		for _, e := range plan.Read {
			read = append(read, larder.Located{Entry: e})
		}
		return write, read, nil
	}
	write, read, err = larder.Locate(a.mux(), plan, bases...)
	if err != nil {
		return nil, nil, usagef("--base: %w", err)
	}
	return write, read, nil
}

// planned is the JSON document of scope.
type planned struct {
	Schema string         `json:"schema"`
	System string         `json:"system,omitempty"`
	Input  scope.Input    `json:"input"`
	Trust  scope.Trust    `json:"trust"`
	Write  []plannedEntry `json:"write"`
	Read   []plannedEntry `json:"read"`
	Notes  []string       `json:"notes,omitempty"`
}

// plannedEntry is a place in a plan.
type plannedEntry struct {
	Location string       `json:"location,omitempty"`
	Name     string       `json:"name,omitempty"`
	Reason   scope.Reason `json:"reason"`
	Trust    scope.Trust  `json:"trust"`
	Scope    *scope.Scope `json:"scope,omitempty"`
}

func (r *resolved) document(write, read []larder.Located) planned {
	return planned{
		Schema: larder.Schema, System: r.system, Input: r.input, Trust: r.Trust,
		Write: plannedEntries(write), Read: plannedEntries(read), Notes: append(r.notes, r.Notes...),
	}
}

func plannedEntries(all []larder.Located) []plannedEntry {
	entries := []plannedEntry{}
	for _, l := range all {
		entries = append(entries, plannedEntry{Location: locationText(l), Name: l.Name, Reason: l.Reason, Trust: l.Trust, Scope: l.Scope})
	}
	return entries
}

// locationText returns the location of an entry, without secrets.
func locationText(l larder.Located) string {
	if l.At.IsZero() {
		return l.Location
	}
	return l.At.String()
}

func (a *app) printPlan(w io.Writer, r *resolved, write, read []larder.Located) {
	rows := [][]string{{"", "SCOPE", "REASON", "TRUST", "LOCATION"}}
	add := func(verb string, all []larder.Located) {
		if len(all) == 0 {
			rows = append(rows, []string{verb, "nothing", "", "", ""})
		}
		for _, l := range all {
			of, at := "-", locationText(l)
			if l.Scope != nil {
				of = l.Scope.String()
			}
			if at == "" {
				at = l.Name
			}
			rows = append(rows, []string{verb, printable(of), string(l.Reason), string(l.Trust), printable(at)})
		}
	}
	add("write", write)
	add("read", read)
	a.out.table(w, rows)
	a.warnPlan(r)
}

const scopesHelp = `A scope is the cache of a branch, pull request, tag or commit. Its name is a ref on
the store: readable, valid everywhere, and different for every two branches, on a
store that ignores case too:

  branch main               main
  branch feature/a          feature__a
  branch JIRA-123_Fix       _4jira-123_-_fix
  pull request 12           pr--12
  tag v1.2                  tag--v1.2
  branch main, target app   main--app

--scope auto is the scope of what is built, as the service and the git checkout
say; --scope BRANCH, pr:NUMBER and tag:NAME name another. A build of a fork stays
one whatever it names, and writes nothing that others read, unless --fork=false.

--rules FILE has what a project wants, in YAML or JSON; all of it is optional:

  mode: read-write          # or read-only, write-only, off
  write: [own, commit]      # the scopes to write; own is the default
  readHead: true            # pull requests read the branch they come from
  ancestors: 3              # how many ancestors are read; -1 for none
  untrusted: own            # what forks write: their own scope, or none
  shareTargets: true        # targets have no caches of their own
  sharePlatforms: true      # platforms neither
  sources:                  # are read too, before the default branch
    - branch: develop
    - location: type=registry,ref=ghcr.io/vendor/cache:main
  releaseLines:             # which branch a release belongs to
    - match: v(\d+)\.(\d+)\..*
      branch: release/$1.$2
  overrides:                # the first that matches the build counts
    - refs: [release/**]    # "*" stops at a slash; pull requests match by
      kinds: [branch]       # the branch they go into
      mode: read-only`
