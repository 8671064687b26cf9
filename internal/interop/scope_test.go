package interop

import (
	"strings"
	"testing"
)

// TestScopes has BuildKit itself keep the caches of branches apart, by the flags
// that larder prints. Only reuse is checked, not from where.
func TestScopes(t *testing.T) {
	d := newDaemon(t)
	kinds := []kind{local, openReg}
	if *full {
		kinds = principal()
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
	run := func(dir, branch string, imports int, export bool) result {
		t.Helper()
		d.prune(t)
		b := planned(t, dir, base, branch)
		if len(b.exports) != 1 || len(b.imports) != imports {
			t.Fatalf("%s writes %q and reads %q, want one and %d", branch, b.exports, b.imports, imports)
		}
		if !export {
			b.exports = nil
		}
		return d.mustBuild(t, b)
	}
	const export, lookup = true, false
	golden := run(mainDir, "main", 0, export)

	// A branch starts from main's cache, and goes on with its own.
	first := run(branchDir, "Feature/a", 1, export)
	if first.files[depsFile] != golden.files[depsFile] || first.files[appFile] == golden.files[appFile] {
		t.Error("the branch must share the dependencies and differ in the application")
	}
	first.mustEqual(t, run(branchDir, "Feature/a", 2, export))

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
