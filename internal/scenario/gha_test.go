package scenario_test

import (
	"bytes"
	"cmp"
	"errors"
	"strings"
	"testing"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/cli"
	"github.com/larder-build/larder/internal/ghaserver"
	"github.com/larder-build/larder/scope"
)

// actions is the cache service of GitHub Actions, where each run has a token of
// its own.
type actions struct{ server *ghaserver.Server }

func newActions(t *testing.T) actions {
	t.Helper()
	return actions{ghaserver.New(t, ghaserver.Options{})}
}

// on returns the location of the cache as a run has it.
func (a actions) on(in scope.Input) string {
	return "type=gha,url_v2=" + a.server.URL + ",token=" + a.server.Token(scopesOf(in)...)
}

// scopesOf returns the scopes of a run's token: that of its own git ref, which is
// a merge for a pull request, its base's, and the default branch's.
//
// Source: docs.github.com/actions/reference/workflows-and-actions/dependency-caching,
// "Restrictions for accessing a cache".
func scopesOf(in scope.Input) []ghaserver.Scope {
	own, bases := "refs/heads/"+in.Ref, []string{"main"}
	if in.Kind == scope.PullRequest {
		own, bases = "refs/pull/"+in.Number+"/merge", []string{in.Base, "main"}
	}
	scopes := []ghaserver.Scope{{Ref: own, Permission: ghaserver.Read | ghaserver.Write}}
	for _, base := range bases {
		if ref := "refs/heads/" + base; ref != scopes[len(scopes)-1].Ref {
			scopes = append(scopes, ghaserver.Scope{Ref: ref, Permission: ghaserver.Read})
		}
	}
	return scopes
}

// runs are the projects as runs of GitHub Actions have them.
type runs struct {
	*testing.T
	service actions
}

// at returns the project as a run has it.
func (r runs) at(in scope.Input) *project {
	r.Helper()
	return newProject(r.T, store{"gha", func(*testing.T) string { return r.service.on(in) }})
}

// finds fails unless a run finds these steps.
func (r runs) finds(in scope.Input, want string) {
	r.Helper()
	p := r.at(in)
	if got := p.found(p.build(in, scope.Rules{}), "base", "deps", "a", "a2", "b", "pr", "evil"); got != want {
		r.Errorf("a run on %s finds %q, want %q", cmp.Or(in.Ref, in.Number), got, want)
	}
}

// exports exports the steps of a run.
func (r runs) exports(in scope.Input, steps ...string) {
	r.Helper()
	p := r.at(in)
	p.export(p.build(in, scope.Rules{}), steps...)
}

// TestGitHubActions tells the story where the store itself keeps branches apart.
// It ends otherwise: what a branch has built does not get to main by a promotion.
func TestGitHubActions(t *testing.T) {
	r := runs{t, newActions(t)}
	main, a, b := onBranch("main"), onBranch("A"), onBranch("B")
	r.finds(main, "")
	r.exports(main, "base", "deps")

	// Branches A and B import main and export their own.
	for name, in := range map[string]scope.Input{"a": a, "b": b} {
		r.finds(in, "base@main deps@main")
		r.exports(in, "base", "deps", name)
	}
	document := r.at(main).document("main")
	r.finds(a, "base@_a deps@_a a@_a")
	r.finds(b, "base@_b deps@_b b@_b")
	r.finds(main, "base@main deps@main")

	// A pull request into A reads its own scope, A's and main's.
	pr := intoBranch("12", "A")
	r.finds(pr, "base@_a deps@_a a@_a")
	r.exports(pr, "base", "pr")
	r.finds(pr, "base@pr--12 deps@_a a@_a pr@pr--12")
	r.finds(a, "base@_a deps@_a a@_a")

	r.fork(pr, a, b, main)
	if !bytes.Equal(r.at(main).document("main"), document) {
		t.Error("main's cache is not what main exported")
	}
	r.merge(main, a, b)
}

// fork: a fork's pull request writes nothing that others read, not even if it
// does not keep to its plan.
func (r runs) fork(others ...scope.Input) {
	r.Helper()
	in := intoBranch("13", "A")
	in.Fork = true
	p := r.at(in)
	build := p.build(in, scope.Rules{Untrusted: scope.UntrustedNone})
	p.want(p.found(build, "base", "deps", "a", "evil"), "base@_a deps@_a a@_a")
	p.export(build, "base", "evil")
	if mutating, _ := p.sent.since(); len(mutating) > 0 {
		r.Errorf("a fork that writes nothing has sent %q", mutating)
	}
	r.exports(in, "base", "evil")
	r.finds(in, "base@pr--13 deps@_a a@_a evil@pr--13")
	m, content := cacheOf("base", "evil")
	for _, ref := range []string{"main", "_a", "_b", "pr--12"} {
		store, err := p.mux.Open(r.Context(), p.base)
		if err == nil {
			_, err = larder.Export(r.Context(), m, content, []larder.Target{{Backend: store, Ref: ref}}, larder.ExportOptions{})
		}
		if err = errors.Join(err, store.Close()); err != nil {
			r.Fatal(err)
		}
	}
	for _, other := range others {
		p := r.at(other)
		if found := p.found(p.build(other, scope.Rules{}), "evil"); found != "" {
			r.Errorf("a run on %s reads %q", cmp.Or(other.Ref, other.Number), found)
		}
	}
}

// merge: A merges. Neither a run on A nor one on main can promote its cache, and
// nobody tries to; main's own run exports what it has built.
func (r runs) merge(main, a, b scope.Input) {
	r.Helper()
	before := len(r.service.server.Entries())
	for _, in := range []scope.Input{a, main} {
		p := r.at(in)
		build := p.build(main, scope.Rules{})
		from := build.Read[0].Target
		from.Ref = "_a"
		p.sent.since()
		_, err := larder.Promote(r.Context(), from, build.Write[0].Target, larder.ExportOptions{})
		if !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "GitHub isolates caches by branch") {
			r.Errorf("Promote() in a run on %s = %v, want ErrDenied with GitHub's rule", in.Ref, err)
		}
		var out, errs bytes.Buffer
		args := []string{"promote", "--base", p.base.Reveal(), "--from", "A", "--to", "main"}
		if status := cli.Run(r.Context(), args, cli.Streams{Out: &out, Err: &errs}); status != 1 || !strings.Contains(errs.String(), "GitHub isolates caches by branch") {
			r.Errorf("larder promote has status %d, want 1 and GitHub's rule:\n%s", status, &errs)
		}
		if mutating, _ := p.sent.since(); len(mutating) > 0 {
			r.Errorf("a promotion that is denied has sent %q", mutating)
		}
	}
	if after := len(r.service.server.Entries()); after != before {
		r.Errorf("there are %d entries after promotions that were denied, want %d as before", after, before)
	}
	r.finds(main, "base@main deps@main")
	r.exports(main, "base", "deps", "a", "a2")
	r.finds(main, "base@main deps@main a@main a2@main")
	r.finds(b, "base@_b deps@_b a@main a2@main b@_b")
}

// TestUntrustedTrigger exports in a run whose trigger has GitHub give it a token
// that may only read, such as pull_request_target: main's cache stays as it is.
func TestUntrustedTrigger(t *testing.T) {
	service := newActions(t)
	r := runs{t, service}
	main := onBranch("main")
	r.exports(main, "base", "deps")
	before := service.server.Entries()
	token := service.server.Token(ghaserver.Scope{Ref: "refs/heads/main", Permission: ghaserver.Read})
	p := newProject(t, store{"gha", func(*testing.T) string { return "type=gha,url_v2=" + service.server.URL + ",token=" + token }})
	build := p.build(main, scope.Rules{})
	p.want(p.found(build, "base", "deps"), "base@main deps@main")
	m, content := cacheOf("base", "evil")
	report, err := build.Export(t.Context(), m, content, larder.Policy{}, larder.ExportOptions{})
	if err != nil {
		t.Fatalf("Export() by a token that may only read = %v, want that to be reported only", err)
	}
	if got := report.Targets[0].Degradations; len(got) != 1 || got[0].Kind != larder.WriteOmitted || !strings.Contains(got[0].Detail, "may only read") {
		t.Errorf("Export() by a token that may only read reports %v, want what was left out and why", got)
	}
	if after := service.server.Entries(); len(after) != len(before) {
		t.Errorf("there are %d entries, want %d as before", len(after), len(before))
	}
}
