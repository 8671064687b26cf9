package ci

import "github.com/larder-build/larder/scope"

// bitbucket reads the variables of
// support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets. Pipelines
// for pull requests run for those from the same repository only.
func bitbucket(env Environment, b *Build) error {
	in := &b.Input
	in.Commit = env.Getenv("BITBUCKET_COMMIT")
	if id := env.Getenv("BITBUCKET_PR_ID"); id != "" {
		in.Kind, in.Number = scope.PullRequest, id
		in.Head, in.Base = env.Getenv("BITBUCKET_BRANCH"), env.Getenv("BITBUCKET_PR_DESTINATION_BRANCH")
		return nil
	}
	b.branchOrTag(env.Getenv("BITBUCKET_BRANCH"), env.Getenv("BITBUCKET_TAG"))
	return nil
}
