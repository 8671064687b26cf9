package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// module writes a module with one program and returns its directory.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.com/m\n\ngo 1.26\n",
		"go.sum":        "",
		"hello/main.go": "package main\n\nfunc main() { println(`hello`) }\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBuildOnce(t *testing.T) {
	dir, cache := module(t), filepath.Join(t.TempDir(), "cache")
	packages := []string{"example.com/m/hello"}
	var bin string
	for _, wantCached := range []bool{false, true} {
		got, cached, err := buildOnce(t.Context(), goPrograms(dir, packages), cache)
		if err != nil || cached != wantCached {
			t.Fatalf("buildOnce = %q, %t, %v, want cached = %t", got, cached, err, wantCached)
		}
		if bin != "" && got != bin {
			t.Errorf("the second build is in %q, want %q", got, bin)
		}
		bin = got
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "hello")).CombinedOutput()
	if err != nil || string(out) != "hello\n" {
		t.Errorf("the program says %q, %v, want hello", out, err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "building-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestGoTests(t *testing.T) {
	dir := module(t)
	path := filepath.Join(dir, "hello", "main_test.go")
	text := "package main\n\nimport `testing`\n\nfunc TestHello(*testing.T) { main() }\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	bin, _, err := buildOnce(t.Context(), goTests(dir, "example.com/m/hello"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "hello.test"), "-test.v").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestHello") {
		t.Errorf("the tests say %q, %v, want that TestHello passes", out, err)
	}
}

// TestChangedSourceIsBuiltAgain changes the program of a module that is one.
func TestChangedSourceIsBuiltAgain(t *testing.T) {
	dir, cache := module(t), t.TempDir()
	for _, word := range []string{"one", "two"} {
		text := "package main\n\nfunc main() { println(`" + word + "`) }\n"
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		bin, _, err := buildOnce(t.Context(), goPrograms(dir, []string{"example.com/m"}), cache)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "m")).CombinedOutput()
		if err != nil || string(out) != word+"\n" {
			t.Errorf("the program says %q, %v, want %s", out, err, word)
		}
	}
}

func TestFailedBuildIsNotKept(t *testing.T) {
	dir, cache := module(t), t.TempDir()
	_, _, err := buildOnce(t.Context(), goPrograms(dir, []string{"example.com/m/nothing"}), cache)
	if err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("buildOnce = %v, want what the compiler said", err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBuildKey(t *testing.T) {
	key := func(dir string, packages ...string) string {
		t.Helper()
		k, err := buildKey(goPrograms(dir, packages))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	dir := module(t)
	first := key(dir, "a")
	if got := key(dir, "a"); got != first {
		t.Errorf("buildKey = %q and then %q, want the same", first, got)
	}
	if got := key(dir, "a", "b"); got == first {
		t.Error("buildKey does not depend on the packages")
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), []byte("example.com/x v1.0.0 h1:x=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := key(dir, "a"); got == first {
		t.Error("buildKey does not depend on go.sum")
	}
	if _, err := buildKey(goPrograms(t.TempDir(), nil)); err == nil {
		t.Error("buildKey of no module = nil error")
	}
}

// TestPins finds every server's module where the testbed looks for it.
func TestPins(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers() {
		if s.module == "" { // a program of the system
			continue
		}
		r := s.recipe(root)
		if _, err := buildKey(r); err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		text, err := os.ReadFile(filepath.Join(r.dir, r.pins[0]))
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		for _, pkg := range s.packages {
			if !strings.Contains(string(text), pkg+"\n") {
				t.Errorf("%s: its go.mod has no tool line for %s", s.name, pkg)
			}
		}
	}
}

// TestNPM installs a package without dependencies as a lock file says.
func TestNPM(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed; the testbed installs it for the servers that need it")
	}
	dir, cache := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("package.json", `{"name": "m", "dependencies": {"nothing": "file:nothing"}}`)
	write("package-lock.json", `{"name": "m"}`)
	_, _, err := buildOnce(t.Context(), npmPackages(dir), cache)
	if err == nil || !strings.Contains(err.Error(), "npm ci") {
		t.Errorf("buildOnce of a lock file that lacks a dependency = %v, want what npm said", err)
	}
	write("package.json", `{"name": "m"}`)
	write("package-lock.json", `{"name": "m", "lockfileVersion": 3, "requires": true, "packages": {"": {"name": "m"}}}`)
	for _, wantCached := range []bool{false, true} {
		bin, cached, err := buildOnce(t.Context(), npmPackages(dir), cache)
		if err != nil || cached != wantCached {
			t.Fatalf("buildOnce = %q, %t, %v, want cached = %t", bin, cached, err, wantCached)
		}
	}
}
