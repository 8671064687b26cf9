package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/scope"
	"github.com/larder-build/larder/scope/rules"
)

// onGitHub is a pull request into develop, as GitHub says it.
func onGitHub(t *testing.T, headRepo string) shell {
	t.Helper()
	event := filepath.Join(t.TempDir(), "event.json")
	text := `{"pull_request": {"number": 12, "head": {"ref": "topic", "repo": {"full_name": "` + headRepo + `"}}, "base": {"ref": "develop"}},
		"repository": {"full_name": "acme/app", "default_branch": "main"}}`
	if err := os.WriteFile(event, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return shell{env: map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": event, "GITHUB_REPOSITORY": "acme/app",
	}}
}

// emptyDir makes a directory that is no checkout the current one.
func emptyDir(t *testing.T) {
	t.Helper()
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	t.Chdir(t.TempDir())
}

func TestScopeFormats(t *testing.T) {
	emptyDir(t)
	s := onGitHub(t, "acme/app")
	bases := []string{"--base", "registry.example.com/app", "--base", "type=local,dest=/var/cache,mode=max"}
	const from = "type=registry,ref=registry.example.com/app:"
	tests := []struct{ name, want string }{
		{"text", `       SCOPE            REASON   TRUST    LOCATION
write  pull request 12  own      trusted  type=registry,ref=registry.example.com/app:pr--12
write  pull request 12  own      trusted  type=local,dest=/var/cache,tag=pr--12,mode=max
read   pull request 12  own      trusted  type=registry,ref=registry.example.com/app:pr--12
read   pull request 12  own      trusted  type=local,dest=/var/cache,tag=pr--12,mode=max
read   branch develop   base     trusted  type=registry,ref=registry.example.com/app:develop
read   branch develop   base     trusted  type=local,dest=/var/cache,tag=develop,mode=max
read   branch main      default  trusted  type=registry,ref=registry.example.com/app:main
read   branch main      default  trusted  type=local,dest=/var/cache,tag=main,mode=max
`},
		{"buildx", "--cache-to=" + from + `pr--12
--cache-to=type=local,dest=/var/cache,tag=pr--12,mode=max
--cache-from=type=local,src=/var/cache,tag=main
--cache-from=` + from + `main
--cache-from=type=local,src=/var/cache,tag=develop
--cache-from=` + from + `develop
--cache-from=type=local,src=/var/cache,tag=pr--12
--cache-from=` + from + `pr--12
`},
		{"bake", `{
  "target": {
    "default": {
      "cache-to": [
        "` + from + `pr--12",
        "type=local,dest=/var/cache,tag=pr--12,mode=max"
      ],
      "cache-from": [
        "type=local,src=/var/cache,tag=main",
        "` + from + `main",
        "type=local,src=/var/cache,tag=develop",
        "` + from + `develop",
        "type=local,src=/var/cache,tag=pr--12",
        "` + from + `pr--12"
      ]
    }
  }
}
`},
		{"env", "LARDER_CACHE_TO='" + from + `pr--12
type=local,dest=/var/cache,tag=pr--12,mode=max'
LARDER_CACHE_FROM='type=local,src=/var/cache,tag=main
` + from + `main
type=local,src=/var/cache,tag=develop
` + from + `develop
type=local,src=/var/cache,tag=pr--12
` + from + `pr--12'
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := s.run(t.Context(), append([]string{"scope", "--format", tt.name}, bases...)...)
			if got.status != statusDone || got.err != "" {
				t.Errorf("status %d, %s", got.status, got.err)
			}
			if diff := cmp.Diff(tt.want, got.out); diff != "" {
				t.Errorf("output differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScopeJSON(t *testing.T) {
	emptyDir(t)
	s := onGitHub(t, "eve/app")
	for _, args := range [][]string{{"--json"}, {"--format", "json"}} {
		got := s.run(t.Context(), append([]string{"scope", "--base", "./cache"}, args...)...)
		doc := decode[planned](t, got.out)
		own := &scope.Scope{Kind: scope.PullRequest, Ref: "12"}
		want := planned{
			Schema: larder.Schema, System: "GitHub Actions", Trust: scope.Untrusted,
			Input: scope.Input{
				Kind: scope.PullRequest, Number: "12", Head: "topic", HeadRepo: "eve/app", Base: "develop", Default: "main", Fork: true,
			},
			Write: []plannedEntry{{"type=local,src=./cache,tag=pr--12", "pr--12", scope.ReasonOwn, scope.Untrusted, own}},
			Read: []plannedEntry{
				{"type=local,src=./cache,tag=pr--12", "pr--12", scope.ReasonOwn, scope.Untrusted, own},
				{"type=local,src=./cache,tag=develop", "develop", scope.ReasonBase, scope.Trusted, &scope.Scope{Kind: scope.Branch, Ref: "develop"}},
				{"type=local,src=./cache,tag=main", "main", scope.ReasonDefault, scope.Trusted, &scope.Scope{Kind: scope.Branch, Ref: "main"}},
			},
		}
		if diff := cmp.Diff(want, doc); diff != "" || got.status != statusDone {
			t.Errorf("larder scope %q: status %d, differs (-want +got):\n%s", args, got.status, diff)
		}
	}
}

// TestScopeFlags shows that what is stated comes first, and what a fork stays.
func TestScopeFlags(t *testing.T) {
	emptyDir(t)
	if err := os.WriteFile("rules.yaml", []byte("untrusted: none\noverrides: [{refs: [frozen], mode: read-only}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, repo  string
		args        []string
		write, read string
	}{
		{"nothing stated", "acme/app", nil, "pr--12", "pr--12 develop main"},
		{"branch", "acme/app", []string{"--scope", "Feature/a"}, "_feature__a", "_feature__a main"},
		{"tag", "acme/app", []string{"--scope", "tag:v1"}, "tag--v1", "tag--v1 main"},
		{"pull request", "acme/app", []string{"--scope", "pr:7"}, "pr--7", "pr--7 main"},
		{"default branch", "acme/app", []string{"--default-branch", "trunk"}, "pr--12", "pr--12 develop trunk"},
		{"target and platform", "acme/app", []string{"--target", "t", "--platform", "linux/arm64"}, "pr--12--t--linux__arm64", "pr--12--t--linux__arm64 develop--t--linux__arm64 main--t--linux__arm64"},
		{"rules", "acme/app", []string{"--scope", "frozen", "--rules", "rules.yaml"}, "", "frozen main"},
		{"fork", "eve/app", nil, "pr--12", "pr--12 develop main"},
		{"fork under rules", "eve/app", []string{"--rules", "rules.yaml"}, "", "develop main"},
		{"fork that names a branch", "eve/app", []string{"--scope", "main"}, "", "main"},
		{"fork that is trusted", "eve/app", []string{"--scope", "main", "--fork=false"}, "main", "main"},
		{"stated fork", "acme/app", []string{"--fork", "--rules", "rules.yaml"}, "", "develop main"},
	}
	names := func(all []plannedEntry) string {
		var words []string
		for _, e := range all {
			words = append(words, e.Name)
		}
		return strings.Join(words, " ")
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := onGitHub(t, tt.repo).run(t.Context(), append([]string{"scope", "--json"}, tt.args...)...)
			doc := decode[planned](t, got.out)
			if names(doc.Write) != tt.write || names(doc.Read) != tt.read {
				t.Errorf("writes %q and reads %q, want %q and %q; %s", names(doc.Write), names(doc.Read), tt.write, tt.read, got.err)
			}
		})
	}
}

// TestScopeEvent reads GitHub's event from another file.
func TestScopeEvent(t *testing.T) {
	emptyDir(t)
	s := onGitHub(t, "acme/app")
	event := s.env["GITHUB_EVENT_PATH"]
	s.env["GITHUB_EVENT_PATH"] = "there/is/none"
	if got := s.run(t.Context(), "scope"); got.status != statusUsage || !strings.Contains(got.err, "there/is/none") {
		t.Errorf("without the event: status %d, %s", got.status, got.err)
	}
	if got := s.run(t.Context(), "scope", "--event", event); got.status != statusDone || !strings.Contains(got.out, "pull request 12") {
		t.Errorf("--event: status %d, %s%s", got.status, got.out, got.err)
	}
}

func TestScopeInvalid(t *testing.T) {
	emptyDir(t)
	for name, text := range map[string]string{"unknown.yaml": "wirte: [own]", "nothing.yaml": "overrides: [{refs: [refs/heads/main], mode: off}]"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stated := []string{"--scope", "a", "--default-branch", "main"}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown service and no checkout", nil, "name it with --scope BRANCH, and --default-branch"},
		{"no default branch", []string{"--scope", "a"}, "hint: --default-branch says it"},
		{"unknown kind", []string{"--scope", "branch:a"}, `unknown kind "branch", want a branch, pr:NUMBER or tag:NAME`},
		{"no number", []string{"--scope", "pr:", "--default-branch", "main"}, "hint: --scope pr:NUMBER says it"},
		{"not UTF-8", []string{"--scope", "caf\xe9", "--default-branch", "main"}, "which is not UTF-8"},
		{"full name", []string{"--scope", "refs/heads/a", "--default-branch", "main"}, `set "a"`},
		{"unknown format", append(stated, "--format", "xml"), "want one of text, json, buildx, bake, env"},
		{"format without a base", append(stated, "--format", "buildx"), "--format buildx needs --base LOCATION"},
		{"base with a ref", append(stated, "--base", "type=local,src=./c,tag=x"), "names a ref, in whose place each scope has its own"},
		{"unknown base", append(stated, "--base", "type=tape"), "--base: "},
		{"no rules", append(stated, "--rules", "absent.yaml"), "--rules: open absent.yaml"},
		{"unknown key", append(stated, "--rules", "unknown.yaml"), "field wirte is unknown"},
		{"pattern that matches nothing", append(stated, "--rules", "nothing.yaml"), `want "main"`},
		{"event of no workflow", append(stated, "--event", "event.json"), "GITHUB_ACTIONS is not true"},
		{"no cache of BuildKit's", append(stated, "--base", "mem://a", "--format", "env"), "BuildKit keeps no caches of type=mem"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := execute(t, append([]string{"scope"}, tt.args...)...)
			if got.status != statusUsage || !strings.Contains(got.err, tt.want) {
				t.Errorf("status %d, %s, want %d with %q", got.status, got.err, statusUsage, tt.want)
			}
		})
	}
}

// TestScopeSecrets keeps secrets, and what BuildKit does not know, out of what is
// printed.
func TestScopeSecrets(t *testing.T) {
	emptyDir(t)
	base := "type=s3,bucket=b,region=r,access_key_id=id,secret_access_key=canary-secret,quirks=minio,mode=max"
	for _, format := range scopeFormats {
		got := execute(t, "scope", "--scope", "a", "--default-branch", "main", "--base", base, "--format", format)
		if got.status != statusDone || strings.Contains(got.out+got.err, "canary-secret") {
			t.Errorf("%s: status %d, %s%s", format, got.status, got.out, got.err)
		}
		if format == "buildx" && (strings.Contains(got.out, "quirks") || strings.Count(got.err, "secret_access_key is left out") != 1) {
			t.Errorf("buildx prints %s%s", got.out, got.err)
		}
	}
	got := execute(t, "scope", "--scope", "a", "--default-branch", "main", "--base", "local:/my cache", "--format", "buildx")
	if got.status != statusFailed || !strings.Contains(got.err, "a shell would take") {
		t.Errorf("a directory with a space: status %d, %s", got.status, got.err)
	}
}

// TestScopeInCheckout takes branch, default branch and ancestors from git.
func TestScopeInCheckout(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git command")
	}
	emptyDir(t)
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"-c", "user.name=somebody", "-c", "user.email=somebody@example.com"}, args...)
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	git("init", "--quiet", "--initial-branch=trunk", "origin")
	git("-C", "origin", "commit", "--quiet", "--allow-empty", "--message=1")
	git("-C", "origin", "checkout", "--quiet", "-b", "stack/one")
	git("-C", "origin", "commit", "--quiet", "--allow-empty", "--message=2")
	git("-C", "origin", "checkout", "--quiet", "-b", "stack/two")
	git("-C", "origin", "commit", "--quiet", "--allow-empty", "--message=3")
	git("-C", "origin", "checkout", "--quiet", "trunk")
	git("clone", "--quiet", "--branch=stack/two", "origin", "clone")
	shallow, err := filepath.Abs("origin")
	if err != nil {
		t.Fatal(err)
	}
	git("clone", "--quiet", "--depth=1", "--branch=stack/two", "file://"+filepath.ToSlash(shallow), "shallow")
	t.Chdir("clone")
	want := `       SCOPE             REASON    TRUST    LOCATION
write  branch stack/two  own       trusted  stack__two
read   branch stack/two  own       trusted  stack__two
read   branch stack/one  ancestor  trusted  stack__one
read   branch trunk      default   trusted  trunk
`
	if diff := cmp.Diff(want, mustExecute(t, "scope")); diff != "" {
		t.Errorf("output differs (-want +got):\n%s", diff)
	}
	if err := os.WriteFile("rules.yaml", []byte("overrides: [{refs: [trnuk, 'stack/*'], mode: off}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := execute(t, "scope", "--rules", "rules.yaml"); got.status != statusDone || strings.Count(got.err, "matches no branch or tag") != 1 || !strings.Contains(got.err, `"trnuk"`) {
		t.Errorf("rules with a misspelled pattern: status %d, %s", got.status, got.err)
	}
	if got := mustExecute(t, "scope", "--scope", "other"); strings.Contains(got, "stack") {
		t.Errorf("another branch has the ancestors of this one:\n%s", got)
	}
	// Nothing has a cache there.
	asked := execute(t, "scope", "--ask", "--base", "mem://store")
	if asked.status != statusDone || strings.Contains(asked.out, "stack/one") || !strings.Contains(asked.out, "name=trunk") {
		t.Errorf("--ask: status %d, %s%s", asked.status, asked.out, asked.err)
	}
	if got := mustExecute(t, "scope", "--ask", "--base", "./cache", "--format", "buildx"); got != "--cache-to=type=local,dest=./cache,tag=stack__two\n" {
		t.Errorf("--ask for BuildKit prints %q, want no --cache-from of what is not there", got)
	}
	t.Chdir("../shallow")
	got := execute(t, "scope", "--default-branch", "trunk")
	if got.status != statusDone || !strings.Contains(got.err, "the clone is shallow: fetch its history (git fetch --unshallow; fetch-depth: 0") {
		t.Errorf("shallow clone: status %d, %s", got.status, got.err)
	}
}

// TestScopesOfCommands copies, merges, inspects, promotes and explains by scope.
func TestScopesOfCommands(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	feature := []string{"--scope", "feature-login", "--default-branch", "main"}
	run := func(status int, args ...string) ran {
		t.Helper()
		got := execute(t, args...)
		if got.status != status {
			t.Fatalf("larder %q: status %d, %s", args, got.status, got.err)
		}
		return got
	}
	// What is first in the chain is copied: feature-login, and of a new branch main.
	run(0, append([]string{"copy", "--from", "./cache", "--to", "./copy"}, feature...)...)
	run(0, "diff", featureRef, "local:copy?tag=feature-login")
	run(0, "copy", "--scope", "new", "--default-branch", "main", "--from", "./cache", "--to", "./copy")
	run(0, "diff", mainRef, "local:copy?tag=new")
	run(0, "merge", "--scope", "feature-login", "--default-branch", "main", "--from", "./cache", "--to", "./merged")
	run(0, "merge", "--from", mainRef, "--from", featureRef, "--to", "local:merged?tag=both")
	run(0, "diff", "local:merged?tag=both", "local:merged?tag=feature-login")
	got := run(0, append([]string{"inspect", "--json", "./cache"}, feature...)...)
	refs := 0
	for d := json.NewDecoder(strings.NewReader(got.out)); d.More(); refs++ {
		var doc inspected
		if err := d.Decode(&doc); err != nil {
			t.Fatal(err)
		}
	}
	if refs != 2 {
		t.Errorf("inspect --scope shows %d refs, want 2", refs)
	}
	run(statusNothing, "inspect", "--scope", "a", "--default-branch", "b", "./cache")
	run(statusNothing, "copy", "--scope", "a", "--default-branch", "b", "--from", "./cache", "--to", "./x")

	run(0, "promote", "--base", "./cache", "--from", "feature-login", "--to", "main")
	run(0, "merge", "--from", "local:merged?tag=both", "--to", "local:promoted")
	run(0, "diff", "local:merged?tag=both", mainRef)
	run(0, "promote", "--from", mainRef, "--to", "local:promoted?tag=other")
	run(0, "diff", mainRef, "local:promoted?tag=other")
	run(statusNothing, "promote", "--base", "./cache", "--from", "absent", "--to", "main")
	run(statusUsage, "promote", "--base", mainRef, "--from", "a", "--to", "main")
	run(statusUsage, "promote", "--base", "./cache", "--from", "x:a", "--to", "main")
	run(statusFailed, "promote", "--base", "./cache", "--from", "main", "--to", "main")

	fork := shell{}
	forked := fork.run(t.Context(), "copy", "--scope", "main", "--default-branch", "main", "--fork", "--from", "./cache", "--to", "./cache")
	if forked.status != statusFailed || !strings.Contains(forked.err, "this build may write nothing: nothing is written: a fork's build") {
		t.Errorf("a fork's copy: status %d, %s", forked.status, forked.err)
	}
}

func TestExplainCommand(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	got := execute(t, "explain", bigLayer, "--from", mainRef)
	want := `Digest   ` + bigLayer + `
Verdict  hit

       REF            VERDICT  RECORDS  LAYERS  MISSING  CREATED  LOCATION
chain  main           hit      0        1       0        -        type=local,src=cache
other  feature-login  hit      0        1       0        -        type=local,src=cache
`
	if diff := cmp.Diff(want, got.out); diff != "" || got.status != statusDone {
		t.Errorf("status %d, output differs (-want +got):\n%s", got.status, diff)
	}
	if err := os.Remove(blobFile("cache", bigLayer)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args    []string
		status  int
		verdict larder.Verdict
	}{
		{[]string{bigLayer, "--from", mainRef}, statusFailed, larder.BlobGone},
		{[]string{bigLayer[7:15], "--from", mainRef}, statusFailed, larder.BlobGone},
		{[]string{bigLayer, "--scope", "feature-login", "--default-branch", "main", "--from", "./cache"}, statusFailed, larder.BlobGone},
		{[]string{"never", "--from", "./cache", "--chain-only"}, statusFailed, larder.NeverRecorded},
	} {
		got := execute(t, append([]string{"explain", "--json"}, tt.args...)...)
		if doc := decode[larder.Explanation](t, got.out); got.status != tt.status || doc.Verdict != tt.verdict {
			t.Errorf("explain %q: status %d, %s, want %d, %s", tt.args, got.status, doc.Verdict, tt.status, tt.verdict)
		}
	}
	for _, args := range [][]string{{"explain", "--from", mainRef}, {"explain", "x"}, {"explain", "x", "y", "--from", mainRef}} {
		if got := execute(t, args...); got.status != statusUsage {
			t.Errorf("larder %q: status %d, want %d", args, got.status, statusUsage)
		}
	}
}

// TestScopesHelp keeps the rules in the help such as are read.
func TestScopesHelp(t *testing.T) {
	_, text, _ := strings.Cut(scopesHelp, "all of it is optional:")
	if _, err := rules.Parse([]byte(text)); err != nil {
		t.Errorf("the rules in the help = %v", err)
	}
	for _, ref := range []string{"feature/a", "JIRA-123_Fix"} {
		name, err := scope.Scope{Kind: scope.Branch, Ref: ref}.Name()
		if err != nil || !strings.Contains(scopesHelp, name) {
			t.Errorf("the help does not know that %s is %s, %v", ref, name, err)
		}
	}
}

// TestLsScopes shows what names stand for, also those that end in a hash.
func TestLsScopes(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	long := "Feature/" + strings.Repeat("a-long-name/", 12)
	for _, name := range []string{"main", "Feature/a", "pr:12", "tag:v1", long} {
		execute(t, "merge", "--quiet", "--scope", name, "--default-branch", "main", "--from", "./cache", "--to", "./scoped")
	}
	var got []string
	for _, r := range decode[listing](t, mustExecute(t, "ls", "--json", "./scoped")).Refs {
		of := "-"
		if r.Scope != nil {
			of = r.Scope.String()
		}
		got = append(got, of)
	}
	if want := []string{"branch Feature/a", "branch " + long, "-", "pull request 12", "tag v1"}; !cmp.Equal(got, want) {
		t.Errorf("ls has the scopes %q, want %q", got, want)
	}
	if text := mustExecute(t, "ls", "./scoped"); !strings.Contains(text, "SCOPE") || !strings.Contains(text, "branch "+long) {
		t.Errorf("ls prints\n%s", text)
	}
	if text := mustExecute(t, "ls", "./cache"); strings.Contains(text, "SCOPE") {
		t.Errorf("ls of names that are no scopes prints\n%s", text)
	}
}
