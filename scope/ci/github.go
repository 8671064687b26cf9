package ci

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/larder-build/larder/scope"
)

// event is what is used of the payload of GitHub's events
// (docs.github.com/webhooks/webhook-events-and-payloads). Of a pull request
// whose fork has been deleted, the head's repository is null.
type event struct {
	Repository  *repository `json:"repository"`
	Number      json.Number `json:"number"`
	PullRequest *struct {
		Number json.Number `json:"number"`
		Head   githubRef   `json:"head"`
		Base   githubRef   `json:"base"`
	} `json:"pull_request"`
	MergeGroup struct {
		BaseRef string `json:"base_ref"`
	} `json:"merge_group"`
	WorkflowRun struct {
		HeadRepository *repository `json:"head_repository"`
	} `json:"workflow_run"`
	Release struct {
		Target string `json:"target_commitish"`
	} `json:"release"`
}

type repository struct {
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
}

type githubRef struct {
	Ref  string      `json:"ref"`
	Repo *repository `json:"repo"`
}

// insiders are the events that only those can cause who may write to the
// repository, or that run on what those have accepted
// (docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows).
// Since 2026 GitHub gives the jobs of others a cache for reading only.
func insiders() []string {
	return []string{
		"push", "schedule", "workflow_dispatch", "repository_dispatch", "merge_group", "release",
		"create", "delete", "deployment", "registry_package", "page_build", "workflow_run",
	}
}

// github reads the variables of docs.github.com/actions/reference/variables-reference.
func github(env Environment, b *Build) error {
	b.Input.Commit = env.Getenv("GITHUB_SHA")
	e, err := readEvent(env, b)
	if err != nil {
		return err
	}
	if e.Repository != nil {
		b.Input.Default = e.Repository.DefaultBranch
	}
	name := env.Getenv("GITHUB_EVENT_NAME")
	if e.PullRequest != nil || strings.HasPrefix(name, "pull_request") {
		githubPullRequest(env, e, b)
		return nil
	}
	b.ref(env.Getenv("GITHUB_REF"))
	b.schedule(name == "schedule")
	switch {
	case !slices.Contains(insiders(), name):
		b.assumeFork(fmt.Sprintf("anybody may cause the event %q", name))
	case name == "workflow_run" && !e.sameRepository(e.WorkflowRun.HeadRepository):
		b.assumeFork("the workflow run that caused this one is not known to be of this repository")
	}
	b.Input.Base = short(e.MergeGroup.BaseRef)
	if target := e.Release.Target; b.Input.Kind == scope.Tag && !commitLike.MatchString(target) {
		b.Input.Base = short(target)
	}
	return nil
}

// commitLike matches the hash of a commit.
var commitLike = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// readEvent reads the payload of the event.
func readEvent(env Environment, b *Build) (event, error) {
	var e event
	path := env.Getenv("GITHUB_EVENT_PATH")
	if path == "" || env.ReadFile == nil {
		b.note("there is no event file, which would tell the default branch and whether a pull request is a fork's (GITHUB_EVENT_PATH)")
		return e, nil
	}
	data, err := env.ReadFile(path)
	if err != nil {
		return e, fmt.Errorf("event file: %w", err)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("event file %s: %w", path, err)
	}
	return e, nil
}

// sameRepository reports whether a repository is known to be that of the event.
func (e event) sameRepository(r *repository) bool {
	return r != nil && e.Repository != nil && r.FullName != "" && strings.EqualFold(r.FullName, e.Repository.FullName)
}

// pullRef matches the ref of a pull request.
var pullRef = regexp.MustCompile(`^refs/pull/(\d+)/`)

// githubPullRequest reads a pull request from the event or, without one, from
// the variables, which do not tell whether it is a fork's.
func githubPullRequest(env Environment, e event, b *Build) {
	in := &b.Input
	in.Kind = scope.PullRequest
	in.Head, in.Base = env.Getenv("GITHUB_HEAD_REF"), env.Getenv("GITHUB_BASE_REF")
	if m := pullRef.FindStringSubmatch(env.Getenv("GITHUB_REF")); m != nil {
		in.Number = m[1]
	}
	pr := e.PullRequest
	if pr == nil {
		b.assumeFork("there is no event file to say where the pull request comes from")
		return
	}
	in.Number, in.Head, in.Base = pr.Number.String(), pr.Head.Ref, pr.Base.Ref
	if pr.Head.Repo != nil {
		in.HeadRepo = pr.Head.Repo.FullName
	}
	in.Fork = !e.sameRepository(pr.Head.Repo)
}
