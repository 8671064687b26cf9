package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-build/larder/internal/fixtures"
)

// TestCopyToAnImage puts the cache of a build into the image of that build, and
// refuses to do so where there is no image.
func TestCopyToAnImage(t *testing.T) {
	inLayout(t, "buildkit/local-oci-manifest")
	image := fixtures.Extract(t, "buildkit/registry-image-with-inline-cache")
	if err := os.Rename(filepath.Join(image, "layout"), "image"); err != nil {
		t.Fatal(err)
	}
	const from, to = "type=local,src=cache", "type=inline,src=image,tag=1.0"
	got := execute(t, "copy", "--from", from, "--to", to)
	want := ", attached 8 records, in "
	if got.status != statusDone || !strings.Contains(got.out, ": unchanged ") || !strings.Contains(got.out, want) {
		t.Errorf("copy to an image: status %d, %s%s, want 0, unchanged and %q", got.status, got.out, got.err, want)
	}
	got = execute(t, "copy", "--from", from, "--to", "type=inline,src=image,tag=absent")
	if got.status == statusDone || !strings.Contains(got.err, "absent") {
		t.Errorf("copy to an image that is not there: status %d, %q, want a failure that names it", got.status, got.err)
	}
	got = execute(t, "copy", "--from", from, "--to", "type=inline,tag=1.0")
	if got.status != statusUsage {
		t.Errorf("copy to no store: status %d, %q, want %d", got.status, got.err, statusUsage)
	}
}
