package scope_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/scope"
)

// short writes entries as "name reason", those of others' trust with a "!".
func short(entries []scope.Entry) string {
	var all []string
	for _, e := range entries {
		text := e.Name + e.Location + " " + string(e.Reason)
		if e.Trust != scope.Trusted {
			text += "!"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func branch(name string) scope.Input {
	return scope.Input{Kind: scope.Branch, Ref: name, Default: "main", Commit: "c0ffee"}
}

func pull(number, base string) scope.Input {
	return scope.Input{Kind: scope.PullRequest, Number: number, Head: "topic", Base: base, Default: "main", Commit: "c0ffee"}
}

func fork(number, base string) scope.Input {
	in := pull(number, base)
	in.Fork, in.HeadRepo = true, "eve/app"
	return in
}

func tag(name string) scope.Input {
	return scope.Input{Kind: scope.Tag, Ref: name, Default: "main", Commit: "c0ffee"}
}

// with returns in after a change.
func with(in scope.Input, change func(*scope.Input)) scope.Input {
	change(&in)
	return in
}

func ancestors(names ...string) func(*scope.Input) {
	return func(in *scope.Input) {
		for i, name := range names {
			in.Ancestors = append(in.Ancestors, scope.Ancestor{Branch: name, Distance: i + 1})
		}
	}
}

func known(names ...string) func(*scope.Input) {
	return func(in *scope.Input) { in.Known = append([]string{}, names...) }
}

// resolveTest is a build with the plan that it should get.
type resolveTest struct {
	name        string
	in          scope.Input
	rules       scope.Rules
	write, read string
}

func runResolve(t *testing.T, tests []resolveTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := scope.Resolve(tt.in, tt.rules)
			if err != nil {
				t.Fatalf("Resolve() = %v", err)
			}
			if got := short(plan.Write); got != tt.write {
				t.Errorf("Write = %q, want %q", got, tt.write)
			}
			if got := short(plan.Read); got != tt.read {
				t.Errorf("Read = %q, want %q", got, tt.read)
			}
			if err := plan.Check(); err != nil {
				t.Errorf("Check() = %v, want nil", err)
			}
		})
	}
}

func TestResolveDefaults(t *testing.T) {
	runResolve(t, []resolveTest{
		{name: "default branch", in: branch("main"), write: "main own", read: "main own"},
		{name: "branch", in: branch("feature/a"), write: "feature__a own", read: "feature__a own, main default"},
		{
			name: "branch made from another", in: with(branch("a2"), func(in *scope.Input) { in.Base = "a" }),
			write: "a2 own", read: "a2 own, a base, main default",
		},
		{
			name: "branch with ancestors", in: with(branch("c"), ancestors("b", "a")),
			write: "c own", read: "c own, b ancestor, a ancestor, main default",
		},
		{
			name: "ancestors in any order",
			in: with(branch("c"), func(in *scope.Input) {
				in.Ancestors = []scope.Ancestor{{Branch: "far", Distance: 9}, {Branch: "z", Distance: 2}, {Branch: "y", Distance: 2}}
			}),
			write: "c own", read: "c own, y ancestor, z ancestor, far ancestor, main default",
		},
		{
			name: "no more than three ancestors", in: with(branch("c"), ancestors("1", "2", "3", "4")),
			write: "c own", read: "c own, 1 ancestor, 2 ancestor, 3 ancestor, main default",
		},
		{
			name: "ancestors that are read anyhow take no room",
			in: with(branch("c"), func(in *scope.Input) {
				in.Base = "b"
				ancestors("c", "main", "b", "1", "1", "2", "3", "4")(in)
			}),
			write: "c own", read: "c own, b base, 1 ancestor, 2 ancestor, 3 ancestor, main default",
		},
		{
			name: "ancestors without a cache",
			in: with(branch("c"), func(in *scope.Input) {
				ancestors("1", "2/x", "3", "4")(in)
				known("2__x", "4")(in)
			}),
			write: "c own", read: "c own, 2__x ancestor, 4 ancestor, main default",
		},
		{
			name: "no cache at all is no reason to leave out own, base and default",
			in: with(pull("7", "a"), func(in *scope.Input) {
				ancestors("1")(in)
				known()(in)
			}),
			write: "pr--7 own", read: "pr--7 own, a base, main default",
		},
		{
			name: "main learns from no ancestor", in: with(branch("main"), ancestors("old")),
			write: "main own", read: "main own",
		},
		{name: "pull request into main", in: pull("7", "main"), write: "pr--7 own", read: "pr--7 own, main default"},
		{name: "pull request into a branch", in: pull("7", "a"), write: "pr--7 own", read: "pr--7 own, a base, main default"},
		{
			name: "default is last, being the base too", in: with(pull("7", "main"), ancestors("x")),
			write: "pr--7 own", read: "pr--7 own, x ancestor, main default",
		},
		{
			name: "pull request without a number", in: with(pull("", "main"), func(in *scope.Input) { in.Head = "main" }),
			write: "pr--main own", read: "pr--main own, main default",
		},
		{name: "pull request into some branch", in: pull("7", ""), write: "pr--7 own", read: "pr--7 own, main default"},
		{name: "fork", in: fork("7", "main"), write: "pr--7 own!", read: "pr--7 own!, main default"},
		{name: "fork into a branch", in: fork("7", "a"), write: "pr--7 own!", read: "pr--7 own!, a base, main default"},
		{
			name: "fork learns from no ancestor", in: with(fork("7", "a"), ancestors("x")),
			write: "pr--7 own!", read: "pr--7 own!, a base, main default",
		},
		{
			name: "fork without a number", in: with(fork("", "a"), func(in *scope.Input) { in.Head = "main" }),
			write: "pr--eve__app_.3a_main own!", read: "pr--eve__app_.3a_main own!, a base, main default",
		},
		{
			name: "fork that claims to be a branch", in: with(branch("main"), func(in *scope.Input) { in.Fork = true }),
			write: "", read: "main default",
		},
		{
			name: "fork that claims to be a tag", in: with(tag("v1.0"), func(in *scope.Input) { in.Fork = true }),
			write: "", read: "main default",
		},
		{name: "tag", in: tag("v1.2.3"), write: "tag--v1.2.3 own", read: "tag--v1.2.3 own, main default"},
		{
			name: "tag of a branch", in: with(tag("v1.2.3"), func(in *scope.Input) { in.Base = "stable" }),
			write: "tag--v1.2.3 own", read: "tag--v1.2.3 own, stable base, main default",
		},
		{
			name: "tag on a known branch", in: with(tag("nightly"), ancestors("develop")),
			write: "tag--nightly own", read: "tag--nightly own, develop ancestor, main default",
		},
		{
			name: "tag of a line", in: with(tag("v1.2.3"), known("main", "release__1.2")),
			write: "tag--v1.2.3 own", read: "tag--v1.2.3 own, release__1.2 release-line, main default",
		},
		{
			name: "tag of a line after its branch",
			in: with(tag("v1.2.3-rc.1"), func(in *scope.Input) {
				in.Base = "hotfix"
				known("1.2.x")(in)
			}),
			write: "tag--v1.2.3-rc.1 own", read: "tag--v1.2.3-rc.1 own, hotfix base, 1.2.x release-line, main default",
		},
		{
			name: "branch of a line", in: with(branch("hotfix/1.2.4"), known("release-1.2")),
			write: "hotfix__1.2.4 own", read: "hotfix__1.2.4 own, release-1.2 release-line, main default",
		},
		{
			name: "the line itself", in: with(branch("release/1.2"), known("release__1.2", "1.2.x")),
			write: "release__1.2 own", read: "release__1.2 own, main default",
		},
		{
			name: "lines are a guess if no name is known", in: tag("v1.2.3"),
			write: "tag--v1.2.3 own", read: "tag--v1.2.3 own, main default",
		},
		{
			name: "schedule", in: scope.Input{Kind: scope.Schedule, Default: "main"},
			write: "main own", read: "main own",
		},
		{
			name: "schedule of a branch", in: scope.Input{Kind: scope.Schedule, Ref: "next", Default: "main"},
			write: "next own", read: "next own, main default",
		},
		{
			name: "detached", in: with(scope.Input{Kind: scope.Detached, Default: "main"}, ancestors("a")),
			write: "", read: "a ancestor, main default",
		},
		{
			name: "target and platform", in: with(branch("a"), func(in *scope.Input) { in.Target, in.Platform = "test", "linux/arm64" }),
			write: "a--test--linux__arm64 own", read: "a--test--linux__arm64 own, main--test--linux__arm64 default",
		},
		{
			name: "platform alone", in: with(branch("a"), func(in *scope.Input) { in.Platform = "linux/arm64" }),
			write: "a----linux__arm64 own", read: "a----linux__arm64 own, main----linux__arm64 default",
		},
		{
			name: "known names are of the same target",
			in: with(branch("c"), func(in *scope.Input) {
				in.Target = "t"
				ancestors("a", "b")(in)
				known("a", "b--t")(in)
			}),
			write: "c--t own", read: "c--t own, b--t ancestor, main--t default",
		},
	})
}

func TestResolveRules(t *testing.T) {
	mode := func(m scope.Mode) scope.Rules { return scope.Rules{Policy: scope.Policy{Mode: m}} }
	both := scope.Rules{Policy: scope.Policy{Write: []scope.WriteScope{scope.WriteOwn, scope.WriteCommit}}}
	sources := scope.Rules{Policy: scope.Policy{Sources: []scope.Source{
		{Branch: "develop"}, {Location: "type=registry,ref=ghcr.io/vendor/cache:main"}, {Branch: "main"},
	}}}
	frozen := scope.Rules{Overrides: []scope.Override{
		{Refs: []string{"release/*"}, Kinds: []scope.Kind{scope.Branch}, Policy: scope.Policy{Mode: scope.ReadOnly}},
		{Refs: []string{"release/**", "legacy"}, Policy: scope.Policy{Mode: scope.Off}},
		{Kinds: []scope.Kind{scope.Schedule}, Policy: scope.Policy{Mode: scope.WriteOnly}},
		{Kinds: []scope.Kind{scope.Tag}, Policy: scope.Policy{Write: []scope.WriteScope{scope.WriteCommit}}},
	}}
	lines := scope.Rules{ReleaseLines: []scope.ReleaseLine{
		{Match: `app-v(\d+)\..*`, Branch: "support/$1.x"}, {Match: `app-.*`, Branch: "next"},
	}}
	runResolve(t, []resolveTest{
		{name: "read-write", in: branch("a"), rules: mode(scope.ReadWrite), write: "a own", read: "a own, main default"},
		{name: "read-only", in: branch("a"), rules: mode(scope.ReadOnly), write: "", read: "a own, main default"},
		{name: "write-only", in: branch("a"), rules: mode(scope.WriteOnly), write: "a own", read: ""},
		{name: "off", in: branch("a"), rules: mode(scope.Off), write: "", read: ""},
		{name: "read-only fork", in: fork("7", "a"), rules: mode(scope.ReadOnly), write: "", read: "pr--7 own!, a base, main default"},
		{name: "branch and commit", in: branch("a"), rules: both, write: "a own, commit--c0ffee commit", read: "a own, commit--c0ffee commit, main default"},
		{
			name: "pull request and commit", in: pull("7", "main"), rules: both,
			write: "pr--7 own, commit--c0ffee commit", read: "pr--7 own, commit--c0ffee commit, main default",
		},
		{name: "no commit of a fork", in: fork("7", "main"), rules: both, write: "pr--7 own!", read: "pr--7 own!, main default"},
		{
			name: "commit without a branch", in: scope.Input{Kind: scope.Detached, Default: "main", Commit: "c0ffee"}, rules: both,
			write: "commit--c0ffee commit", read: "commit--c0ffee commit, main default",
		},
		{
			name: "own twice", in: branch("a"), rules: scope.Rules{Policy: scope.Policy{Write: []scope.WriteScope{"own", "own"}}},
			write: "a own", read: "a own, main default",
		},
		{
			name: "sources", in: branch("a"), rules: sources,
			write: "a own", read: "a own, develop rule, type=registry,ref=ghcr.io/vendor/cache:main rule, main default",
		},
		{
			name: "own stays first where default would be last", in: branch("main"), rules: sources,
			write: "main own", read: "main own, develop rule, type=registry,ref=ghcr.io/vendor/cache:main rule",
		},
		{name: "no sources for forks", in: fork("7", "a"), rules: sources, write: "pr--7 own!", read: "pr--7 own!, a base, main default"},
		{
			name: "forks write nothing", in: fork("7", "a"), rules: scope.Rules{Untrusted: scope.UntrustedNone},
			write: "", read: "a base, main default",
		},
		{
			name: "others may all the same", in: pull("7", "a"), rules: scope.Rules{Untrusted: scope.UntrustedNone},
			write: "pr--7 own", read: "pr--7 own, a base, main default",
		},
		{
			name: "head", in: pull("7", "a"), rules: scope.Rules{Policy: scope.Policy{ReadHead: true}},
			write: "pr--7 own", read: "pr--7 own, topic head, a base, main default",
		},
		{
			name: "no head of a fork", in: fork("7", "a"), rules: scope.Rules{Policy: scope.Policy{ReadHead: true}},
			write: "pr--7 own!", read: "pr--7 own!, a base, main default",
		},
		{
			name: "one ancestor", in: with(branch("c"), ancestors("b", "a")), rules: scope.Rules{Policy: scope.Policy{Ancestors: 1}},
			write: "c own", read: "c own, b ancestor, main default",
		},
		{
			name: "no ancestor", in: with(branch("c"), ancestors("b", "a")), rules: scope.Rules{Policy: scope.Policy{Ancestors: -1}},
			write: "c own", read: "c own, main default",
		},
		{
			name: "shared by targets", in: with(branch("a"), func(in *scope.Input) { in.Target, in.Platform = "t", "p" }),
			rules: scope.Rules{ShareTargets: true}, write: "a----p own", read: "a----p own, main----p default",
		},
		{
			name: "shared by platforms", in: with(branch("a"), func(in *scope.Input) { in.Target, in.Platform = "t", "p" }),
			rules: scope.Rules{SharePlatforms: true}, write: "a--t own", read: "a--t own, main--t default",
		},
		{
			name: "shared by all", in: with(branch("a"), func(in *scope.Input) { in.Target, in.Platform = "t", "p" }),
			rules: scope.Rules{ShareTargets: true, SharePlatforms: true}, write: "a own", read: "a own, main default",
		},
		{name: "frozen branch", in: branch("release/1.2"), rules: frozen, write: "", read: "release__1.2 own, main default"},
		{name: "one star stops at a slash", in: branch("release/1.2/x"), rules: frozen, write: "", read: ""},
		{name: "pull requests match by their base", in: pull("7", "release/1.2"), rules: frozen, write: "", read: ""},
		{name: "not by their head", in: with(pull("7", "main"), func(in *scope.Input) { in.Head = "legacy" }), rules: frozen, write: "pr--7 own", read: "pr--7 own, main default"},
		{name: "whole name", in: branch("legacy2"), rules: frozen, write: "legacy2 own", read: "legacy2 own, main default"},
		{name: "by kind", in: scope.Input{Kind: scope.Schedule, Default: "main"}, rules: frozen, write: "main own", read: ""},
		{name: "the first override counts", in: scope.Input{Kind: scope.Schedule, Ref: "legacy", Default: "main"}, rules: frozen, write: "", read: ""},
		{name: "override of what is written", in: tag("v1"), rules: frozen, write: "commit--c0ffee commit", read: "commit--c0ffee commit, main default"},
		{
			name: "override keeps the rest", in: tag("v1"),
			rules: scope.Rules{Policy: sources.Policy, Overrides: frozen.Overrides},
			write: "commit--c0ffee commit", read: "commit--c0ffee commit, develop rule, type=registry,ref=ghcr.io/vendor/cache:main rule, main default",
		},
		{name: "line by rule", in: tag("app-v3.1"), rules: lines, write: "tag--app-v3.1 own", read: "tag--app-v3.1 own, support__3.x release-line, main default"},
		{
			name: "first line with a cache", in: with(tag("app-v3.1"), known("next")), rules: lines,
			write: "tag--app-v3.1 own", read: "tag--app-v3.1 own, next release-line, main default",
		},
		{name: "no line", in: tag("lib-v3.1"), rules: lines, write: "tag--lib-v3.1 own", read: "tag--lib-v3.1 own, main default"},
		{name: "rules' lines in place of the usual", in: with(tag("v1.2"), known("release__1.2")), rules: lines, write: "tag--v1.2 own", read: "tag--v1.2 own, main default"},
	})
}

func TestResolveInvalid(t *testing.T) {
	tests := []struct {
		name  string
		in    scope.Input
		rules scope.Rules
		want  string
	}{
		{name: "nothing", want: "set Input.Kind"},
		{name: "other kind", in: scope.Input{Kind: "push"}, want: `kind "push": set Input.Kind to branch, pull-request, tag, schedule or detached`},
		{name: "no default", in: scope.Input{Kind: scope.Branch, Ref: "a"}, want: "the default branch is not known: set Input.Default"},
		{name: "no branch", in: branch(""), want: "set Input.Ref"},
		{name: "no tag", in: tag(""), want: "set Input.Ref"},
		{name: "no number", in: with(pull("", "main"), func(in *scope.Input) { in.Head = "" }), want: "set Input.Number"},
		{name: "some fork", in: with(fork("", "main"), func(in *scope.Input) { in.HeadRepo = "" }), want: "set Input.Number or Input.HeadRepo"},
		{name: "full name", in: branch("refs/heads/a"), want: `Input.Ref is the full name "refs/heads/a": set "a"`},
		{name: "not UTF-8", in: branch("caf\xe9"), want: `Input.Ref is "caf\xe9", which is not UTF-8`},
		{name: "default not UTF-8", in: with(branch("a"), func(in *scope.Input) { in.Default = "\xff" }), want: "Input.Default"},
		{name: "ancestor not UTF-8", in: with(branch("a"), ancestors("\xff")), want: "Input.Ancestors"},
		{name: "ancestor without a name", in: with(branch("a"), ancestors("")), want: "Input.Ancestors"},
		{name: "space", in: branch("a "), want: "with space at an end"},
		{name: "no commit", in: with(branch("a"), func(in *scope.Input) { in.Commit = "" }), rules: scope.Rules{Policy: scope.Policy{Write: []scope.WriteScope{"commit"}}}, want: "set Input.Commit"},
		{name: "bad rules", in: branch("a"), rules: scope.Rules{Untrusted: "some"}, want: "rules: untrusted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := scope.Resolve(tt.in, tt.rules)
			if !errors.Is(err, scope.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Resolve() = %v, want ErrInvalid with %q", err, tt.want)
			}
			if diff := cmp.Diff(scope.Plan{}, plan); diff != "" {
				t.Errorf("Resolve() has a plan along with its error:\n%s", diff)
			}
		})
	}
}

// TestResolveNotes shows that what is left out is said.
func TestResolveNotes(t *testing.T) {
	tests := []struct {
		name  string
		in    scope.Input
		rules scope.Rules
		want  []string
	}{
		{name: "nothing to say", in: branch("a")},
		{name: "fork", in: fork("7", "main"), rules: scope.Rules{Untrusted: scope.UntrustedNone}, want: []string{"nothing is written: the pull request comes from a fork, and the rules let those write nothing"}},
		{name: "fork's branch", in: with(branch("a"), func(in *scope.Input) { in.Fork = true }), want: []string{"nothing is written: a fork's build has a scope of its own only as a pull request"}},
		{name: "detached", in: scope.Input{Kind: scope.Detached, Default: "main"}, want: []string{"no branch, pull request or tag is built, so that there is no scope of its own"}},
		{name: "pull request into some branch", in: pull("7", ""), want: []string{"the branch that the pull request goes into is not known and not read: set Input.Base"}},
		{name: "off", in: branch("a"), rules: scope.Rules{Policy: scope.Policy{Mode: scope.Off}}, want: []string{"nothing is written: the rules' mode is off", "nothing is read: the rules' mode is off"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := scope.Resolve(tt.in, tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, plan.Notes); diff != "" {
				t.Errorf("Notes differ (-want +got):\n%s", diff)
			}
		})
	}
}
