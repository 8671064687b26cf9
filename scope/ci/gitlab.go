package ci

import "github.com/larder-build/larder/scope"

// gitlab reads the variables of docs.gitlab.com/ci/variables/predefined_variables.
func gitlab(env Environment, b *Build) error {
	in := &b.Input
	in.Commit, in.Default = env.Getenv("CI_COMMIT_SHA"), env.Getenv("CI_DEFAULT_BRANCH")
	switch {
	case env.Getenv("CI_MERGE_REQUEST_IID") != "":
		in.Kind = scope.PullRequest
		in.Number = env.Getenv("CI_MERGE_REQUEST_IID")
		in.Head = env.Getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
		in.Base = env.Getenv("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
		in.HeadRepo = env.Getenv("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH")
		in.Fork = in.HeadRepo == "" || in.HeadRepo != env.Getenv("CI_MERGE_REQUEST_PROJECT_PATH")
	case env.Getenv("CI_EXTERNAL_PULL_REQUEST_IID") != "":
		in.Kind = scope.PullRequest
		in.Number = env.Getenv("CI_EXTERNAL_PULL_REQUEST_IID")
		in.Head = env.Getenv("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME")
		in.Base = env.Getenv("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME")
		in.HeadRepo = env.Getenv("CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY")
		in.Fork = in.HeadRepo == "" || in.HeadRepo != env.Getenv("CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY")
	default:
		b.branchOrTag(env.Getenv("CI_COMMIT_BRANCH"), env.Getenv("CI_COMMIT_TAG"))
		b.schedule(env.Getenv("CI_PIPELINE_SOURCE") == "schedule")
	}
	return nil
}
