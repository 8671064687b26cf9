package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/all"
	"github.com/larder-build/larder/internal/fixtures"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is when the commands of these tests run: two hours after the fixtures
// were built.
var now = time.Date(2026, 11, 21, 5, 22, 46, 0, time.UTC)

// ran is what came of a command.
type ran struct {
	status   int
	out, err string
}

// shell runs commands.
type shell struct {
	Streams
	env map[string]string
	// wrap is put around each backend, unless it is nil.
	wrap func(backend.Backend) backend.Backend
	// drivers are registered beside the ordinary ones.
	drivers []backend.Driver
}

func (s shell) run(ctx context.Context, args ...string) ran {
	var out, errs bytes.Buffer
	s.In, s.Err = &bytes.Buffer{}, &errs
	if s.Out == nil {
		s.Out = &out
	}
	s.Now = func() time.Time { return now }
	s.Getenv = func(name string) string { return s.env[name] }
	status := run(ctx, args, s.Streams, func(opts all.Options) *backend.Mux {
		mux := all.Mux(opts)
		for _, d := range s.drivers {
			mux.Register(d)
		}
		if s.wrap != nil {
			mux.Wrap = func(b backend.Backend, _ backend.Location) backend.Backend { return s.wrap(b) }
		}
		return mux
	})
	return ran{status, out.String(), errs.String()}
}

// execute runs a command without terminal and environment.
func execute(t *testing.T, args ...string) ran {
	t.Helper()
	return shell{}.run(t.Context(), args...)
}

// mustExecute is execute for commands that have to succeed without a warning.
func mustExecute(t *testing.T, args ...string) string {
	t.Helper()
	got := execute(t, args...)
	if got.status != statusDone || got.err != "" {
		t.Fatalf("larder %q: status %d, %s", args, got.status, got.err)
	}
	return got.out
}

// inLayout makes a new directory the current one, in which cache is the layout
// of a fixture.
func inLayout(t *testing.T, fixture string) {
	t.Helper()
	dir := fixtures.Extract(t, fixture)
	if err := os.Rename(filepath.Join(dir, "layout"), filepath.Join(dir, "cache")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	setTimes(t, "cache")
}

// setTimes makes all files an hour old.
func setTimes(t *testing.T, dir string) {
	t.Helper()
	then := now.Add(-time.Hour)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Chtimes(path, then, then)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// blobFile returns the file of a blob in a layout.
func blobFile(layout, digest string) string {
	return filepath.Join(layout, "blobs", "sha256", digest[len("sha256:"):])
}

// decode reads the only JSON document of a text.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not a JSON document: %v\n%s", err, text)
	}
	return v
}

var update = flag.Bool("update", false, "rewrite testdata")

// checkGolden compares a text with a file in testdata, which is found by its
// absolute path because tests change the directory.
func checkGolden(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("output differs from %s (-want +got):\n%s", filepath.Base(golden), diff)
	}
}

// goldenFile returns the absolute path of a file in testdata. It is called
// before the test changes the directory.
func goldenFile(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
