package ci_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larder-build/larder/scope"
	"github.com/larder-build/larder/scope/ci"
)

// recorded returns the environment in testdata that has the given name.
func recorded(t *testing.T, name string) ci.Environment {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".env"))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		vars[key] = value
	}
	return ci.Environment{
		Getenv:   func(name string) string { return vars[name] },
		ReadFile: func(name string) ([]byte, error) { return os.ReadFile(filepath.Join("testdata", name)) },
	}
}

// describe writes what is built as "kind ref #number repo:head>base default fork".
func describe(in scope.Input) string {
	words := []string{string(in.Kind)}
	if in.Ref != "" {
		words = append(words, in.Ref)
	}
	if in.Number != "" {
		words = append(words, "#"+in.Number)
	}
	if in.Head+in.HeadRepo+in.Base != "" {
		from := in.Head
		if in.HeadRepo != "" {
			from = in.HeadRepo + ":" + from
		}
		words = append(words, from+">"+in.Base)
	}
	if in.Default != "" {
		words = append(words, "default="+in.Default)
	}
	if in.Fork {
		words = append(words, "fork")
	}
	return strings.Join(words, " ")
}

func short(entries []scope.Entry) string {
	var all []string
	for _, e := range entries {
		text := e.Name + " " + string(e.Reason)
		if e.Trust != scope.Trusted {
			text += "!"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// planTest is a recorded build with what it is and what it gets. Entries of
// outsiders have a "!".
type planTest struct{ recording, input, write, read string }

func defaults() []planTest {
	return []planTest{
		{"github-push-main", "branch main default=main", "main own", "main own"},
		{"github-push-branch", "branch feature/a default=main", "feature__a own", "feature__a own, main default"},
		{"github-push-no-event", "branch feature/a", "feature__a own", "feature__a own, main default"},
		{"github-push-tag", "tag v1.2.3 default=main", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"github-pull-request", "pull-request #12 acme/app:feature/a>develop default=main", "pr--12 own", "pr--12 own, develop base, main default"},
		{"github-pull-request-fork", "pull-request #13 eve/app:main>main default=main fork", "pr--13 own!", "pr--13 own!, main default"},
		{"github-pull-request-deleted-fork", "pull-request #14 patch-1>main default=main fork", "pr--14 own!", "pr--14 own!, main default"},
		{"github-pull-request-no-event", "pull-request #15 patch-1>main fork", "pr--15 own!", "pr--15 own!, main default"},
		{"github-pull-request-target-fork", "pull-request #16 eve/app:patch-1>main default=main fork", "pr--16 own!", "pr--16 own!, main default"},
		{"github-pull-request-review", "pull-request #17 acme/app:feature/a>main default=main", "pr--17 own", "pr--17 own, main default"},
		{"github-schedule", "schedule main default=main", "main own", "main own"},
		{"github-dispatch", "branch release/1.2 default=main", "release__1.2 own", "release__1.2 own, main default"},
		{"github-merge-group", "branch gh-readonly-queue/main/pr-12-abc >main default=main", "gh-readonly-queue__main__pr-12-abc own", "gh-readonly-queue__main__pr-12-abc own, main default"},
		{"github-release", "tag v1.2.3 >release/1.2 default=main", "tag--v1.2.3 own", "tag--v1.2.3 own, release__1.2 base, main default"},
		{"github-release-of-commit", "tag v1.2.3 default=main", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"github-issue-comment", "branch main default=main fork", "", "main default"},
		{"github-workflow-run", "branch main default=main", "main own", "main own"},
		{"github-workflow-run-fork", "branch main default=main fork", "", "main default"},

		{"gitlab-branch", "branch feature/a default=main", "feature__a own", "feature__a own, main default"},
		{"gitlab-main", "branch main default=main", "main own", "main own"},
		{"gitlab-tag", "tag v1.2.3 default=main", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"gitlab-schedule", "schedule main default=main", "main own", "main own"},
		{"gitlab-merge-request", "pull-request #12 acme/app:feature/a>develop default=main", "pr--12 own", "pr--12 own, develop base, main default"},
		{"gitlab-merge-request-fork", "pull-request #13 eve/app:main>main default=main fork", "pr--13 own!", "pr--13 own!, main default"},
		{"gitlab-external-pull-request", "pull-request #14 acme/app:feature/a>main default=main", "pr--14 own", "pr--14 own, main default"},
		{"gitlab-detached", "detached default=main", "", "main default"},

		{"jenkins-branch", "branch feature/a", "feature__a own", "feature__a own, main default"},
		{"jenkins-primary", "branch main default=main", "main own", "main own"},
		{"jenkins-tag", "tag v1.2.3", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"jenkins-change", "pull-request #12 feature/a>develop", "pr--12 own", "pr--12 own, develop base, main default"},
		{"jenkins-change-fork", "pull-request #13 eve:main>main fork", "pr--13 own!", "pr--13 own!, main default"},
		{"jenkins-freestyle", "branch feature/a", "feature__a own", "feature__a own, main default"},
		{"jenkins-detached", "detached", "", "main default"},

		{"circleci-branch", "branch feature/a", "feature__a own", "feature__a own, main default"},
		{"circleci-branch-with-pull-request", "branch feature/a", "feature__a own", "feature__a own, main default"},
		{"circleci-tag", "tag v1.2.3", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"circleci-fork", "pull-request #13 eve/app:pull/13> fork", "pr--13 own!", "pr--13 own!, main default"},
		{"circleci-fork-by-branch", "pull-request #14 pull/14> fork", "pr--14 own!", "pr--14 own!, main default"},

		{"buildkite-branch", "branch feature/a default=main", "feature__a own", "feature__a own, main default"},
		{"buildkite-main-by-hand", "branch main default=main", "main own", "main own"},
		{"buildkite-tag", "tag v1.2.3 default=main", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"buildkite-schedule", "schedule main default=main", "main own", "main own"},
		{"buildkite-pull-request", "pull-request #12 github.com/acme/app:feature/a>develop default=main", "pr--12 own", "pr--12 own, develop base, main default"},
		{"buildkite-pull-request-fork", "pull-request #13 github.com/eve/app:eve:main>main default=main fork", "pr--13 own!", "pr--13 own!, main default"},
		{"buildkite-merge-queue", "branch gh-readonly-queue/main/pr-12-abc >main default=main", "gh-readonly-queue__main__pr-12-abc own", "gh-readonly-queue__main__pr-12-abc own, main default"},

		{"azure-branch", "branch feature/a", "feature__a own", "feature__a own, main default"},
		{"azure-tag", "tag v1.2.3", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"azure-schedule", "schedule main", "main own", "main own"},
		{"azure-pull-request", "pull-request #12 github.com/acme/app:feature/a>develop", "pr--12 own", "pr--12 own, develop base, main default"},
		{"azure-repos-pull-request", "pull-request #17 github.com/acme/app:feature/a>main", "pr--17 own", "pr--17 own, main default"},
		{"azure-pull-request-fork", "pull-request #13 github.com/eve/app:main>main fork", "pr--13 own!", "pr--13 own!, main default"},
		{"azure-pull-request-unclear", "pull-request #12 github.com/acme/app:feature/a>develop fork", "pr--12 own!", "pr--12 own!, develop base, main default"},

		{"bitbucket-branch", "branch feature/a", "feature__a own", "feature__a own, main default"},
		{"bitbucket-tag", "tag v1.2.3", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"bitbucket-pull-request", "pull-request #12 feature/a>develop", "pr--12 own", "pr--12 own, develop base, main default"},

		{"woodpecker-branch", "branch feature/a default=main", "feature__a own", "feature__a own, main default"},
		{"woodpecker-tag", "tag v1.2.3 default=main", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"woodpecker-cron", "schedule main default=main", "main own", "main own"},
		{"woodpecker-pull-request", "pull-request #12 feature/a>develop default=main fork", "pr--12 own!", "pr--12 own!, develop base, main default"},

		{"travis-branch", "branch feature/a", "feature__a own", "feature__a own, main default"},
		{"travis-tag", "tag v1.2.3", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"travis-cron", "schedule main", "main own", "main own"},
		{"travis-pull-request", "pull-request #12 acme/app:feature/a>develop", "pr--12 own", "pr--12 own, develop base, main default"},
		{"travis-pull-request-fork", "pull-request #13 eve/app:main>main fork", "pr--13 own!", "pr--13 own!, main default"},

		{"teamcity-branch", "branch feature/a", "feature__a own", "feature__a own, main default"},
		{"teamcity-default", "branch main default=main", "main own", "main own"},
		{"teamcity-umlaut", "branch größe", "gr_.c3b6c39f_e own", "gr_.c3b6c39f_e own, main default"},
		{"teamcity-tag", "tag v1.2.3", "tag--v1.2.3 own", "tag--v1.2.3 own, main default"},
		{"teamcity-pull-request", "pull-request #12 feature/a>develop fork", "pr--12 own!", "pr--12 own!, develop base, main default"},
		{"teamcity-no-properties", "detached", "", "main default"},
	}
}

// byRule are the plans of some of the builds under rules other than the
// defaults.
func byRule() map[string][]planTest {
	return map[string][]planTest{
		"forks write nothing": {
			{"github-pull-request-fork", "", "", "main default"},
			{"gitlab-merge-request-fork", "", "", "main default"},
			{"azure-pull-request-unclear", "", "", "develop base, main default"},
			{"circleci-fork", "", "", "main default"},
			{"github-pull-request", "", "pr--12 own", "pr--12 own, develop base, main default"},
			{"jenkins-change", "", "pr--12 own", "pr--12 own, develop base, main default"},
			{"travis-branch", "", "feature__a own", "feature__a own, main default"},
		},
		"branch and commit": {
			{"github-push-branch", "", "feature__a own, " + commit, "feature__a own, " + commit + ", main default"},
			{"buildkite-pull-request", "", "pr--12 own, " + commit, "pr--12 own, " + commit + ", develop base, main default"},
			{"github-pull-request-fork", "", "pr--13 own!", "pr--13 own!, main default"},
			{"gitlab-detached", "", commit, commit + ", main default"},
			{"woodpecker-cron", "", "main own, " + commit, "main own, " + commit},
			{"teamcity-no-properties", "", commit, commit + ", main default"},
		},
		"main and releases are for reading, tags for nothing, schedules for writing": {
			{"github-push-main", "", "", "main own"},
			{"github-dispatch", "", "", "release__1.2 own, main default"},
			{"github-pull-request-review", "", "", "pr--17 own, main default"},
			{"gitlab-branch", "", "feature__a own", "feature__a own, main default"},
			{"bitbucket-tag", "", "", ""},
			{"travis-cron", "", "main own", ""},
			{"jenkins-primary", "", "", "main own"},
		},
		"the head of pull requests, and develop": {
			{"github-pull-request", "", "pr--12 own", "pr--12 own, feature__a head, develop base, main default"},
			{"github-pull-request-fork", "", "pr--13 own!", "pr--13 own!, main default"},
			{"bitbucket-pull-request", "", "pr--12 own", "pr--12 own, feature__a head, develop base, main default"},
			{"circleci-branch", "", "feature__a own", "feature__a own, develop rule, main default"},
			{"azure-tag", "", "tag--v1.2.3 own", "tag--v1.2.3 own, develop rule, main default"},
		},
	}
}

const commit = "commit--6f1c0a2b3d4e5f60718293a4b5c6d7e8f9012345 commit"

func rulesOf(t *testing.T, name string) scope.Rules {
	t.Helper()
	switch name {
	case "forks write nothing":
		return scope.Rules{Untrusted: scope.UntrustedNone}
	case "branch and commit":
		return scope.Rules{Policy: scope.Policy{Write: []scope.WriteScope{scope.WriteOwn, scope.WriteCommit}}}
	case "main and releases are for reading, tags for nothing, schedules for writing":
		return scope.Rules{Overrides: []scope.Override{
			{Kinds: []scope.Kind{scope.Schedule}, Policy: scope.Policy{Mode: scope.WriteOnly}},
			{Kinds: []scope.Kind{scope.Tag}, Policy: scope.Policy{Mode: scope.Off}},
			{Refs: []string{"main", "release/*"}, Policy: scope.Policy{Mode: scope.ReadOnly}},
		}}
	case "the head of pull requests, and develop":
		return scope.Rules{Policy: scope.Policy{ReadHead: true, Sources: []scope.Source{{Branch: "develop"}}}}
	}
	t.Fatalf("no rules %q", name)
	return scope.Rules{}
}

// TestPlans takes every recorded build to its plan.
func TestPlans(t *testing.T) {
	n := 0
	check := func(name string, rules scope.Rules, tests []planTest) {
		for _, tt := range tests {
			n++
			t.Run(name+"/"+tt.recording, func(t *testing.T) { checkPlan(t, rules, tt) })
		}
	}
	check("defaults", scope.Rules{}, defaults())
	for name, tests := range byRule() {
		check(name, rulesOf(t, name), tests)
	}
	if n < 80 {
		t.Errorf("%d cases, want at least 80", n)
	}
}

func checkPlan(t *testing.T, rules scope.Rules, tt planTest) {
	t.Helper()
	b, err := ci.Detect(recorded(t, tt.recording))
	if err != nil {
		t.Fatalf("Detect() = %v", err)
	}
	if got := describe(b.Input); tt.input != "" && got != tt.input {
		t.Errorf("Input = %q, want %q", got, tt.input)
	}
	plan, err := scope.Resolve(b.Input.Or(scope.Input{Default: "main"}), rules)
	if err != nil {
		t.Fatalf("Resolve() = %v", err)
	}
	if got := short(plan.Write); got != tt.write {
		t.Errorf("Write = %q, want %q", got, tt.write)
	}
	if got := short(plan.Read); got != tt.read {
		t.Errorf("Read = %q, want %q", got, tt.read)
	}
}

// TestEveryRecordingHasAPlan keeps the table and testdata together.
func TestEveryRecordingHasAPlan(t *testing.T) {
	files, err := filepath.Glob("testdata/*.env")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob() = %v, %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".env")
		if !slices.ContainsFunc(defaults(), func(tt planTest) bool { return tt.recording == name }) {
			t.Errorf("%s is in no case", file)
		}
	}
}

// TestDetectSystem requires of each recording the service that it is of, and
// the commit.
func TestDetectSystem(t *testing.T) {
	systems := map[string]string{
		"github": "GitHub Actions", "gitlab": "GitLab CI", "jenkins": "Jenkins", "circleci": "CircleCI", "buildkite": "Buildkite",
		"azure": "Azure Pipelines", "bitbucket": "Bitbucket Pipelines", "woodpecker": "Woodpecker", "travis": "Travis CI", "teamcity": "TeamCity",
	}
	for _, tt := range defaults() {
		b, err := ci.Detect(recorded(t, tt.recording))
		prefix, _, _ := strings.Cut(tt.recording, "-")
		if err != nil || b.System != systems[prefix] {
			t.Errorf("Detect(%s) = %q, %v, want %q", tt.recording, b.System, err, systems[prefix])
		}
		if want := "6f1c0a2b3d4e5f60718293a4b5c6d7e8f9012345"; b.Input.Commit != want && tt.recording != "buildkite-main-by-hand" {
			t.Errorf("Detect(%s) has the commit %q, want %q", tt.recording, b.Input.Commit, want)
		}
	}
}

func ExampleDetect() {
	vars := map[string]string{"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "feature/a", "CI_DEFAULT_BRANCH": "main"}
	b, err := ci.Detect(ci.Environment{Getenv: func(name string) string { return vars[name] }})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.System, b.Input.Kind, b.Input.Ref, b.Input.Default)
	// Output: GitLab CI branch feature/a main
}
