package interop

import (
	"os"
	"slices"
	"testing"
)

// TestRepair breaks one layer of a cache. BuildKit would fail each build that
// imports it; after the repair it must build, and reuse all the rest.
func TestRepair(t *testing.T) {
	d := newDaemon(t)
	tests := []struct {
		name    string
		holds   string // a file in the layer that is broken
		damage  func(t *testing.T, path string)
		missing int // what verify must find
		corrupt int
		rebuilt string // the random file whose step needs the layer
	}{
		{"missing", appFile, removeFile, 1, 0, lastFile},
		{"truncated", appFile, truncate, 0, 1, lastFile},
		{"changed", appFile, flipByte, 0, 1, lastFile},
		{"not in the image", "app.bin", removeFile, 1, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d.prune(t)
			dir, cache := newContext(t, newSeed(), "main"), t.TempDir()
			golden := d.mustBuild(t, build{context: dir, exports: []string{target(cache, "main")}})
			lost := layout(cache).layerWith(t, "main", tt.holds)
			tt.damage(t, layout(cache).blob(lost))

			out, err := runLarder(t.Context(), built(t).larder, "verify", "--json", source(cache, "main"))
			v := parse[verification](t, out)
			if err == nil || v.OK || len(v.Missing) != tt.missing || len(v.Corrupt) != tt.corrupt || v.RecordsLost == 0 {
				t.Fatalf("verify = %+v, %v, want a failure with %d missing and %d corrupt", v, err, tt.missing, tt.corrupt)
			}
			if broken := slices.Concat(v.Missing, v.Corrupt); broken[0].Digest != lost {
				t.Errorf("verify blames %s, want %s", broken[0].Digest, lost)
			}

			larder(t, "verify", "--repair", source(cache, "main"))
			mustVerify(t, source(cache, "main"))
			d.prune(t)
			got := d.mustBuild(t, build{context: dir, imports: []string{source(cache, "main")}})
			for _, name := range []string{depsFile, toolsFile, appFile, lastFile} {
				if rebuilt := got.files[name] != golden.files[name]; rebuilt != (name == tt.rebuilt) {
					t.Errorf("%s rebuilt = %t, want %t; cached: %v", name, rebuilt, !rebuilt, got.cached)
				}
			}
		})
	}
}

func removeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
}

func flipByte(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.Chmod(path, 0o644); err != nil { // BuildKit stores blobs read-only
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
