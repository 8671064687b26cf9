package ci

import (
	"net/url"
	"strings"

	"github.com/larder-build/larder/scope"
)

// buildkite reads the variables of buildkite.com/docs/pipelines/configure/environment-variables.
func buildkite(env Environment, b *Build) error {
	in := &b.Input
	in.Default = env.Getenv("BUILDKITE_PIPELINE_DEFAULT_BRANCH")
	// A build that was started by hand may say HEAD until it is checked out.
	if commit := env.Getenv("BUILDKITE_COMMIT"); commit != "HEAD" {
		in.Commit = commit
	}
	branch := env.Getenv("BUILDKITE_BRANCH")
	if number := env.Getenv("BUILDKITE_PULL_REQUEST"); number != "" && number != "false" {
		in.Kind, in.Number, in.Head = scope.PullRequest, number, branch
		in.Base = env.Getenv("BUILDKITE_PULL_REQUEST_BASE_BRANCH")
		in.HeadRepo = repositoryOf(env.Getenv("BUILDKITE_PULL_REQUEST_REPO"))
		in.Fork = in.HeadRepo == "" || in.HeadRepo != repositoryOf(env.Getenv("BUILDKITE_REPO"))
		return nil
	}
	b.branchOrTag(branch, env.Getenv("BUILDKITE_TAG"))
	b.schedule(env.Getenv("BUILDKITE_SOURCE") == "schedule")
	in.Base = env.Getenv("BUILDKITE_MERGE_QUEUE_BASE_BRANCH")
	return nil
}

// repositoryOf returns host and path of a repository's URL, which is the same
// for all ways to fetch it: git@host:path, ssh://git@host/path, https://host/path.
func repositoryOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		_, rest, _ := strings.Cut(text, "@")
		host, path, ok := strings.Cut(rest, ":")
		if !ok {
			return ""
		}
		u = &url.URL{Host: host, Path: "/" + strings.TrimPrefix(path, "/")}
	}
	return strings.ToLower(u.Hostname() + strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), ".git"))
}
