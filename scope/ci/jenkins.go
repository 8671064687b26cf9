package ci

import (
	"strings"

	"github.com/larder-build/larder/scope"
)

// jenkins reads the variables that a controller documents at /env-vars.html,
// those of multibranch projects, and else those of the Git plugin
// (plugins.jenkins.io/git).
func jenkins(env Environment, b *Build) error {
	in := &b.Input
	in.Commit = env.Getenv("GIT_COMMIT")
	if id := env.Getenv("CHANGE_ID"); id != "" {
		in.Kind, in.Number = scope.PullRequest, id
		in.Head, in.Base = env.Getenv("CHANGE_BRANCH"), env.Getenv("CHANGE_TARGET")
		in.HeadRepo = env.Getenv("CHANGE_FORK")
		in.Fork = in.HeadRepo != "" // set only for forks
		return nil
	}
	branch := env.first("BRANCH_NAME", "GIT_LOCAL_BRANCH")
	if branch == "" {
		branch = strings.TrimPrefix(env.Getenv("GIT_BRANCH"), "origin/")
	}
	if branch == "detached" {
		branch = ""
	}
	b.branchOrTag(branch, env.Getenv("TAG_NAME"))
	if in.Kind == scope.Branch && env.Getenv("BRANCH_IS_PRIMARY") == "true" {
		in.Default = branch
	}
	return nil
}
