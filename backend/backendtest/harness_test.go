package backendtest_test

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
)

const unknownSkipVariable = "LARDER_BACKENDTEST_UNKNOWN_SKIP"

// TestUnknownSkip fails on purpose when TestSkipIsStrict asks for it.
func TestUnknownSkip(t *testing.T) {
	if os.Getenv(unknownSkipVariable) == "" {
		return
	}
	h := harness(mem.Options{})
	h.Skip = map[string]string{"put/whatever": "a name that no case has"}
	backendtest.Run(t, h)
}

func TestSkipIsStrict(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUnknownSkip$")
	cmd.Env = append(os.Environ(), unknownSkipVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte(`Harness.Skip has "put/whatever"`)) {
		t.Errorf("Run(unknown name in Skip) = %v, want a failure that names it\n%s", err, out)
	}
}

func TestCaseNamesAreUnique(t *testing.T) {
	names := backendtest.Cases()
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Errorf("Cases() has %d names, %d of them different, want all", len(names), len(unique))
	}
}
