package ci

import (
	"strings"

	"github.com/larder-build/larder/scope"
)

// circleCI reads the variables of circleci.com/docs/reference/variables. The
// service builds branches, also for the pull requests from them; only those of
// forks, of which it gives the number, are builds of their own. It does not say
// where they go.
func circleCI(env Environment, b *Build) error {
	in := &b.Input
	in.Commit = env.Getenv("CIRCLE_SHA1")
	branch := env.Getenv("CIRCLE_BRANCH")
	number := env.Getenv("CIRCLE_PR_NUMBER")
	if pull, ok := strings.CutPrefix(branch, "pull/"); ok && number == "" {
		number = pull
	}
	if number == "" {
		b.branchOrTag(branch, env.Getenv("CIRCLE_TAG"))
		return nil
	}
	in.Kind, in.Number, in.Head, in.Fork = scope.PullRequest, number, branch, true
	if user := env.Getenv("CIRCLE_PR_USERNAME"); user != "" {
		in.HeadRepo = user + "/" + env.Getenv("CIRCLE_PR_REPONAME")
	}
	return nil
}
