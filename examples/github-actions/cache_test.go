package githubactions

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/larder-build/larder/backend/all"
	"github.com/larder-build/larder/internal/ghaserver"
)

// versioned matches an action with its version.
var versioned = regexp.MustCompile(`^[\w-]+/[\w-]+@v\d+$`)

func TestWorkflow(t *testing.T) {
	w := readWorkflow(t)
	for _, name := range []string{"push", "pull_request"} {
		if _, ok := w.On[name]; !ok {
			t.Errorf("the workflow does not run on %s", name)
		}
	}
	for _, s := range w.steps(t) {
		if (s.Uses == "") == (s.Run == "") || s.Uses != "" && !versioned.MatchString(s.Uses) {
			t.Errorf("step %+v, want a command, or an action with its version", s)
		}
	}
}

// TestRuns runs the workflow for the events of a project.
func TestRuns(t *testing.T) {
	r := newRunner(t)
	for _, tt := range []struct {
		name  string
		event event
		had   bool
		flags []string // of docker
	}{
		{"first push", push("main"), false, []string{"--cache-to", "scope=main"}},
		{"second push", push("main"), true, []string{"--cache-from", "scope=main"}},
		{"pull request", pullRequest(12, "org/app", "feature"), true, []string{"--cache-to", "scope=pr--12", "--cache-from", "scope=main"}},
		{"pull request of a fork", pullRequest(13, "fork/app", "feature"), true, []string{"--cache-to", "scope=pr--13", "--cache-from", "scope=main"}},
		{"push to a branch", push("Feature/a"), true, []string{"--cache-to", "scope=_feature__a", "--cache-from", "scope=main"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.T = t
			before := r.service.Entries()
			m := r.run(tt.event)
			if had := r.had(m); had != tt.had {
				t.Errorf("the dependencies were there: %t, want %t\n%s", had, tt.had, &m.said)
			}
			flags := strings.Join(r.docker(m), " ")
			for _, want := range tt.flags {
				if !strings.Contains(flags, want) {
					t.Errorf("docker %s, want it to have %s", flags, want)
				}
			}
			if strings.Contains(flags+m.said.String(), m.environ["ACTIONS_RUNTIME_TOKEN"]) {
				t.Error("the output has the token")
			}
			wantLocations(t, r.docker(m))
			wantScope(t, tt.event.ref, r.service.Entries()[len(before):])
		})
	}
}

// wantLocations fails unless the caches in docker's flags are locations that
// larder understands too.
func wantLocations(t *testing.T, args []string) {
	t.Helper()
	mux := all.Mux(all.Options{})
	for i, arg := range args {
		name, location, ok := strings.Cut(arg, "=")
		if !strings.HasPrefix(name, "--cache-") {
			continue
		}
		if !ok {
			location = args[i+1]
		}
		if _, err := mux.Parse(location); err != nil {
			t.Errorf("docker %q: %v", arg, err)
		}
	}
}

// wantScope fails unless all entries are of one scope.
func wantScope(t *testing.T, ref string, entries []ghaserver.Entry) {
	t.Helper()
	if i := slices.IndexFunc(entries, func(e ghaserver.Entry) bool { return e.Scope != ref }); i >= 0 {
		t.Errorf("the run has written to the scope %s, want %s", entries[i].Scope, ref)
	}
}

// TestRunWithoutVariables runs the workflow without the action that exports the
// variables: the first step that needs them must say what to do.
func TestRunWithoutVariables(t *testing.T) {
	r := newRunner(t)
	r.steps = slices.DeleteFunc(r.steps, func(s step) bool { return strings.HasPrefix(s.Uses, runtimeAction) })
	m, err := r.try(push("main"))
	if err == nil || !strings.Contains(m.said.String(), "crazy-max/ghaction-github-runtime") {
		t.Errorf("the workflow ends with %v and says %s, want that it needs the action", err, &m.said)
	}
}

// TestReadme compares the snippet in the README with the workflow.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, snippet, found := strings.Cut(string(readme), "```yaml\n")
	snippet, _, closed := strings.Cut(snippet, "```")
	if !found || !closed {
		t.Fatal("the README has no snippet in YAML")
	}
	var steps []step
	if err := yaml.Unmarshal([]byte(snippet), &steps); err != nil {
		t.Fatal(err)
	}
	if len(steps) < 4 {
		t.Errorf("the snippet has %d steps, want at least 4", len(steps))
	}
	all := readWorkflow(t).steps(t)
	for _, s := range steps {
		if !slices.ContainsFunc(all, func(o step) bool { return o.Uses == s.Uses && o.Run == s.Run }) {
			t.Errorf("the README has a step that the workflow lacks: %+v", s)
		}
	}
}
