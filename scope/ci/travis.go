package ci

import "github.com/larder-build/larder/scope"

// travis reads the variables of
// docs.travis-ci.com/user/environment-variables. TRAVIS_BRANCH is the branch that
// a pull request goes into, and of a tag the tag's name.
func travis(env Environment, b *Build) error {
	in := &b.Input
	in.Commit = env.Getenv("TRAVIS_COMMIT")
	branch := env.Getenv("TRAVIS_BRANCH")
	if number := env.Getenv("TRAVIS_PULL_REQUEST"); number != "" && number != "false" {
		in.Kind, in.Number, in.Base = scope.PullRequest, number, branch
		in.Head = env.Getenv("TRAVIS_PULL_REQUEST_BRANCH")
		in.HeadRepo = env.Getenv("TRAVIS_PULL_REQUEST_SLUG")
		in.Fork = in.HeadRepo == "" || in.HeadRepo != env.Getenv("TRAVIS_REPO_SLUG")
		return nil
	}
	b.branchOrTag(branch, env.Getenv("TRAVIS_TAG"))
	b.schedule(env.Getenv("TRAVIS_EVENT_TYPE") == "cron")
	return nil
}
