package ci

import (
	"strings"

	"github.com/larder-build/larder/scope"
)

// woodpecker reads the variables of woodpecker-ci.org/docs/usage/environment.
func woodpecker(env Environment, b *Build) error {
	in := &b.Input
	in.Commit, in.Default = env.Getenv("CI_COMMIT_SHA"), env.Getenv("CI_REPO_DEFAULT_BRANCH")
	event := env.Getenv("CI_PIPELINE_EVENT")
	if strings.HasPrefix(event, "pull_request") {
		in.Kind, in.Number = scope.PullRequest, env.Getenv("CI_COMMIT_PULL_REQUEST")
		in.Head, in.Base = env.Getenv("CI_COMMIT_SOURCE_BRANCH"), env.Getenv("CI_COMMIT_TARGET_BRANCH")
		b.assumeFork("Woodpecker does not say where a pull request comes from")
		return nil
	}
	b.branchOrTag(env.Getenv("CI_COMMIT_BRANCH"), env.Getenv("CI_COMMIT_TAG"))
	b.schedule(event == "cron")
	return nil
}
