package interop

import "testing"

// TestMerge joins the caches of two branches that were exported apart from
// each other: each branch must find all it needs in the one that results.
func TestMerge(t *testing.T) {
	d := newDaemon(t)
	seed, mainCache, featureCache, merged := newSeed(), t.TempDir(), t.TempDir(), t.TempDir()
	mainDir, featureDir := newContext(t, seed, "main"), newContext(t, seed, "feature")
	goldenMain := d.mustBuild(t, build{context: mainDir, exports: []string{target(mainCache, "main")}})
	d.prune(t)
	goldenFeature := d.mustBuild(t, build{
		context: featureDir,
		imports: []string{source(mainCache, "main")},
		exports: []string{target(featureCache, "feature")},
	})
	if goldenFeature.files[depsFile] != goldenMain.files[depsFile] || goldenFeature.files[appFile] == goldenMain.files[appFile] {
		t.Fatal("the branches must share the dependencies and differ in the application")
	}

	larder(t, "merge", "--from", source(mainCache, "main"), "--from", source(featureCache, "feature"), "--to", target(merged, "all"))
	mustVerify(t, source(merged, "all"))
	d.mustReuse(t, mainDir, source(merged, "all"), goldenMain)
	d.mustReuse(t, featureDir, source(merged, "all"), goldenFeature)

	// Without a prune in between, one import must serve both.
	d.prune(t)
	for _, b := range []struct {
		dir  string
		want result
	}{{featureDir, goldenFeature}, {mainDir, goldenMain}} {
		got := d.mustBuild(t, build{context: b.dir, imports: []string{source(merged, "all")}})
		for name, want := range b.want.files {
			if got.files[name] != want {
				t.Errorf("%s was built again", name)
			}
		}
	}
}
