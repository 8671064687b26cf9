package githubactions

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/larder-build/larder/internal/cli"
	"github.com/larder-build/larder/internal/ghaserver"
)

// TestMain is also the programs that the workflow runs, by their names.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "larder":
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}))
	case "npm":
		os.Exit(install())
	case "docker":
		os.Exit(record(os.Args[1:]))
	case "go": // larder is there already
	default:
		os.Exit(m.Run())
	}
}

// install is "npm install": it says whether the dependencies were there.
func install() int {
	const dir = "node_modules"
	_, err := os.Stat(filepath.Join(dir, "module"))
	if err = errors.Join(os.WriteFile("there-before", fmt.Append(nil, err == nil), 0o600), os.MkdirAll(dir, 0o755)); err == nil {
		err = os.WriteFile(filepath.Join(dir, "module"), []byte("a dependency"), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// record remembers the arguments of docker.
func record(args []string) int {
	data, err := json.Marshal(args)
	if err == nil {
		err = os.WriteFile("docker-arguments", data, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// workflow is what a runner reads of a workflow.
type workflow struct {
	On   map[string]any
	Jobs map[string]struct {
		Steps []step
	}
}

type step struct {
	Name, Uses, Run string
}

// readWorkflow reads the example. A key that YAML 1.1 takes for a boolean is
// among its own.
func readWorkflow(t *testing.T) workflow {
	t.Helper()
	data, err := os.ReadFile("cache.yml")
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

// steps returns the steps of its one job.
func (w workflow) steps(t *testing.T) []step {
	t.Helper()
	if len(w.Jobs) != 1 {
		t.Fatalf("the workflow has the jobs %v, want one", slices.Collect(maps.Keys(w.Jobs)))
	}
	for _, j := range w.Jobs {
		return j.Steps
	}
	return nil
}

// event is what a run is about.
type event struct {
	name, ref string
	payload   string
	environ   map[string]string
	scopes    []ghaserver.Scope
}

const readWrite = ghaserver.Read | ghaserver.Write

func push(branch string) event {
	ref := "refs/heads/" + branch
	scopes := []ghaserver.Scope{{Ref: ref, Permission: readWrite}}
	if branch != "main" {
		scopes = append(scopes, ghaserver.Scope{Ref: "refs/heads/main", Permission: ghaserver.Read})
	}
	return event{
		name: "push", ref: ref, scopes: scopes,
		payload: `{"repository": {"full_name": "org/app", "default_branch": "main"}}`,
		environ: map[string]string{"GITHUB_REF_NAME": branch, "GITHUB_REF_TYPE": "branch"},
	}
}

func pullRequest(number int, repository, head string) event {
	ref := fmt.Sprintf("refs/pull/%d/merge", number)
	return event{
		name: "pull_request", ref: ref,
		scopes: []ghaserver.Scope{{Ref: ref, Permission: readWrite}, {Ref: "refs/heads/main", Permission: ghaserver.Read}},
		payload: fmt.Sprintf(`{"number": %d, "repository": {"full_name": "org/app", "default_branch": "main"}, "pull_request": {"number": %d,
			"head": {"ref": %q, "repo": {"full_name": %q}}, "base": {"ref": "main", "repo": {"full_name": "org/app"}}}}`, number, number, head, repository),
		environ: map[string]string{"GITHUB_REF_NAME": fmt.Sprintf("%d/merge", number), "GITHUB_HEAD_REF": head, "GITHUB_BASE_REF": "main"},
	}
}

// runner runs workflows for events, each in a machine of its own.
type runner struct {
	*testing.T
	service *ghaserver.Server
	steps   []step
	bin     string
}

func newRunner(t *testing.T) *runner {
	t.Helper()
	r := &runner{T: t, service: ghaserver.New(t, ghaserver.Options{}), steps: readWorkflow(t).steps(t), bin: t.TempDir()}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash, by which runners run steps")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"larder", "npm", "docker", "go"} {
		if err := os.Symlink(self, filepath.Join(r.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// machine is where a workflow runs.
type machine struct {
	dir     string
	environ map[string]string
	said    bytes.Buffer
}

// run runs the steps for an event, of which all must succeed.
func (r *runner) run(e event) *machine {
	r.Helper()
	m, err := r.try(e)
	if err != nil {
		r.Fatalf("%s %s: %v\n%s", e.name, e.ref, err, &m.said)
	}
	return m
}

// try runs the steps for an event up to the first that fails.
func (r *runner) try(e event) (*machine, error) {
	r.Helper()
	m := &machine{dir: r.TempDir(), environ: maps.Clone(e.environ)}
	files := r.TempDir()
	maps.Copy(m.environ, map[string]string{
		"GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_EVENT_NAME": e.name, "GITHUB_REF": e.ref, "GITHUB_REPOSITORY": "org/app",
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_WORKSPACE": m.dir, "GITHUB_EVENT_PATH": filepath.Join(files, "event.json"),
		"GITHUB_ENV": filepath.Join(files, "env"), "HOME": r.TempDir(), "PATH": r.bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
	})
	for path, text := range map[string]string{
		m.environ["GITHUB_EVENT_PATH"]: e.payload, m.environ["GITHUB_ENV"]: "", filepath.Join(m.dir, "package-lock.json"): "{}",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			r.Fatal(err)
		}
	}
	for _, s := range r.steps {
		if err := r.step(m, e, s); err != nil {
			return m, fmt.Errorf("step %s: %w", s.Name+s.Uses, err)
		}
	}
	return m, nil
}

// runtimeAction exports the variables of the cache service.
const runtimeAction = "crazy-max/ghaction-github-runtime@"

// step runs a step. Only one action does anything here: the one by which run
// steps see the variables of the cache service.
func (r *runner) step(m *machine, e event, s step) error {
	r.Helper()
	if strings.HasPrefix(s.Uses, runtimeAction) {
		maps.Copy(m.environ, map[string]string{
			"ACTIONS_CACHE_SERVICE_V2": "True", "ACTIONS_RESULTS_URL": r.service.URL + "/", "ACTIONS_RUNTIME_TOKEN": r.service.Token(e.scopes...),
		})
	}
	if s.Run == "" {
		return nil
	}
	cmd := exec.CommandContext(r.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", s.Run)
	cmd.Dir, cmd.Stdout, cmd.Stderr = m.dir, &m.said, &m.said
	for name, value := range m.environ {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if err := cmd.Run(); err != nil {
		return err
	}
	return m.readEnvironment()
}

// readEnvironment takes over what a step has written for the later ones.
func (m *machine) readEnvironment() error {
	data, err := os.ReadFile(m.environ["GITHUB_ENV"])
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			m.environ[name] = value
		}
	}
	return err
}

// had reports whether the dependencies were there before they were installed.
func (r *runner) had(m *machine) bool {
	r.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, "there-before"))
	if err != nil {
		r.Fatal(err)
	}
	return string(data) == "true"
}

// docker returns the arguments that docker was run with.
func (r *runner) docker(m *machine) []string {
	r.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, "docker-arguments"))
	var args []string
	if err == nil {
		err = json.Unmarshal(data, &args)
	}
	if err != nil {
		r.Fatal(err)
	}
	return args
}
