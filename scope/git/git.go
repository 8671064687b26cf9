// Package git finds out from a checkout what is built and which branches it
// descends from, for [scope.Input].
//
// It runs the git command, which is right about linked worktrees, shallow and
// partial clones, alternates and every format of objects and refs. A library
// would have to follow: go-git took some thirty times as long for the merge
// bases of 50 branches in a history of 20,000 commits.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/larder-build/larder/scope"
)

// The errors of this package.
var (
	// ErrNoCheckout means that the directory is in no checkout, that there is no
	// git command, or that git refuses to work there.
	ErrNoCheckout = errors.New("no git checkout")
	// ErrShallow means that the clone lacks the history that the question is
	// about.
	ErrShallow = errors.New("the clone is shallow")
)

// Options are those of [Open].
type Options struct {
	// Command is the git command, by default "git".
	Command string
	// Remote is the remote that has the project's branches, by default "origin".
	Remote string
}

// Checkout is the state of a checkout when it was opened.
type Checkout struct {
	// Branch is the branch that is checked out, "" if HEAD is detached.
	Branch string
	// Commit is the hash of the commit, "" in a repository without any.
	Commit string
	// Default is the default branch of the remote, as far as the clone knows: ""
	// if it was not cloned whole. See [Checkout.AskDefault].
	Default string
	// Shallow says that the history is cut off.
	Shallow bool

	dir  string
	opts Options
}

// Open looks at the checkout that a directory is in. The context governs the
// commands that are run for it. Errors match [ErrNoCheckout].
func Open(ctx context.Context, dir string, opts Options) (*Checkout, error) {
	if opts.Command == "" {
		opts.Command = "git"
	}
	if opts.Remote == "" {
		opts.Remote = "origin"
	}
	c := &Checkout{dir: dir, opts: opts}
	shallow, err := c.git(ctx, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCheckout, err)
	}
	c.Shallow = shallow == "true"
	// What follows fails where there is nothing to tell: no commit yet, a
	// detached HEAD, a remote whose default branch was never asked for.
	c.Commit, _ = c.git(ctx, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	head, _ := c.git(ctx, "symbolic-ref", "--quiet", "HEAD")
	c.Branch = strings.TrimPrefix(head, "refs/heads/")
	remote, _ := c.git(ctx, "symbolic-ref", "--quiet", c.remotes("HEAD"))
	c.Default = strings.TrimPrefix(remote, c.remotes(""))
	return c, ctx.Err()
}

// remotes returns the name of a ref of the remote.
func (c *Checkout) remotes(name string) string { return "refs/remotes/" + c.opts.Remote + "/" + name }

// Input returns what the checkout says of a build: its branch or none, the
// commit, the default branch and the ancestors. Notes say what is missing, and
// how to get it.
func (c *Checkout) Input(ctx context.Context) (in scope.Input, notes []string, err error) {
	in = scope.Input{Kind: scope.Branch, Ref: c.Branch, Commit: c.Commit, Default: c.Default}
	if c.Branch == "" {
		in.Kind = scope.Detached
	}
	in.Ancestors, err = c.Ancestors(ctx, AncestorOptions{})
	switch {
	case errors.Is(err, ErrShallow):
		return in, []string{"ancestors are not known: " + err.Error()}, nil
	case err != nil:
		return in, nil, err
	}
	return in, nil, nil
}

// Branches asks the remote which branches it has now. It is the only method,
// with AskDefault, that uses the network; credentials are git's.
func (c *Checkout) Branches(ctx context.Context) ([]string, error) {
	out, err := c.git(ctx, "ls-remote", "--heads", "--refs", c.opts.Remote)
	if err != nil {
		return nil, err
	}
	branches := []string{}
	for line := range strings.Lines(out) {
		if _, ref, ok := strings.Cut(strings.TrimRight(line, "\n"), "\trefs/heads/"); ok {
			branches = append(branches, ref)
		}
	}
	return branches, nil
}

// Known returns the branches and tags that the clone knows, those of the remote
// included, sorted. A clone need not know all there are.
func (c *Checkout) Known(ctx context.Context) ([]string, error) {
	out, err := c.git(ctx, "for-each-ref", "--format=%(refname)", "refs/heads/", "refs/tags/", c.remotes(""))
	if err != nil {
		return nil, err
	}
	names := []string{}
	for ref := range strings.SplitSeq(out, "\n") {
		for _, prefix := range []string{"refs/heads/", "refs/tags/", c.remotes("")} {
			if name, ok := strings.CutPrefix(ref, prefix); ok && ref != c.remotes("HEAD") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// AskDefault asks the remote for its default branch.
func (c *Checkout) AskDefault(ctx context.Context) (string, error) {
	out, err := c.git(ctx, "ls-remote", "--symref", c.opts.Remote, "HEAD")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(line, "ref: refs/heads/"); ok {
			name, _, _ = strings.Cut(name, "\t")
			return name, nil
		}
	}
	return "", fmt.Errorf("git ls-remote %s: the remote does not say which branch is the default", c.opts.Remote)
}

// git runs a command and returns what it prints, without the last newline. The
// command asks nobody for anything, and writes nothing.
func (c *Checkout) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.opts.Command, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch text := strings.TrimSpace(stderr.String()); {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil && text != "":
		return "", fmt.Errorf("git %s: %s: %w", args[0], text, err)
	case err != nil:
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimRight(stdout.String(), "\n"), nil
}
