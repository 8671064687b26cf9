package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inProject makes a directory with a tree to save the working directory.
func inProject(t *testing.T) shell {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"modules/a/index.js": "a", "modules/b/index.js": "b", "go.sum": "sums"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return shell{env: map[string]string{"XDG_CACHE_HOME": t.TempDir()}}
}

func (s shell) must(t *testing.T, args ...string) string {
	t.Helper()
	got := s.run(t.Context(), args...)
	if got.status != 0 || got.err != "" {
		t.Fatalf("larder %q: status %d: %s", args, got.status, got.err)
	}
	return got.out
}

// answer is what a program reads of save and restore --json.
type answer struct {
	Schema, Key, Ref, Source, Tool string
	SavedAt                        time.Time
	Hit, Exact                     bool
	Directories                    []struct {
		Files            int
		Written, Fetched struct{ Blobs int }
	}
	Error *errorJSON
}

// document runs a command with --json and reads what it prints.
func (s shell) document(t *testing.T, args ...string) answer {
	t.Helper()
	var doc answer
	got := s.run(t.Context(), append(args, "--json")...)
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil {
		t.Fatalf("larder %q: %v: %s", args, err, got.out)
	}
	return doc
}

func TestSaveRestoreLookup(t *testing.T) {
	s := inProject(t)
	const store = "local:store?tag=main"
	if got := s.document(t, "save", "--to", store, "--key", "deps-1", "modules"); got.Key != "deps-1" || got.Directories[0].Files != 5 || got.Directories[0].Written.Blobs != 1 || got.Error != nil {
		t.Errorf("save printed %+v", got)
	}
	if got := s.must(t, "save", "--to", store, "--key", "deps-1", "modules"); !strings.Contains(got, "unchanged") && !strings.Contains(got, "published") {
		t.Errorf("save again printed %q", got)
	}
	if err := os.RemoveAll("modules"); err != nil {
		t.Fatal(err)
	}
	if got := s.document(t, "restore", "--from", store, "--key", "deps-2", "--restore-key", "deps-"); !got.Hit || got.Exact || got.Key != "deps-1" || got.Source != "type=local,src=store" || got.Ref != "main.dirs" || !strings.HasPrefix(got.Tool, "larder ") || got.SavedAt.IsZero() || got.Directories[0].Fetched.Blobs != 1 {
		t.Errorf("restore printed %+v", got)
	}
	if data, err := os.ReadFile("modules/b/index.js"); err != nil || string(data) != "b" {
		t.Errorf("restored file reads as %q, %v", data, err)
	}
	if got := s.must(t, "lookup", "--from", store, "--key", "deps-1"); !strings.HasPrefix(got, "deps-1: exact from type=local,src=store main.dirs") {
		t.Errorf("lookup printed %q", got)
	}
	if got := s.must(t, "restore", "--from", "local:none?tag=x", "--from", store, "--key", "deps-1", "--into", "elsewhere"); !strings.Contains(got, "exact") {
		t.Errorf("restore from the second location printed %q", got)
	}
	if _, err := os.Stat("elsewhere/modules/a/index.js"); err != nil {
		t.Error(err)
	}
}

func TestSaveExcludes(t *testing.T) {
	s := inProject(t)
	s.must(t, "save", "--to", "local:store?tag=main", "--key", "k", "--exclude", "b/", "--exclude", "*.js", "--exclude", "!/a/index.js", "modules")
	s.must(t, "restore", "--from", "local:store?tag=main", "--key", "k", "--into", "out")
	for name, want := range map[string]bool{"out/modules/a/index.js": true, "out/modules/b": false} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %t", name, err, want)
		}
	}
}

// TestSaveAndRestoreByScope saves for a branch and restores for another one,
// which has nothing of its own.
func TestSaveAndRestoreByScope(t *testing.T) {
	s := inProject(t)
	s.must(t, "save", "--default-branch", "main", "--key", "k", "--to", "local:store", "--scope", "main", "modules")
	out := s.document(t, "restore", "--default-branch", "main", "--key", "k", "--from", "local:store", "--scope", "feature/login", "--into", "out")
	if !out.Hit || out.Ref != "main.dirs" {
		t.Errorf("restore printed %+v, want a hit in main.dirs", out)
	}
	if got := s.run(t.Context(), "save", "--default-branch", "main", "--key", "k", "--to", "local:store", "--scope", "main", "--fork", "modules"); got.status == 0 {
		t.Errorf("a fork saves to main: %s", got.out)
	}
}

func TestRestoreMisses(t *testing.T) {
	s := inProject(t)
	from := []string{"--from", "local:store?tag=main", "--key", "deps"}
	s.must(t, "save", "--to", "local:store?tag=main", "--key", "other", "modules")
	if got := s.document(t, append([]string{"restore"}, from...)...); got.Hit || got.Error != nil {
		t.Errorf("restore printed %+v", got)
	}
	for _, args := range [][]string{append([]string{"lookup"}, from...), append([]string{"restore", "--fail-on-miss"}, from...)} {
		if got := s.run(t.Context(), args...); got.status != statusNothing || !strings.Contains(got.err, `"deps"`) {
			t.Errorf("larder %q: status %d, want %d: %s", args, got.status, statusNothing, got.err)
		}
	}
}

func TestSaveBadInput(t *testing.T) {
	s := inProject(t)
	to := []string{"save", "--to", "local:store?tag=main"}
	tests := []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"no key", append(to, "modules"), statusUsage, `"key"`},
		{"empty key", append(to, "--key", "", "modules"), statusFailed, "key"},
		{"no path", append(to, "--key", "k"), statusUsage, "arg"},
		{"unknown compression", append(to, "--key", "k", "--compression", "lzma", "modules"), statusUsage, "lzma"},
		{"no level", append(to, "--key", "k", "--compression", "zstd:high", "modules"), statusUsage, "zstd:3"},
		{"level out of range", append(to, "--key", "k", "--compression", "gzip:12", "modules"), statusUsage, "1 to 9"},
		{"no such directory", append(to, "--key", "k", "none"), statusFailed, `save: directory "none": no such file or directory`},
		{"a file", append(to, "--key", "k", "go.sum"), statusFailed, `"go.sum" is no directory, and only directories are saved`},
		{"an empty path", append(to, "--key", "k", ""), statusFailed, "the path of a directory is empty"},
		{"a directory twice", append(to, "--key", "k", "modules", "./modules/"), statusFailed, `"modules" and "modules" are the same directory`},
		{"a directory in another", append(to, "--key", "k", "modules/a", "modules"), statusFailed, `directory "modules/a" is in "modules"`},
		{"a key in no encoding", append(to, "--key", "\xff", "modules"), statusFailed, `key "\xff": want text in UTF-8`},
	}
	for _, tt := range tests {
		if got := s.run(t.Context(), tt.args...); got.status != tt.status || !strings.Contains(got.err, tt.want) {
			t.Errorf("%s: status %d, want %d, and %q in %q", tt.name, got.status, tt.status, tt.want, got.err)
		}
	}
}

// TestRestoreOutside saves a directory above the working directory, which is
// restored to there only by name.
func TestRestoreOutside(t *testing.T) {
	s := inProject(t)
	if err := errors.Join(os.Mkdir("beside", 0o755), os.WriteFile("beside/f", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Chdir("modules")
	store := []string{"--from", "local:../store?tag=main", "--key", "k"}
	s.must(t, "save", "--to", "local:../store?tag=main", "--key", "k", "a", "../beside")
	if err := os.RemoveAll("../beside"); err != nil {
		t.Fatal(err)
	}
	got := s.run(t.Context(), append([]string{"restore", "--into", "out"}, store...)...)
	if want := `directory "../beside" is outside of "out"`; got.status != statusFailed || !strings.Contains(got.err, want) {
		t.Errorf("restore: status %d, %s, want %d and %s", got.status, got.err, statusFailed, want)
	}
	if _, err := os.Stat("out"); err == nil {
		t.Error("restore has made a directory")
	}
	for _, verb := range [][]string{{"restore", "--fail-on-miss"}, {"lookup"}} {
		got := s.run(t.Context(), append(append(verb, store...), "a", "none")...)
		if got.status != statusNothing || !strings.Contains(got.err, "of the directories asked for it has 1 of 2") {
			t.Errorf("larder %q: status %d, %s, want %d", verb, got.status, got.err, statusNothing)
		}
	}
	s.must(t, append([]string{"restore", "a"}, store...)...)
	if _, err := os.Stat("../beside"); err == nil {
		t.Error("restore has restored what was not asked for")
	}
	s.must(t, append([]string{"restore", "../beside"}, store...)...)
	if _, err := os.Stat("../beside/f"); err != nil {
		t.Error(err)
	}
}

func TestRestoreBadInput(t *testing.T) {
	s := inProject(t)
	s.must(t, "save", "--to", "local:store?tag=main", "--key", "k", "modules")
	from := []string{"restore", "--from", "local:store?tag=main"}
	tests := []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"no key", from, statusUsage, `"key"`},
		{"empty key", append(from, "--key", ""), statusFailed, "not empty"},
		{"into a file", append(from, "--key", "k", "--into", "go.sum"), statusFailed, "go.sum: not a directory"},
		{"into nowhere", append(from, "--key", "k", "--into", "/proc/none"), statusFailed, "/proc/none"},
		{"a miss", append(from, "--key", "none", "--fail-on-miss"), statusNothing, `there is no key "none"` + "\n"},
		{"a miss of prefixes too", append(from, "--key", "none", "--fail-on-miss", "--restore-key", "n"), statusNothing, "nor one that begins with a --restore-key"},
		{"a store that is a file", []string{"restore", "--from", "local:go.sum", "--key", "k"}, statusUsage, "go.sum is not a directory"},
		{"no store", []string{"restore", "--from", "local:none", "--key", "k", "--fail-on-miss"}, statusNothing, `there is no key "k"`},
	}
	for _, tt := range tests {
		if got := s.run(t.Context(), tt.args...); got.status != tt.status || !strings.Contains(got.err, tt.want) {
			t.Errorf("%s: status %d, want %d, and %q in %q", tt.name, got.status, tt.status, tt.want, got.err)
		}
	}
	if got := s.must(t, append(from, "--key", "none")...); got != "none: miss\n" {
		t.Errorf("a miss prints %q", got)
	}
}

func TestKey(t *testing.T) {
	s := inProject(t)
	s.env["BRANCH"] = "main"
	first := s.must(t, "key", `deps-{{os}}-{{arch}}-{{env "BRANCH"}}-{{hash "go.sum" "modules/*/index.js"}}`)
	if want := "deps-linux-"; !strings.HasPrefix(first, want) || !strings.Contains(first, "-main-") || len(first) < 30 {
		t.Errorf("key is %q, want %s... with main and a digest", first, want)
	}
	if err := os.WriteFile("modules/a/index.js", []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again := s.must(t, "key", `deps-{{os}}-{{arch}}-{{env "BRANCH"}}-{{hash "go.sum" "modules/*/index.js"}}`); again == first {
		t.Errorf("key stays %q when a file changes", again)
	}
	if deep := s.must(t, "key", `deps-{{os}}-{{arch}}-{{env "BRANCH"}}-{{hash "**/index.js" "./go.sum"}}`); deep != s.must(t, "key", `deps-{{os}}-{{arch}}-{{env "BRANCH"}}-{{hash "go.sum" "modules/*/index.js"}}`) {
		t.Errorf("key is %q with patterns that match the same files in another way", deep)
	}
	if got := s.document(t, "key", "a-{{os}}"); got.Schema != "larder/v1" || got.Key != "a-linux" {
		t.Errorf("key --json printed %+v", got)
	}
	for name, tt := range map[string]struct {
		template string
		status   int
		want     string
	}{
		"no such file":     {`{{hash "go.sum" "none"}}`, statusFailed, `key: hash "none": there is no such file`},
		"a directory":      {`{{hash "modules"}}`, statusFailed, `hash "modules": there is no such file`},
		"nothing matches":  {`{{hash "**/*.lock"}}`, statusFailed, `hash "**/*.lock"`},
		"a bad pattern":    {`{{hash "[a"}}`, statusFailed, `hash "[a": syntax error`},
		"malformed":        {`{{hash`, statusUsage, "unclosed action"},
		"unknown function": {`{{user}}`, statusUsage, `"user" not defined`},
		"empty":            {``, statusUsage, "empty key"},
	} {
		if got := s.run(t.Context(), "key", tt.template); got.status != tt.status || !strings.Contains(got.err, tt.want) {
			t.Errorf("%s: status %d, want %d, and %q in %q", name, got.status, tt.status, tt.want, got.err)
		}
	}
}
