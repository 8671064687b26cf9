package git_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/scope"
	"github.com/larder-build/larder/scope/git"
)

// repo is a repository in a temporary directory.
type repo struct {
	*testing.T
	dir string
}

// newRepo returns a repository with one commit on main.
func newRepo(t *testing.T) *repo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git command")
	}
	// Neither the machine's settings nor a repository around the tests matter.
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+who+"_NAME", "somebody")
		t.Setenv("GIT_"+who+"_EMAIL", "somebody@example.com")
	}
	r := &repo{T: t, dir: t.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	r.commits(1)
	return r
}

// git runs a command in the repository and returns what it prints.
func (r *repo) git(args ...string) string {
	r.Helper()
	cmd := exec.CommandContext(r.Context(), "git", args...)
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repo) commits(n int) {
	r.Helper()
	for range n {
		// Two commits with the same content at the same time would be one.
		made.Add(1)
		r.git("commit", "--quiet", "--allow-empty", "--message", fmt.Sprintf("change %d", made.Load()))
	}
}

// made counts the commits of all tests.
var made atomic.Int64

// branch makes a branch from another and commits to it.
func (r *repo) branch(name, from string, commits int) {
	r.Helper()
	r.git("checkout", "--quiet", "-b", name, from)
	r.commits(commits)
}

// clone returns a clone.
func (r *repo) clone(args ...string) *repo {
	r.Helper()
	c := &repo{T: r.T, dir: filepath.Join(r.TempDir(), "clone")}
	cmd := exec.CommandContext(r.Context(), "git", append(append([]string{"clone", "--quiet"}, args...), "file://"+filepath.ToSlash(r.dir), c.dir)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.Fatalf("git clone: %v\n%s", err, out)
	}
	return c
}

func (r *repo) open(dir string) *git.Checkout {
	r.Helper()
	c, err := git.Open(r.Context(), dir, git.Options{})
	if err != nil {
		r.Fatalf("Open() = %v", err)
	}
	return c
}

// state is what Open finds.
type state struct {
	branch, main string
	shallow      bool
}

func (r *repo) checkState(dir string, want state) *git.Checkout {
	r.Helper()
	c := r.open(dir)
	if got := (state{c.Branch, c.Default, c.Shallow}); got != want {
		r.Errorf("Open() = %+v, want %+v", got, want)
	}
	at := &repo{T: r.T, dir: dir}
	if want := at.git("rev-parse", "HEAD"); c.Commit != want {
		r.Errorf("Commit = %q, want %q", c.Commit, want)
	}
	return c
}

func TestOpen(t *testing.T) {
	origin := newRepo(t)
	origin.commits(2)
	origin.branch("feature/a", "main", 1)
	origin.git("checkout", "--quiet", "main")
	t.Run("no remote", func(t *testing.T) { (&repo{t, origin.dir}).checkState(origin.dir, state{branch: "main"}) })
	t.Run("clone", func(t *testing.T) {
		c := (&repo{t, origin.dir}).clone()
		c.checkState(c.dir, state{branch: "main", main: "main"})
		sub := filepath.Join(c.dir, "sub", "directory")
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		c.checkState(sub, state{branch: "main", main: "main"})
	})
	t.Run("branch", func(t *testing.T) {
		c := (&repo{t, origin.dir}).clone("--branch=feature/a")
		c.checkState(c.dir, state{branch: "feature/a", main: "main"})
	})
	t.Run("detached", func(t *testing.T) {
		c := (&repo{t, origin.dir}).clone()
		c.git("checkout", "--quiet", "--detach", "HEAD~1")
		c.checkState(c.dir, state{main: "main"})
	})
	t.Run("worktree", func(t *testing.T) {
		c := (&repo{t, origin.dir}).clone()
		linked := filepath.Join(t.TempDir(), "linked")
		c.git("worktree", "add", "--quiet", linked, "feature/a")
		c.checkState(linked, state{branch: "feature/a", main: "main"})
	})
	t.Run("shallow", func(t *testing.T) {
		c := (&repo{t, origin.dir}).clone("--depth=1")
		c.checkState(c.dir, state{branch: "main", main: "main", shallow: true})
	})
	t.Run("fetched like actions/checkout", func(t *testing.T) {
		c := &repo{t, t.TempDir()}
		c.git("init", "--quiet")
		c.git("remote", "add", "origin", "file://"+filepath.ToSlash(origin.dir))
		c.git("fetch", "--quiet", "origin", "+refs/heads/feature/a:refs/remotes/origin/feature/a")
		c.git("checkout", "--quiet", "-B", "feature/a", "refs/remotes/origin/feature/a")
		found := c.checkState(c.dir, state{branch: "feature/a"})
		if got, err := found.AskDefault(t.Context()); err != nil || got != "main" {
			t.Errorf("AskDefault() = %q, %v, want main", got, err)
		}
	})
}

func TestOpenWithoutCommits(t *testing.T) {
	r := newRepo(t)
	r.dir = t.TempDir()
	r.git("init", "--quiet", "--initial-branch=trunk")
	c := r.open(r.dir)
	in, notes, err := c.Input(t.Context())
	want := scope.Input{Kind: scope.Branch, Ref: "trunk"}
	if diff := cmp.Diff(want, in); diff != "" || err != nil || len(notes) > 0 {
		t.Errorf("Input() = %v, %v, differs (-want +got):\n%s", notes, err, diff)
	}
}

func TestOpenNoCheckout(t *testing.T) {
	newRepo(t)
	for name, opts := range map[string]git.Options{"no repository": {}, "no command": {Command: "there-is-no-such-git"}} {
		if c, err := git.Open(t.Context(), t.TempDir(), opts); !errors.Is(err, git.ErrNoCheckout) {
			t.Errorf("Open(%s) = %v, %v, want ErrNoCheckout", name, c, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := git.Open(ctx, t.TempDir(), git.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open(ended context) = %v, want context.Canceled", err)
	}
}

func TestBranches(t *testing.T) {
	origin := newRepo(t)
	origin.branch("feature/a", "main", 1)
	origin.branch("gone", "main", 1)
	origin.git("tag", "v1")
	origin.git("checkout", "--quiet", "main")
	clone := origin.clone()
	origin.git("branch", "--quiet", "-D", "gone")
	origin.git("branch", "--quiet", "new")
	known, err := clone.open(clone.dir).Known(t.Context())
	if want := []string{"feature/a", "gone", "main", "v1"}; err != nil || !cmp.Equal(known, want) {
		t.Errorf("Known() = %q, %v, want %q", known, err, want)
	}
	got, err := clone.open(clone.dir).Branches(t.Context())
	if want := []string{"feature/a", "main", "new"}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("Branches() = %q, %v, want %q", got, err, want)
	}
	origin.git("checkout", "--quiet", "--detach")
	if _, err := origin.open(origin.dir).Branches(t.Context()); err == nil {
		t.Error("Branches() of a repository without a remote = nil error")
	}
	if _, err := clone.open(clone.dir).AskDefault(t.Context()); err == nil {
		t.Error("AskDefault() of a remote that is detached = nil error")
	}
}
