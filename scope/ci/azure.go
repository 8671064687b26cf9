package ci

import (
	"strings"

	"github.com/larder-build/larder/scope"
)

// azure reads the variables of learn.microsoft.com/azure/devops/pipelines/build/variables.
// Branches of pull requests are full or short names, depending on where the
// repository is.
func azure(env Environment, b *Build) error {
	in := &b.Input
	in.Commit = env.Getenv("BUILD_SOURCEVERSION")
	if env.Getenv("BUILD_REASON") != "PullRequest" {
		b.ref(env.Getenv("BUILD_SOURCEBRANCH"))
		b.schedule(env.Getenv("BUILD_REASON") == "Schedule")
		return nil
	}
	in.Kind = scope.PullRequest
	// GitHub's pull requests have an id beside their number.
	in.Number = env.first("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER", "SYSTEM_PULLREQUEST_PULLREQUESTID")
	in.Head, in.Base = short(env.Getenv("SYSTEM_PULLREQUEST_SOURCEBRANCH")), short(env.Getenv("SYSTEM_PULLREQUEST_TARGETBRANCH"))
	in.HeadRepo = repositoryOf(env.Getenv("SYSTEM_PULLREQUEST_SOURCEREPOSITORYURI"))
	switch fork := env.Getenv("SYSTEM_PULLREQUEST_ISFORK"); {
	case strings.EqualFold(fork, "true"):
		in.Fork = true
	case !strings.EqualFold(fork, "false"):
		b.assumeFork("SYSTEM_PULLREQUEST_ISFORK does not say that it is none")
	}
	return nil
}
