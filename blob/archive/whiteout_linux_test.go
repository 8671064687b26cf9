package archive_test

import (
	"archive/tar"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
)

// TestWhiteoutsOfNoName has whiteouts that would remove a directory from within.
func TestWhiteoutsOfNoName(t *testing.T) {
	for _, name := range []string{".wh.", ".wh..", ".wh...", "x/.wh.", "x/.wh..", "x/.wh..."} {
		dir := t.TempDir()
		writeFile(t, dir, "x/mine", "m")
		layers := []archive.Layer{layerOf(tarOf(t, entry{"x/lower", tar.TypeReg, "l"}), false), layerOf(tarOf(t, entry{name, tar.TypeReg, ""}), false)}
		if _, err := archive.Extract(t.Context(), dir, layers, archive.ExtractOptions{}); !errors.Is(err, blob.ErrInvalid) {
			t.Errorf("Extract(%s) = %v, want %v", name, err, blob.ErrInvalid)
		}
		if diff := cmp.Diff(map[string]string{"x": "/", "x/mine": "m"}, tree(t, dir)); diff != "" {
			t.Errorf("%s: directory has changed (-before +after)\n%s", name, diff)
		}
	}
}
