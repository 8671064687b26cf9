package interop

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// full asks for every combination of what the tests go through. The small size,
// which leaves out what differs from the usual in several ways at a time, runs
// with all the other tests.
var full = flag.Bool("interop.full", os.Getenv("LARDER_INTEROP") == "full", "run every combination")

// programs are what the tests build for themselves, once.
type programs struct {
	larder string // the command under test
	mk     string // what runs inside the builds
	gha    string // the cache service of GitHub Actions
	err    error
}

var (
	programDir string
	buildOnce  sync.Once
	builtOnce  programs
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if programDir, err = os.MkdirTemp("", "larder-interop-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(programDir)
	err = errors.Join(writeDockerConfig(programDir), os.Setenv("DOCKER_CONFIG", programDir))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// built builds the programs, once: only tests that are not skipped ask for it.
func built(t *testing.T) programs {
	t.Helper()
	buildOnce.Do(func() {
		builtOnce = programs{larder: filepath.Join(programDir, "larder"), mk: filepath.Join(programDir, "mk"), gha: filepath.Join(programDir, "gha")}
		builtOnce.err = errors.Join(
			goBuild(t.Context(), "../..", builtOnce.larder, "./examples/larder"),
			goBuild(t.Context(), "../..", builtOnce.gha, "./internal/ghaserver/serve"),
			// An image that has no C library needs a static program.
			goBuild(t.Context(), ".", builtOnce.mk, "./testdata/mk", "CGO_ENABLED=0"),
		)
	})
	if builtOnce.err != nil {
		t.Fatal(builtOnce.err)
	}
	return builtOnce
}

// goBuild builds a program, with the flags of other builds: what they have
// compiled is there then.
func goBuild(ctx context.Context, dir, out, pkg string, environ ...string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environ...)
	cmd.Env = append(cmd.Env, "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// variable is where the testbed has the address of a server.
func variable(server string) string {
	return "LARDER_TEST_" + strings.ToUpper(strings.ReplaceAll(server, "-", "_"))
}

// address is where a server of the testbed listens.
func address(t *testing.T, server string) string {
	t.Helper()
	a := os.Getenv(variable(server))
	if a == "" {
		unavailable(t, "there is nothing in "+variable(server))
	}
	return a
}

// unavailable ends a test that lacks a program of the testbed.
func unavailable(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("LARDER_TEST_REQUIRE") == "1" {
		t.Fatalf("%s, although LARDER_TEST_REQUIRE=1 says that every server is there", what)
	}
	t.Skipf("NOT TESTED: %s; run: go run ./internal/testbed -- go test -C internal/interop ./...", what)
}
