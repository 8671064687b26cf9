package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMain works where the program does: in the module's directory.
func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// TestSmoke runs everything in the small size, without the peers that take
// minutes to be built or installed. It fails if a peer does not bring back what
// was saved, or if larder stores or fetches more than it should.
func TestSmoke(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // what others have left is not meant
	var out strings.Builder
	err := run(t.Context(), []string{"-trees", t.TempDir(), "-without", restic + "|" + actions}, &out, t.Output())
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"3000 files", "first save", "nothing changed", "1 % changed everywhere", "into an empty directory", "of which 1 % is old, everywhere",
		"| larder |", "| tar and zstd |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables do not mention %q", want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "larder-bench-*", "target")); err != nil || len(left) > 0 {
		t.Errorf("the run has left %v, %v", left, err)
	}
}

func TestBroken(t *testing.T) {
	r := results{larder: {{bytes: 3}, {bytes: 5}}, restic: {{bytes: 100}}}
	for _, test := range []struct {
		name string
		most func() int64
		want bool
	}{
		{"no bound", nil, false},
		{"within", func() int64 { return 5 }, false},
		{"beyond", func() int64 { return 4 }, true},
	} {
		if err := (task{most: test.most}).broken("task", r); (err != nil) != test.want {
			t.Errorf("%s: broken() = %v, want an error: %t", test.name, err, test.want)
		}
	}
}

func TestChangedIsOneInAHundred(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small")
	if err := (&bench{}).makeSmall(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, scattered := range []bool{false, true} {
		files, err := changed(dir, scattered, 0)
		if err != nil || len(files) != 30 {
			t.Fatalf("changed(scattered: %t) = %d files, %v, want 30 of 3000", scattered, len(files), err)
		}
		var dirs []string
		for _, at := range files {
			dirs = append(dirs, filepath.Dir(at))
		}
		if n := len(slices.Compact(dirs)); (n > 2) != scattered {
			t.Errorf("changed(scattered: %t) = files of %d directories", scattered, n)
		}
		before, err := count(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := change(files, "changed\n"); err != nil {
			t.Fatal(err)
		}
		after, err := count(dir)
		if diff := cmp.Diff(counts{before.files, before.bytes + 30*8}, after, cmp.AllowUnexported(counts{})); err != nil || diff != "" {
			t.Errorf("counts after change(), %v (-want +got):\n%s", err, diff)
		}
	}
}

func TestGoals(t *testing.T) {
	r := results{larder: {{wall: 2e9}, {wall: 3e9}, {wall: 4e9}}, tarZstd: {{wall: 1e9}, {wall: 2e9}, {wall: 3e9}}, restic: {{wall: 9e9}}}
	for _, test := range []struct {
		g    goal
		want string
	}{
		{goal{than: tarZstd, atMost: 1.6}, "1.50 x the time of tar and zstd; the goal is at most 1.60 x: met"},
		{goal{than: tarZstd, atMost: 1.2}, "not met by the medians; the ranges overlap"},
		{goal{than: restic, atMost: 0.3}, "0.33 x the time of restic; the goal is at most 0.30 x: not met\n"},
		{goal{than: borg, atMost: 0.3}, ""},
	} {
		var out strings.Builder
		printGoals(&out, task{goals: []goal{test.g}}, r)
		if got := out.String(); !strings.Contains(got, test.want) || test.want == "" && got != "" {
			t.Errorf("printGoals(%+v) = %q, want %q", test.g, got, test.want)
		}
	}
}
