package ghaserver_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-build/larder/internal/ghaserver"
	"github.com/larder-build/larder/internal/testserver"
)

// step is one for testdata/actions-cache.mjs.
type step struct {
	Do          string   `json:"do"`
	Path        string   `json:"path"`
	Key         string   `json:"key"`
	RestoreKeys []string `json:"restoreKeys,omitempty"`
	LookupOnly  bool     `json:"lookupOnly,omitempty"`
}

// outcome is what came of it.
type outcome struct {
	Result any
	Error  string
	Said   string
}

// actionsCache is GitHub's own client, as an action has it.
type actionsCache struct {
	t       *testing.T
	modules string
	dir     string // of the job
	environ []string
}

// newActionsCache returns a client in a job of its own.
func newActionsCache(t *testing.T, environ ...string) *actionsCache {
	t.Helper()
	a := &actionsCache{t: t, modules: testserver.FromTestbed(t, "LARDER_TEST_ACTIONS_CACHE"), dir: t.TempDir()}
	a.environ = append(os.Environ(), "RUNNER_TEMP="+t.TempDir(), "GITHUB_WORKSPACE="+a.dir, "GITHUB_SERVER_URL=https://github.com")
	a.environ = append(a.environ, environ...)
	return a
}

// second returns what a job has in its environment that speaks the second
// version of the protocol.
func second(s *ghaserver.Server, scopes ...ghaserver.Scope) []string {
	return []string{"ACTIONS_CACHE_SERVICE_V2=True", "ACTIONS_RESULTS_URL=" + s.URL + "/", "ACTIONS_RUNTIME_TOKEN=" + s.Token(scopes...)}
}

// first returns what a job has in its environment on GitHub Enterprise Server,
// which speaks the first version of the protocol.
func first(s *ghaserver.Server, scopes ...ghaserver.Scope) []string {
	return []string{"GITHUB_SERVER_URL=https://github.example.com", "ACTIONS_CACHE_URL=" + s.URL + "/", "ACTIONS_RUNTIME_TOKEN=" + s.Token(scopes...)}
}

// do does steps.
func (a *actionsCache) do(steps ...step) []outcome {
	a.t.Helper()
	var in, messages bytes.Buffer
	for _, s := range steps {
		if err := json.NewEncoder(&in).Encode(s); err != nil {
			a.t.Fatal(err)
		}
	}
	script, err := filepath.Abs("testdata/actions-cache.mjs")
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.CommandContext(a.t.Context(), "node", script, a.modules)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stderr = a.dir, a.environ, &in, &messages
	out, err := cmd.Output()
	if err != nil {
		a.t.Fatalf("node: %v\n%s%s", err, out, &messages)
	}
	var all []outcome
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var o outcome
		if err := d.Decode(&o); err != nil {
			a.t.Fatal(err)
		}
		all = append(all, o)
	}
	if len(all) != len(steps) {
		a.t.Fatalf("%d steps have %d outcomes: %s", len(steps), len(all), &messages)
	}
	return all
}

// save saves a directory under keys, of which the first must succeed, and the
// others must be refused for a reason that the client tells.
func (a *actionsCache) save(path, key, reason string, refused ...string) {
	a.t.Helper()
	steps := []step{{Do: "save", Path: path, Key: key}}
	for _, key := range refused {
		steps = append(steps, step{Do: "save", Path: path, Key: key})
	}
	for i, got := range a.do(steps...) {
		id, _ := got.Result.(float64)
		if i == 0 && (id <= 0 || got.Error != "") {
			a.t.Fatalf("save(%s) = %v, %s, want an id\n%s", key, got.Result, got.Error, got.Said)
		}
		if i > 0 && (id != -1 || !strings.Contains(got.Said, reason)) {
			a.t.Errorf("save(%s) = %v, %s, want that it says %q\n%s", steps[i].Key, got.Result, got.Error, reason, got.Said)
		}
	}
}

// restores restores and returns the keys that were found, "" for none.
func (a *actionsCache) restores(steps ...step) []string {
	a.t.Helper()
	var keys []string
	for i, got := range a.do(steps...) {
		key, _ := got.Result.(string)
		if got.Error != "" || strings.Contains(got.Said, "::warning") {
			a.t.Errorf("restore(%s) = %v, %s\n%s", steps[i].Key, got.Result, got.Error, got.Said)
		}
		keys = append(keys, key)
	}
	return keys
}

// write writes a file of the job.
func (a *actionsCache) write(path string, data []byte) {
	a.t.Helper()
	path = filepath.Join(a.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// want fails unless a file of the job has this content.
func (a *actionsCache) want(path string, data []byte) {
	a.t.Helper()
	got, err := os.ReadFile(filepath.Join(a.dir, filepath.FromSlash(path)))
	if err != nil || !bytes.Equal(got, data) {
		a.t.Errorf("%s has %d bytes, %v, want the %d that were saved", path, len(got), err, len(data))
	}
}

// noise is content that does not compress.
func noise(size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // never fails
	return data
}

// azureHost is a host to which the client speaks by Azure's SDK.
func azureHost(s *ghaserver.Server) (string, error) {
	u, err := url.Parse(s.URL)
	return "larder.blob.core.windows.net:" + u.Port(), err
}
