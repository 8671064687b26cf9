package interop

import (
	"os/exec"
	"testing"
)

// exportImage builds an image without cache into a directory, under a name.
func (d daemon) exportImage(t *testing.T, dir, dest, name string) {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), d.buildctl,
		"--addr", d.addr, "build", "--frontend", "dockerfile.v0", "--local", "context="+dir, "--local", "dockerfile="+dir,
		"--output", "type=oci,tar=false,dest="+dest+",name="+name).CombinedOutput()
	if err != nil {
		t.Fatalf("buildctl build: %v\n%s", err, text)
	}
}

// TestInline puts a cache into the image of the same build. BuildKit then finds
// every step of its last stage in the image, and needs none of the others.
func TestInline(t *testing.T) {
	const name = "docker.io/larder/app:1.0"
	d := newDaemon(t)
	dir, cache, image := newContext(t, newSeed(), "main"), t.TempDir(), t.TempDir()
	golden := d.mustBuild(t, build{context: dir, exports: []string{target(cache, "main")}})
	d.exportImage(t, dir, image, name)
	before := layout(image).mustDigest(t, "1.0")

	larder(t, "copy", "--from", source(cache, "main"), "--to", "type=inline,dest="+image+",tag="+name)
	if after := layout(image).mustDigest(t, "1.0"); after == before {
		t.Errorf("the image is still %s, want one with the cache", after)
	}
	if got := inspect(t, source(image, "1.0")).Encoding; got != "inline" {
		t.Errorf("the encoding is %q, want inline", got)
	}
	mustVerify(t, source(image, "1.0"))
	d.mustReuse(t, dir, source(image, "1.0"), golden)
}
