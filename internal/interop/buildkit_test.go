package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// daemon is a BuildKit daemon and the stock client that talks to it. All tests
// share one daemon and one after another prune it, so none of them is parallel.
type daemon struct{ addr, buildctl string }

// newDaemon returns the daemon of the testbed, with all that is run beside it.
func newDaemon(t *testing.T) daemon {
	t.Helper()
	d := daemon{addr: os.Getenv("LARDER_TEST_BUILDKITD"), buildctl: os.Getenv("LARDER_TEST_BUILDCTL")}
	if d.addr == "" || d.buildctl == "" {
		unavailable(t, "there is no BuildKit in LARDER_TEST_BUILDKITD and LARDER_TEST_BUILDCTL")
	}
	built(t)
	return d
}

// build is one run of "buildctl build".
type build struct {
	context string   // directory with a Dockerfile
	exports []string // cache exports, as buildctl spells them
	imports []string // cache imports
}

// result is what a build that succeeded did.
type result struct {
	cached map[string]bool   // by the name of the step; true if it was not run
	files  map[string]string // digests of the files of the image, by their paths
}

// progress is a line of buildctl's rawjson progress, as far as it matters.
type progress struct {
	Vertexes []struct {
		Name   string `json:"name"`
		Cached bool   `json:"cached"`
		Error  string `json:"error"`
	} `json:"vertexes"`
}

// build runs a build. That a step has failed is an error even if BuildKit went
// on without it, as it does when it cannot import a cache.
func (d daemon) build(ctx context.Context, b build) (result, error) {
	out, err := os.MkdirTemp("", "larder-interop-out-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(out)
	args := []string{
		"--addr", d.addr, "build", "--progress", "rawjson", "--frontend", "dockerfile.v0",
		"--local", "context=" + b.context, "--local", "dockerfile=" + b.context,
		"--output", "type=local,dest=" + out,
	}
	for _, e := range b.exports {
		args = append(args, "--export-cache", e)
	}
	for _, i := range b.imports {
		args = append(args, "--import-cache", i)
	}
	text, err := exec.CommandContext(ctx, d.buildctl, args...).CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("buildctl %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	r := result{cached: map[string]bool{}}
	if err := r.readSteps(text); err != nil {
		return result{}, err
	}
	r.files, err = digests(out)
	return r, err
}

func (r result) readSteps(text []byte) error {
	for line := range bytes.Lines(text) {
		var p progress
		if line[0] != '{' {
			continue // a warning of the client
		}
		if err := json.Unmarshal(line, &p); err != nil {
			return fmt.Errorf("buildctl says %q: %w", line, err)
		}
		for _, v := range p.Vertexes {
			// BuildKit ends a step that runs when it finds its result cached
			// under another key.
			if v.Error != "" && !strings.HasPrefix(v.Error, "context canceled") {
				return fmt.Errorf("step %q: %s", v.Name, v.Error)
			}
			r.cached[v.Name] = r.cached[v.Name] || v.Cached
		}
	}
	return nil
}

// digests returns the digest of each file below dir by its relative path.
func digests(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		sum := sha256.Sum256(content)
		files[filepath.ToSlash(name)] = hex.EncodeToString(sum[:])
		return err
	})
	return files, err
}

// mustBuild is build for a test that ends without its result.
func (d daemon) mustBuild(t *testing.T, b build) result {
	t.Helper()
	r, err := d.build(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// prune makes the daemon forget all that it has built or imported.
func (d daemon) prune(t *testing.T) {
	t.Helper()
	if text, err := exec.CommandContext(t.Context(), d.buildctl, "--addr", d.addr, "prune", "--all").CombinedOutput(); err != nil {
		t.Fatalf("buildctl prune: %v\n%s", err, text)
	}
}

// mustReuse builds with an empty daemon and one cache to import, and checks
// that every file is the one of an earlier build. The files are random, so that
// no step that made one of them can have run again.
func (d daemon) mustReuse(t *testing.T, dir, location string, want result) {
	t.Helper()
	d.prune(t)
	got := d.mustBuild(t, build{context: dir, imports: []string{location}})
	want.mustEqual(t, got)
}

// mustEqual checks that every file of another build is the one of this build.
func (r result) mustEqual(t *testing.T, got result) {
	t.Helper()
	for name, digest := range r.files {
		if got.files[name] != digest {
			t.Errorf("%s was built again; cached: %v", name, got.cached)
		}
	}
	if len(got.files) != len(r.files) {
		t.Errorf("the build made %d files, want %d", len(got.files), len(r.files))
	}
}
