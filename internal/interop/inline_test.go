package interop

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// exportImage builds an image without cache.
func (d daemon) exportImage(t *testing.T, dir, output string) {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), d.buildctl,
		"--addr", d.addr, "build", "--frontend", "dockerfile.v0", "--local", "context="+dir, "--local", "dockerfile="+dir,
		"--output", output).CombinedOutput()
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
	d.exportImage(t, dir, "type=oci,tar=false,dest="+image+",name="+name)
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

// TestInlineInRegistry is the same with an image that BuildKit has pushed.
func TestInlineInRegistry(t *testing.T) {
	d, host := newDaemon(t), os.Getenv("LARDER_TEST_REGISTRY")
	if host == "" {
		unavailable(t, "there is no registry in LARDER_TEST_REGISTRY")
	}
	seed := newSeed()
	dir, cache := newContext(t, seed, "main"), t.TempDir()
	image := host + "/interop/" + strings.ToLower(seed) + ":1.0"
	golden := d.mustBuild(t, build{context: dir, exports: []string{target(cache, "main")}})
	d.exportImage(t, dir, "type=image,push=true,name="+image)

	larder(t, "copy", "--from", source(cache, "main"), "--to", "type=inline,ref="+image)
	location := "type=registry,ref=" + image
	if got := inspect(t, location).Encoding; got != "inline" {
		t.Errorf("the encoding is %q, want inline", got)
	}
	mustVerify(t, location)
	d.mustReuse(t, dir, location, golden)
}
