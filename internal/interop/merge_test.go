package interop

import "testing"

// TestMerge joins the caches of two branches that were exported apart from
// each other: each branch must find all it needs in the one that results.
func TestMerge(t *testing.T) {
	d := newDaemon(t)
	for _, tt := range []struct{ main, feature, merged kind }{
		{local, local, local},
		{openReg, basicReg, tokenReg},
		{minio, azurite, versitygw},
		{local, debianReg, azurite},
	} {
		t.Run(tt.main.name+"+"+tt.feature.name+"/"+tt.merged.name, func(t *testing.T) {
			testMerge(t, d, tt.main.open(t), tt.feature.open(t), tt.merged.open(t))
		})
	}
}

func testMerge(t *testing.T, d daemon, mainCache, featureCache, merged place) {
	t.Helper()
	seed := newSeed()
	mainDir, featureDir := newContext(t, seed, "main"), newContext(t, seed, "feature")
	goldenMain := d.mustBuild(t, build{context: mainDir, exports: []string{maximal(mainCache, "main")}})
	d.prune(t)
	goldenFeature := d.mustBuild(t, build{
		context: featureDir,
		imports: []string{mainCache.source("main")},
		exports: []string{maximal(featureCache, "feature")},
	})
	if goldenFeature.files[depsFile] != goldenMain.files[depsFile] || goldenFeature.files[appFile] == goldenMain.files[appFile] {
		t.Fatal("the branches must share the dependencies and differ in the application")
	}

	larder(t, "merge", "--from", mainCache.source("main"), "--from", featureCache.source("feature"), "--to", merged.target("all"))
	mustDescribe(t, merged, "all")
	d.mustReuse(t, mainDir, merged.source("all"), goldenMain)
	d.mustReuse(t, featureDir, merged.source("all"), goldenFeature)

	// Without a prune in between, one import must serve both.
	d.prune(t)
	for _, b := range []struct {
		dir  string
		want result
	}{{featureDir, goldenFeature}, {mainDir, goldenMain}} {
		b.want.mustEqual(t, d.mustBuild(t, build{context: b.dir, imports: []string{merged.source("all")}}))
	}
}
