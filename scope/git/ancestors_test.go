package git_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/scope"
	"github.com/larder-build/larder/scope/git"
)

// forest returns a repository with
//
//	main        5 commits
//	old         main~4, merged long ago
//	a           main~2 and 3 more
//	a2          a~1 and 2 more: a has moved on since
//	a3          a2 and 1 more
//	sibling     main~1 and 1 more
//	unrelated   a history of its own
func forest(t *testing.T) *repo {
	t.Helper()
	r := newRepo(t)
	r.commits(4)
	r.git("branch", "old", "main~4")
	r.branch("a", "main~2", 3)
	r.branch("a2", "a~1", 2)
	r.branch("a3", "a2", 1)
	r.branch("sibling", "main~1", 1)
	r.git("checkout", "--quiet", "--orphan", "unrelated")
	r.commits(2)
	r.git("checkout", "--quiet", "main")
	return r
}

// list writes ancestors as "branch distance".
func list(all []scope.Ancestor) string {
	var words []string
	for _, a := range all {
		words = append(words, fmt.Sprint(a.Branch, " ", a.Distance))
	}
	return strings.Join(words, ", ")
}

func TestAncestors(t *testing.T) {
	origin := forest(t)
	tests := []struct {
		branch string
		opts   git.AncestorOptions
		want   string
	}{
		{branch: "main", want: "main 0"},
		{branch: "a", want: "a2 1, a3 1, main 3"}, // a2 and a may have come from either
		{branch: "a2", want: "a 2, main 4"},
		{branch: "a3", want: "a2 1, a 3, main 5"},
		{branch: "sibling", want: "main 1"},
		{branch: "unrelated", want: "main 2"},
		{branch: "a3", opts: git.AncestorOptions{Branches: []string{"a", "a2", "none"}}, want: "a2 1, a 3"},
		{branch: "a3", opts: git.AncestorOptions{Default: "a"}, want: "a2 1, a 3"},
	}
	clone := origin.clone()
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.branch, tt.opts), func(t *testing.T) {
			r := &repo{t, clone.dir}
			r.git("checkout", "--quiet", tt.branch)
			got, err := r.open(r.dir).Ancestors(t.Context(), tt.opts)
			if err != nil || list(got) != tt.want {
				t.Errorf("Ancestors() = %q, %v, want %q", list(got), err, tt.want)
			}
			r.git("checkout", "--quiet", "--detach")
			if tt.branch == "main" || tt.opts.Branches != nil || tt.opts.Default != "" {
				return
			}
			// A build that is detached finds the branch that it is of, too.
			got, err = r.open(r.dir).Ancestors(t.Context(), tt.opts)
			if want := tt.branch + " 0, " + tt.want; err != nil || list(got) != want {
				t.Errorf("Ancestors(detached) = %q, %v, want %q", list(got), err, want)
			}
		})
	}
}

// TestAncestorsLocal has branches that the remote lacks, and one that is further
// there.
func TestAncestorsLocal(t *testing.T) {
	origin := forest(t)
	clone := origin.clone()
	clone.git("branch", "--quiet", "--no-track", "a", "origin/a~2")
	clone.branch("mine", "origin/a", 2)
	clone.branch("mine2", "mine", 1)
	got, err := clone.open(clone.dir).Ancestors(t.Context(), git.AncestorOptions{})
	if want := "mine 1, a 3, a2 4, a3 4, main 6"; err != nil || list(got) != want {
		t.Errorf("Ancestors() = %q, %v, want %q", list(got), err, want)
	}
}

func TestAncestorsShallow(t *testing.T) {
	clone := forest(t).clone("--depth=1", "--branch=a3")
	c := clone.open(clone.dir)
	_, err := c.Ancestors(t.Context(), git.AncestorOptions{})
	if !errors.Is(err, git.ErrShallow) || !strings.Contains(err.Error(), "git fetch --unshallow; fetch-depth: 0") {
		t.Errorf("Ancestors() = %v, want ErrShallow that says what to set", err)
	}
	in, notes, err := c.Input(t.Context())
	want := scope.Input{Kind: scope.Branch, Ref: "a3", Default: "a3", Commit: c.Commit}
	if diff := cmp.Diff(want, in, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Default" }, cmp.Ignore())); diff != "" || err != nil {
		t.Errorf("Input() = %v, differs (-want +got):\n%s", err, diff)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "the clone is shallow") {
		t.Errorf("Input() notes %q, want that the clone is shallow", notes)
	}
}

func TestInput(t *testing.T) {
	clone := forest(t).clone("--branch=a2")
	c := clone.open(clone.dir)
	in, notes, err := c.Input(t.Context())
	want := scope.Input{
		Kind: scope.Branch, Ref: "a2", Default: "main", Commit: clone.git("rev-parse", "HEAD"),
		Ancestors: []scope.Ancestor{{Branch: "a", Distance: 2}, {Branch: "main", Distance: 4}},
	}
	if diff := cmp.Diff(want, in); diff != "" || err != nil || len(notes) > 0 {
		t.Errorf("Input() = %v, %v, differs (-want +got):\n%s", notes, err, diff)
	}
	clone.git("checkout", "--quiet", "--detach")
	in, _, err = clone.open(clone.dir).Input(t.Context())
	if err != nil || in.Kind != scope.Detached || in.Ref != "" {
		t.Errorf("Input(detached) = %+v, %v, want a detached build", in, err)
	}
}

// TestNamesThatAreNotUTF8 shows that one of them disturbs nothing.
func TestNamesThatAreNotUTF8(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("files cannot have such names here")
	}
	r := newRepo(t)
	r.git("branch", "caf\xe9")
	r.branch("topic", "main", 1)
	got, err := r.open(r.dir).Ancestors(t.Context(), git.AncestorOptions{Default: "main"})
	if err != nil || list(got) != "main 1" {
		t.Errorf("Ancestors() = %q, %v, want main 1", list(got), err)
	}
	r.git("checkout", "--quiet", "caf\xe9")
	in, _, err := r.open(r.dir).Input(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in.Default = "main"
	if _, err := scope.Resolve(in, scope.Rules{}); !errors.Is(err, scope.ErrInvalid) || !strings.Contains(err.Error(), `Input.Ref is "caf\xe9", which is not UTF-8`) {
		t.Errorf("Resolve() = %v, want ErrInvalid that names the branch", err)
	}
}

// TestManyBranches has more candidates than are looked at: the latest count,
// and the default branch.
func TestManyBranches(t *testing.T) {
	r := newRepo(t)
	t.Setenv("GIT_COMMITTER_DATE", "1700000000 +0000")
	r.branch("first", "main", 1)
	t.Setenv("GIT_COMMITTER_DATE", "1700000100 +0000")
	r.branch("topic", "first", 1)
	for n := range git.DefaultCandidates {
		r.git("branch", fmt.Sprintf("many-%d", n), "topic")
	}
	clone := r.clone("--branch=topic")
	clone.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
	got, err := clone.open(clone.dir).Ancestors(t.Context(), git.AncestorOptions{})
	if err != nil || len(got) == 0 || got[len(got)-1] != (scope.Ancestor{Branch: "main", Distance: 2}) {
		t.Errorf("Ancestors() = %v, %v, want main 2 last", got, err)
	}
	if strings.Contains(list(got), "first") {
		t.Errorf("Ancestors() = %v, want the oldest branch passed over", got)
	}
}
