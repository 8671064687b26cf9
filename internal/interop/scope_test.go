package interop

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestScopes has BuildKit itself keep the caches of branches apart, by the flags
// that larder prints. Only reuse is checked, not from where. GitHub's service, of
// which each branch has its own part, is another story.
func TestScopes(t *testing.T) {
	d := newDaemon(t)
	kinds := []kind{local, openReg}
	if *full {
		kinds = slices.DeleteFunc(principal(), func(k kind) bool { return k.name == gha.name })
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			testScopes(t, d, base(k.open(t)))
		})
	}
}

// base is a location for scopes: without a ref, of all steps.
func base(p place) string {
	at := p.everything()
	if !strings.HasPrefix(at, "type=") {
		at = "type=registry,ref=" + at
	}
	return at + ",mode=max"
}

// planned returns the build of a branch, with caches as larder plans them.
func planned(t *testing.T, dir, base, branch string) build {
	t.Helper()
	out := larder(t, "scope", "--scope", branch, "--default-branch", "main", "--ask", "--base", base, "--format", "buildx")
	b := build{context: dir}
	for flag := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(flag), "=")
		// The client has no credentials of its own, and larder prints none.
		for field := range strings.SplitSeq(base, ",") {
			if strings.HasPrefix(field, "secret_access_key=") {
				value += "," + field
			}
		}
		switch name {
		case "--cache-to":
			b.exports = append(b.exports, value)
		case "--cache-from":
			b.imports = append(b.imports, value)
		default:
			t.Fatalf("larder scope prints %q", flag)
		}
	}
	return b
}

func testScopes(t *testing.T, d daemon, base string) {
	t.Helper()
	seed := newSeed()
	mainDir, branchDir := newContext(t, seed, "main"), newContext(t, seed, "branch")
	plan := func(dir, branch string, imports int) build {
		t.Helper()
		b := planned(t, dir, base, branch)
		if len(b.exports) != 1 || len(b.imports) != imports {
			t.Fatalf("%s writes %q and reads %q, want one and %d", branch, b.exports, b.imports, imports)
		}
		return b
	}
	const export, lookup = true, false
	run := func(dir, branch string, imports int, export bool) result {
		t.Helper()
		b := plan(dir, branch, imports)
		if !export {
			b.exports = nil
		}
		d.prune(t)
		return d.mustBuild(t, b)
	}
	golden := run(mainDir, "main", 0, export)

	// A branch starts from main's cache, and goes on with its own.
	first := run(branchDir, "Feature/a", 1, export)
	if first.files[depsFile] != golden.files[depsFile] || first.files[appFile] == golden.files[appFile] {
		t.Error("the branch must share the dependencies and differ in the application")
	}
	first.mustEqual(t, d.reuses(t, plan(branchDir, "Feature/a", 2), first))

	// Another branch, of the same content even, sees main's cache only.
	other := run(branchDir, "b", 1, export)
	if other.files[depsFile] != golden.files[depsFile] || other.files[appFile] == first.files[appFile] {
		t.Error("branch b must have main's dependencies, and nothing of the other branch")
	}
	golden.mustEqual(t, run(mainDir, "main", 1, lookup))

	// The branch is merged: main has all of it.
	larder(t, "promote", "--quiet", "--base", base, "--from", "Feature/a", "--to", "main")
	larder(t, "rm", "--quiet", withRef(base, "_feature__a"))
	first.mustEqual(t, run(branchDir, "main", 1, lookup))
	golden.mustEqual(t, run(mainDir, "c", 1, lookup))
}

// reuses runs a build again until it has the files of an earlier one, or a few
// times: of several caches that share steps BuildKit takes one at random, even if
// only the other has the steps that follow (moby/buildkit#6418). What it exports
// then lacks them, so that only a build that has found all is exported.
func (d daemon) reuses(t *testing.T, b build, want result) result {
	t.Helper()
	exports := b.exports
	for range 8 {
		d.prune(t)
		b.exports = nil
		if got := d.mustBuild(t, b); !maps.Equal(got.files, want.files) {
			t.Log("BuildKit took the other of two caches")
			continue
		}
		b.exports = exports
		return d.mustBuild(t, b)
	}
	d.prune(t)
	return d.mustBuild(t, b)
}

// withRef adds the name of a ref to a base.
func withRef(base, name string) string {
	switch {
	case strings.HasPrefix(base, "type=registry,"):
		return strings.Replace(base, ",mode=max", ":"+name+",mode=max", 1)
	case strings.HasPrefix(base, "type=local,"):
		return base + ",tag=" + name
	default:
		return base + ",name=" + name
	}
}
