package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/faulty"
)

// fileNames returns all files below a directory but locks.
func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.Contains(entry.Name(), "lock") {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDoctorLeavesADirectoryAsItWas(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	before := fileNames(t, "cache")
	out := mustExecute(t, "doctor", mainRef)
	for _, part := range []string{"ref main", "a cache of ", "create refs"} {
		if !strings.Contains(out, part) {
			t.Errorf("doctor says\n%s\nwant %q in it", out, part)
		}
	}
	if after := fileNames(t, "cache"); !slices.Equal(before, after) {
		t.Errorf("doctor has left %q, want %q", after, before)
	}
	mustExecute(t, "verify", "--quiet", mainRef+";feature-login")
}

func TestDoctorFailures(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	refused := &backend.Error{Op: "put", Backend: "local", Kind: backend.ErrDenied, Err: errors.New("open x: permission \x1b[31m denied")}
	s := shell{wrap: func(b backend.Backend) backend.Backend {
		return faulty.New(b, faulty.Fault{Op: faulty.Put, Times: -1, Err: refused})
	}}
	got := s.run(t.Context(), "doctor", "./cache")
	if got.status != statusFailed || got.err != "" {
		t.Errorf("doctor: status %d, %q; want %d and the failure in the list only", got.status, got.err, statusFailed)
	}
	const want = `failed   write              denied: open x: permission \x1b[31m denied
                            remedy: check the permissions, or the credentials and what they are allowed to do
`
	if !strings.Contains(got.out, want) {
		t.Errorf("doctor prints\n%s\nwant in it\n%s", got.out, want)
	}
	if quiet := s.run(t.Context(), "doctor", "--quiet", "./cache"); quiet.out != want || quiet.status != statusFailed {
		t.Errorf("doctor --quiet prints\n%s\nwant\n%s", quiet.out, want)
	}
	inJSON := decode[larder.Diagnosis](t, s.run(t.Context(), "doctor", "--json", "./cache").out)
	if inJSON.OK || inJSON.Schema != larder.Schema || len(inJSON.Findings) < 5 {
		t.Errorf("doctor --json = %+v, want a failure among findings", inJSON)
	}
}

// TestDoctorAsksOnce shows that what fails now and then is not hidden by trying
// again.
func TestDoctorAsksOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	got := execute(t, "doctor", "localhost:1/no/registry")
	if got.status != statusFailed || !strings.Contains(got.out, "connection refused") || strings.Contains(got.out, "gave up after") {
		t.Errorf("doctor: status %d\n%s", got.status, got.out)
	}
}
