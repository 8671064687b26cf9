package interop

import (
	"slices"
	"testing"
)

// defects are what can go wrong with a layer of a cache, the most different
// first.
var defects = []struct {
	name    string
	holds   string // a file in the layer that is spoilt
	damage  damage
	missing int    // what verify must find
	corrupt int    //
	rebuilt string // the random file whose step needs the layer
}{
	{"missing", appFile, removed, 1, 0, lastFile},
	{"changed", appFile, changed, 0, 1, lastFile},
	{"truncated", appFile, truncated, 0, 1, lastFile},
	{"not in the image", "app.bin", removed, 1, 0, ""},
}

// TestRepair breaks one layer of a cache. BuildKit fails each build that needs
// it; after the repair it must build, and reuse all the rest.
func TestRepair(t *testing.T) {
	d := newDaemon(t)
	for _, k := range []kind{local, rottenReg, minio, azurite} {
		for i, tt := range defects {
			if !*full && k.name != local.name && i > 1 {
				continue
			}
			t.Run(k.name+"/"+tt.name, func(t *testing.T) {
				d.prune(t)
				dir, cache, saved := newContext(t, newSeed(), "main"), k.open(t), layout(t.TempDir())
				golden := d.mustBuild(t, build{context: dir, exports: []string{maximal(cache, "main")}})
				mustCopy(t, cache.source("main"), saved.target("main"))
				lost := layerWith(t, cache, "main", tt.holds)
				cache.spoil(t, lost, tt.damage)

				v := mustFail(t, cache.source("main"))
				if len(v.Missing) != tt.missing || len(v.Corrupt) != tt.corrupt || v.RecordsLost == 0 {
					t.Fatalf("verify = %+v, want %d missing and %d corrupt", v, tt.missing, tt.corrupt)
				}
				if broken := slices.Concat(v.Missing, v.Corrupt); broken[0].Digest != lost {
					t.Errorf("verify blames %s, want %s", broken[0].Digest, lost)
				}
				d.prune(t)
				fails := tt.rebuilt != ""
				if _, err := d.build(t.Context(), build{context: dir, imports: []string{cache.source("main")}}); (err != nil) != fails {
					t.Errorf("BuildKit with the broken cache: %v, want failure = %t", err, fails)
				}

				larder(t, "verify", "--repair", cache.source("main"))
				mustDescribe(t, cache, "main")
				d.prune(t)
				got := d.mustBuild(t, build{context: dir, imports: []string{cache.source("main")}})
				for _, name := range []string{depsFile, toolsFile, appFile, lastFile} {
					if rebuilt := got.files[name] != golden.files[name]; rebuilt != (name == tt.rebuilt) {
						t.Errorf("%s rebuilt = %t, want %t; cached: %v", name, rebuilt, !rebuilt, got.cached)
					}
				}

				// Nothing of what was broken may be in the way of a good one.
				mustCopy(t, saved.source("main"), cache.target("main"))
				mustDescribe(t, cache, "main")
				d.mustReuse(t, dir, cache.source("main"), golden)
			})
		}
	}
}

// mustFail returns what larder finds wrong with a cache.
func mustFail(t *testing.T, location string) verification {
	t.Helper()
	out, err := runLarder(t.Context(), nil, "verify", "--json", location)
	v := parse[verification](t, out)
	if err == nil || v.OK {
		t.Fatalf("verify %s = %+v, %v, want a failure", location, v, err)
	}
	return v
}
