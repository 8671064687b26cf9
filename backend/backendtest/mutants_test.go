package backendtest_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
)

// mutant is a backend that breaks one promise.
type mutant struct {
	name string
	// caughtBy is the case that is there for this promise. Others may fail too.
	caughtBy string
	options  mem.Options
	// mutate returns the broken methods of one connection.
	mutate func(s *state) mutation
	// extend adds optional interfaces to the backend, unless it is nil.
	extend func(b *mutated) backend.Backend
}

// mutantVariable selects the mutant that TestMutant runs the suite over.
const mutantVariable = "LARDER_BACKENDTEST_MUTANT"

func mutants() []mutant {
	return slices.Concat(readMutants(), putMutants(), listMutants(), refMutants(), conditionMutants(), connectionMutants(), extensionMutants())
}

// TestMutant is run by TestMutantsAreCaught in a process of its own, so that
// mutants may fail, panic or hang as they like.
func TestMutant(t *testing.T) {
	name := os.Getenv(mutantVariable)
	for _, m := range mutants() {
		if m.name == name {
			backendtest.Run(t, m.harness())
		}
	}
}

// failure matches a failed case in the output of a test, whose name has
// underscores for spaces.
var failure = regexp.MustCompile(`(?m)^    --- FAIL: TestMutant/(\S+)`)

func TestMutantsAreCaught(t *testing.T) {
	caught := map[string]bool{}
	for _, m := range mutants() {
		caught[m.caughtBy] = true
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			failed, output := runMutant(t, m.name)
			if !slices.Contains(failed, m.caughtBy) {
				t.Fatalf("Run(%s) failed in %q, want %q among them\n%s", m.name, failed, m.caughtBy, output)
			}
			t.Logf("caught by %q", failed)
		})
	}
	for _, name := range backendtest.Cases() {
		// Listings of refs run through the same cases as those of blobs.
		if !caught[name] && !strings.HasPrefix(name, "list refs/") {
			t.Errorf("no mutant is meant for %q, want one for each case", name)
		}
	}
}

// runMutant returns the cases that a mutant fails.
func runMutant(t *testing.T, name string) (failed []string, output string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestMutant$", "-test.timeout=40s")
	cmd.Env = append(os.Environ(), mutantVariable+"="+name)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("Run(%s) passed, want it to fail\n%s", name, out)
	}
	for _, match := range failure.FindAllStringSubmatch(string(out), -1) {
		for _, c := range backendtest.Cases() {
			if strings.ReplaceAll(c, " ", "_") == match[1] {
				failed = append(failed, c)
			}
		}
	}
	return failed, string(out)
}

// TestMutantHarnessIsSound proves that what the mutants are made of passes.
func TestMutantHarnessIsSound(t *testing.T) {
	sound := mutant{
		mutate: func(*state) mutation { return mutation{} },
		extend: func(b *mutated) backend.Backend { return &extended{mutated: b} },
	}
	backendtest.Run(t, sound.harness())
}
