package scope_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/larder-build/larder/scope"
)

// names are few, so that they often coincide.
var names = rapid.SampledFrom([]string{"main", "a", "A", "feature/a", "feature-a", "release/1.2", "hotfix/1.2.3", "v1.2", "pr", "12", "c0ffee"})

func inputs(t *rapid.T) scope.Input {
	in := scope.Input{
		Kind:     rapid.SampledFrom([]scope.Kind{scope.Branch, scope.PullRequest, scope.Tag, scope.Schedule, scope.Detached}).Draw(t, "kind"),
		Ref:      names.Draw(t, "ref"),
		Number:   rapid.SampledFrom([]string{"", "12", "main"}).Draw(t, "number"),
		Head:     names.Draw(t, "head"),
		HeadRepo: rapid.SampledFrom([]string{"org/app", "eve/app"}).Draw(t, "headRepo"),
		Base:     names.Draw(t, "base"),
		Default:  "main",
		Fork:     rapid.Bool().Draw(t, "fork"),
		Commit:   "c0ffee",
		Target:   rapid.SampledFrom([]string{"", "test"}).Draw(t, "target"),
		Platform: rapid.SampledFrom([]string{"", "linux/arm64"}).Draw(t, "platform"),
	}
	for _, name := range rapid.SliceOfN(names, 0, 6).Draw(t, "ancestors") {
		in.Ancestors = append(in.Ancestors, scope.Ancestor{Branch: name, Distance: rapid.IntRange(0, 3).Draw(t, "distance")})
	}
	if rapid.Bool().Draw(t, "known") {
		in.Known = []string{}
		for _, name := range rapid.SliceOfN(names, 0, 6).Draw(t, "with cache") {
			encoded, _ := scope.Scope{Kind: scope.Branch, Ref: name, Target: in.Target, Platform: in.Platform}.Name()
			in.Known = append(in.Known, encoded)
		}
	}
	return in
}

func policies(t *rapid.T) scope.Policy {
	p := scope.Policy{
		Mode:      rapid.SampledFrom([]scope.Mode{"", scope.ReadWrite, scope.ReadOnly, scope.WriteOnly, scope.Off}).Draw(t, "mode"),
		Write:     rapid.SliceOfN(rapid.SampledFrom([]scope.WriteScope{scope.WriteOwn, scope.WriteCommit}), 0, 3).Draw(t, "write"),
		ReadHead:  rapid.Bool().Draw(t, "readHead"),
		Ancestors: rapid.IntRange(-1, 4).Draw(t, "number of ancestors"),
	}
	for _, name := range rapid.SliceOfN(names, 0, 3).Draw(t, "sources") {
		p.Sources = append(p.Sources, scope.Source{Branch: name})
	}
	if rapid.Bool().Draw(t, "location") {
		p.Sources = append(p.Sources, scope.Source{Location: "./cache"})
	}
	return p
}

func rules(t *rapid.T) scope.Rules {
	r := scope.Rules{
		Policy:         policies(t),
		Untrusted:      rapid.SampledFrom([]scope.UntrustedPolicy{"", scope.UntrustedOwn, scope.UntrustedNone}).Draw(t, "untrusted"),
		ShareTargets:   rapid.Bool().Draw(t, "shareTargets"),
		SharePlatforms: rapid.Bool().Draw(t, "sharePlatforms"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "overrides") {
		r.Overrides = append(r.Overrides, scope.Override{
			Refs:   []string{rapid.SampledFrom([]string{"**", "a", "release/*", "main"}).Draw(t, "pattern")},
			Policy: policies(t),
		})
	}
	return r
}

// TestPlanProperties requires of the plans of all builds under all rules what
// Resolve promises.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, rules := inputs(t), rules(t)
		plan, err := scope.Resolve(in, rules)
		if err != nil {
			t.Fatalf("Resolve() = %v", err)
		}
		if err := plan.Check(); err != nil {
			t.Fatalf("Check() = %v", err)
		}
		checkWrites(t, in, plan)
		checkDefaultLast(t, in, rules, plan)
		checkUnique(t, plan.Write)
		checkUnique(t, plan.Read)
		if in.Fork {
			checkForkReads(t, in, plan)
		}
		checkStable(t, in, rules, plan)
	})
}

// checkWrites: what is written is never another branch's, nor, of a build that
// is not trusted, anything that others trust.
func checkWrites(t *rapid.T, in scope.Input, plan scope.Plan) {
	for _, e := range plan.Write {
		own := e.Reason == scope.ReasonOwn || e.Reason == scope.ReasonCommit
		if !own || e.Location != "" {
			t.Errorf("writes %s", e)
		}
		if in.Fork && (e.Trust == scope.Trusted || e.Scope.Kind != scope.PullRequest) {
			t.Errorf("a fork writes %s", e)
		}
		if e.Scope.Kind == scope.Branch && e.Scope.Ref != in.Ref {
			t.Errorf("a build of %s writes %s", in.Ref, e)
		}
	}
}

// checkDefaultLast: the default branch is read last, unless it is built, and
// whenever anything is read.
func checkDefaultLast(t *rapid.T, in scope.Input, rules scope.Rules, plan scope.Plan) {
	isDefault := func(e scope.Entry) bool {
		return e.Scope != nil && e.Scope.Kind == scope.Branch && e.Scope.Ref == in.Default
	}
	if len(plan.Read) == 0 {
		return
	}
	at := slices.IndexFunc(plan.Read, isDefault)
	if at < 0 || at != len(plan.Read)-1 && plan.Read[at].Reason != scope.ReasonOwn {
		t.Errorf("under %+v the default branch is number %d of %v", rules, at, plan.Read)
	}
}

func checkUnique(t *rapid.T, entries []scope.Entry) {
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.Name+e.Location] {
			t.Errorf("%s comes twice in %v", e, entries)
		}
		seen[e.Name+e.Location] = true
	}
}

// checkForkReads: a fork reads its own scope, its base and the default branch.
func checkForkReads(t *rapid.T, in scope.Input, plan scope.Plan) {
	for _, e := range plan.Read {
		if e.Trust == scope.Untrusted && e.Reason == scope.ReasonOwn {
			continue
		}
		if e.Scope == nil || e.Scope.Ref != in.Base && e.Scope.Ref != in.Default {
			t.Errorf("a fork's build reads %s", e)
		}
	}
}

// checkStable: neither the order of what is known nor repetition matters.
func checkStable(t *rapid.T, in scope.Input, rules scope.Rules, plan scope.Plan) {
	random := rand.New(rand.NewPCG(uint64(rapid.Int64().Draw(t, "seed")), 0))
	in.Ancestors = append(slices.Clone(in.Ancestors), in.Ancestors...)
	random.Shuffle(len(in.Ancestors), func(i, j int) { in.Ancestors[i], in.Ancestors[j] = in.Ancestors[j], in.Ancestors[i] })
	random.Shuffle(len(in.Known), func(i, j int) { in.Known[i], in.Known[j] = in.Known[j], in.Known[i] })
	again, err := scope.Resolve(in, rules)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plan, again); diff != "" {
		t.Errorf("another order gives another plan:\n%s", diff)
	}
}

// TestReadOnlyIsNeverWritten gives what is built one override after another.
func TestReadOnlyIsNeverWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, rules := inputs(t), rules(t)
		mode := rapid.SampledFrom([]scope.Mode{scope.ReadOnly, scope.Off}).Draw(t, "forbidding mode")
		forbid := scope.Override{Refs: []string{"**"}, Policy: scope.Policy{Mode: mode}}
		rules.Overrides = slices.Insert(rules.Overrides, 0, forbid)
		plan, err := scope.Resolve(in, rules)
		if err != nil || len(plan.Write) > 0 {
			t.Errorf("Resolve(%s) = %v, %v, want nothing written", mode, plan.Write, err)
		}
	})
}

// TestCaseOnly has builds whose branches differ in nothing but case.
func TestCaseOnly(t *testing.T) {
	seen := map[string]string{}
	for _, ref := range []string{"feature/a", "Feature/a", "feature/A", "FEATURE/A", "feature-a", "feature_a", "feature.a"} {
		name, err := scope.Scope{Kind: scope.Branch, Ref: ref}.Name()
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := seen[name]; taken {
			t.Errorf("%s and %s are both %s", ref, other, name)
		}
		seen[name] = fmt.Sprint(ref)
	}
}
