package git

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/scope"
)

// DefaultCandidates is how many branches [Checkout.Ancestors] looks at.
const DefaultCandidates = 64

// AncestorOptions are those of [Checkout.Ancestors].
type AncestorOptions struct {
	// Branches are the candidates, branches of the remote or else local ones. If
	// it is nil they are the DefaultCandidates that changed last.
	Branches []string
	// Default is the default branch; "" means that of the checkout.
	Default string
}

// Ancestors returns the branches that the checked-out commit was made on top of,
// nearest first: those with commits in common with it that the default branch
// lacks, and the default branch. A branch that has all commits of this one and
// more was made from it and is left out, as is one that left the default branch
// at another place: a build learns nothing from its siblings.
//
// The distance is the number of commits that the branch lacks, which its merge
// base determines. A shallow clone gives an error matching [ErrShallow].
func (c *Checkout) Ancestors(ctx context.Context, opts AncestorOptions) ([]scope.Ancestor, error) {
	if c.Commit == "" {
		return nil, nil
	}
	if c.Shallow {
		return nil, fmt.Errorf("%w: fetch its history (git fetch --unshallow; fetch-depth: 0 of actions/checkout, GIT_DEPTH: 0 of GitLab)", ErrShallow)
	}
	base := cmp.Or(opts.Default, c.Default)
	refs, err := c.candidates(ctx, opts.Branches)
	if err != nil {
		return nil, err
	}
	relations, err := c.relations(ctx, refs)
	if err != nil {
		return nil, err
	}
	return c.nearer(ctx, relations, base)
}

// candidate is a branch and what is between it and the checked-out commit.
type candidate struct {
	branch, ref   string
	ahead, behind int // commits that only it has, and that it lacks
}

// candidates returns the branches to look at. A branch that the remote has too
// is looked at there.
func (c *Checkout) candidates(ctx context.Context, only []string) ([]candidate, error) {
	out, err := c.git(ctx, "for-each-ref", "--sort=-committerdate", "--format=%(refname)", c.remotes(""), "refs/heads/")
	if err != nil {
		return nil, err
	}
	at := make(map[string]int)
	var found []candidate
	for ref := range strings.SplitSeq(out, "\n") {
		branch, remote := strings.CutPrefix(ref, c.remotes(""))
		if !remote {
			branch = strings.TrimPrefix(ref, "refs/heads/")
		}
		// No cache has a name that is not UTF-8, see scope.Scope.Check.
		if branch == "" || remote && branch == "HEAD" || !utf8.ValidString(branch) {
			continue
		}
		if only != nil && !slices.Contains(only, branch) {
			continue
		}
		i, known := at[branch]
		switch {
		case !known:
			at[branch] = len(found)
			found = append(found, candidate{branch: branch, ref: ref})
		case remote:
			found[i].ref = ref
		}
	}
	if only == nil && len(found) > DefaultCandidates {
		found = c.mostRecent(found)
	}
	return found, nil
}

// mostRecent shortens the candidates, but for the default branch.
func (c *Checkout) mostRecent(found []candidate) []candidate {
	kept := found[:DefaultCandidates]
	for _, f := range found[DefaultCandidates:] {
		if f.branch == c.Default {
			kept = append(slices.Clip(kept), f)
		}
	}
	return kept
}

// relations counts the commits between the candidates and the checkout.
func (c *Checkout) relations(ctx context.Context, all []candidate) ([]candidate, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i := range all {
		group.Go(func() error {
			out, err := c.git(ctx, "rev-list", "--left-right", "--count", all[i].ref+"..."+c.Commit, "--")
			if err != nil {
				return err
			}
			ahead, behind, _ := strings.Cut(out, "\t")
			all[i].ahead, err = strconv.Atoi(ahead)
			if err == nil {
				all[i].behind, err = strconv.Atoi(behind)
			}
			return err
		})
	}
	return all, group.Wait()
}

// nearer returns the candidates that are nearer than the default branch, and
// that branch itself.
func (c *Checkout) nearer(ctx context.Context, all []candidate, base string) ([]scope.Ancestor, error) {
	// A branch that lacks every commit has nothing in common.
	out, err := c.git(ctx, "rev-list", "--count", c.Commit)
	if err != nil {
		return nil, err
	}
	limit, err := strconv.Atoi(out)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.branch == base {
			limit = min(limit, f.behind)
		}
	}
	var ancestors []scope.Ancestor
	for _, f := range all {
		descendant := f.behind == 0 && f.ahead > 0
		switch {
		case f.branch == base:
			ancestors = append(ancestors, scope.Ancestor{Branch: f.branch, Distance: f.behind})
		case f.behind < limit && !descendant && f.branch != c.Branch:
			ancestors = append(ancestors, scope.Ancestor{Branch: f.branch, Distance: f.behind})
		}
	}
	slices.SortFunc(ancestors, func(a, b scope.Ancestor) int {
		return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.Branch, b.Branch))
	})
	return ancestors, nil
}
