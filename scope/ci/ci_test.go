package ci_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/scope"
	"github.com/larder-build/larder/scope/ci"
)

// variables returns an environment of variables and files.
func variables(vars, files map[string]string) ci.Environment {
	return ci.Environment{
		Getenv: func(name string) string { return vars[name] },
		ReadFile: func(name string) ([]byte, error) {
			text, ok := files[name]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return []byte(text), nil
		},
	}
}

func TestDetectUnknown(t *testing.T) {
	for name, vars := range map[string]map[string]string{
		"nothing":       nil,
		"some service":  {"CI": "true"},
		"not on GitHub": {"GITHUB_ACTIONS": "false"},
	} {
		_, err := ci.Detect(variables(vars, nil))
		if !errors.Is(err, ci.ErrUnknown) || !strings.Contains(err.Error(), "say what is built") {
			t.Errorf("Detect(%s) = %v, want ErrUnknown that says what to set", name, err)
		}
	}
}

func TestDetectBroken(t *testing.T) {
	event := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": "event.json"}
	properties := map[string]string{"TEAMCITY_VERSION": "1", "TEAMCITY_BUILD_PROPERTIES_FILE": "build.properties"}
	tests := []struct {
		name        string
		vars, files map[string]string
		want        string
	}{
		{"no event file", event, nil, "event.json"},
		{"no JSON", event, map[string]string{"event.json": "{"}, "event file event.json: unexpected end"},
		{"other JSON", event, map[string]string{"event.json": `{"pull_request": 7}`}, "event.json"},
		{"no properties", properties, nil, "build.properties"},
		{"no parameters", properties, map[string]string{"build.properties": "teamcity.configuration.properties.file=c"}, "open c"},
		{"broken properties", properties, map[string]string{"build.properties": `a=\uZZZZ`}, "build properties build.properties"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := ci.Detect(variables(tt.vars, tt.files))
			if !errors.Is(err, scope.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Detect() = %v, want ErrInvalid with %q", err, tt.want)
			}
			if diff := cmp.Diff(ci.Build{}, b); diff != "" {
				t.Errorf("Detect() has a build along with its error:\n%s", diff)
			}
		})
	}
}

// TestDetectNotes shows that what was assumed is said.
func TestDetectNotes(t *testing.T) {
	tests := []struct{ recording, want string }{
		{"github-push-no-event", "there is no event file, which would tell the default branch and whether a pull request is a fork's (GITHUB_EVENT_PATH)"},
		{"github-issue-comment", `taken for a fork's build: anybody may cause the event "issue_comment"`},
		{"woodpecker-pull-request", "taken for a fork's build: Woodpecker does not say where a pull request comes from"},
		{"teamcity-pull-request", "taken for a fork's build: TeamCity does not say where a pull request comes from"},
		{"azure-pull-request-unclear", "taken for a fork's build: SYSTEM_PULLREQUEST_ISFORK does not say that it is none"},
	}
	for _, tt := range tests {
		b, err := ci.Detect(recorded(t, tt.recording))
		if err != nil || !cmp.Equal(b.Notes, []string{tt.want}) {
			t.Errorf("Detect(%s) notes %q, %v, want %q", tt.recording, b.Notes, err, tt.want)
		}
	}
}

// TestNoFiles shows that no file is read unless the caller has a way to.
func TestNoFiles(t *testing.T) {
	for _, name := range []string{"github-pull-request", "teamcity-branch"} {
		env := recorded(t, name)
		env.ReadFile = nil
		if _, err := ci.Detect(env); err != nil {
			t.Errorf("Detect(%s) = %v, want nil", name, err)
		}
	}
}

// TestRepositorySpellings compares repositories however they are fetched.
func TestRepositorySpellings(t *testing.T) {
	for _, tt := range []struct {
		repo, pull string
		fork       bool
	}{
		{"git@github.com:acme/app.git", "https://github.com/acme/app", false},
		{"ssh://git@GitHub.com:22/acme/app.git", "git://github.com/acme/app.git/", false},
		{"https://user:secret@github.com/Acme/App", "git@github.com:acme/app", false},
		{"git@github.com:acme/app.git", "git@github.com:eve/app.git", true},
		{"git@github.com:acme/app.git", "git@example.com:acme/app.git", true},
		{"git@github.com:acme/app.git", "", true},
		{"", "", true},
		{"/srv/git/app", "/srv/git/app", true},
	} {
		b, err := ci.Detect(variables(map[string]string{
			"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST": "7", "BUILDKITE_REPO": tt.repo, "BUILDKITE_PULL_REQUEST_REPO": tt.pull,
		}, nil))
		if err != nil || b.Input.Fork != tt.fork {
			t.Errorf("a pull request from %q into %q has Fork = %t, %v, want %t", tt.pull, tt.repo, b.Input.Fork, err, tt.fork)
		}
	}
}

// FuzzEvent requires of any event that a pull request which is not known to be
// of the same repository is a fork's.
func FuzzEvent(f *testing.F) {
	for _, name := range []string{"github-pull-request", "github-pull-request-fork", "github-pull-request-deleted-fork", "github-push-main"} {
		data, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("null")
	f.Add(`{"pull_request":{},"repository":{"full_name":""}}`)
	f.Fuzz(func(t *testing.T, event string) {
		vars := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": "event.json"}
		b, err := ci.Detect(variables(vars, map[string]string{"event.json": event}))
		if err != nil {
			return
		}
		var payload struct {
			Repository struct {
				FullName string `json:"full_name"`
			} `json:"repository"`
		}
		_ = json.Unmarshal([]byte(event), &payload)
		in := b.Input
		if in.Kind != scope.PullRequest || !in.Fork && !strings.EqualFold(in.HeadRepo, payload.Repository.FullName) {
			t.Errorf("Detect(%s) = %+v, want a fork's pull request", event, in)
		}
	})
}
