package interop

import (
	"os/exec"
	"testing"
)

// exportImage builds an image, with or without the cache inside.
func (d daemon) exportImage(t *testing.T, dir, output string, more ...string) {
	t.Helper()
	args := append([]string{
		"--addr", d.addr, "build", "--frontend", "dockerfile.v0", "--local", "context=" + dir, "--local", "dockerfile=" + dir,
		"--output", output,
	}, more...)
	if text, err := exec.CommandContext(t.Context(), d.buildctl, args...).CombinedOutput(); err != nil {
		t.Fatalf("buildctl build: %v\n%s", err, text)
	}
}

// TestInline puts a cache into the image of the same build. BuildKit then finds
// every step of its last stage in the image, and needs none of the others.
func TestInline(t *testing.T) {
	const name = "docker.io/larder/app:1.0"
	d := newDaemon(t)
	dir, cache, image := newContext(t, newSeed(), "main"), layout(t.TempDir()), layout(t.TempDir())
	golden := d.mustBuild(t, build{context: dir, exports: []string{maximal(cache, "main")}})
	d.exportImage(t, dir, "type=oci,tar=false,dest="+string(image)+",name="+name)
	before := image.mustDigest(t, "1.0")

	mustCopy(t, cache.source("main"), "type=inline,dest="+string(image)+",tag="+name)
	if after := image.mustDigest(t, "1.0"); after == before {
		t.Errorf("the image is still %s, want one with the cache", after)
	}
	mustHaveInline(t, image, "1.0")
	d.mustReuse(t, dir, image.source("1.0"), golden)
}

// TestInlineInRegistry is the same with images that BuildKit has pushed.
func TestInlineInRegistry(t *testing.T) {
	d := newDaemon(t)
	for _, k := range []kind{openReg, tokenReg} {
		t.Run(k.name, func(t *testing.T) {
			dir, cache, images := newContext(t, newSeed(), "main"), layout(t.TempDir()), newRepository(t, k.name)
			golden := d.mustBuild(t, build{context: dir, exports: []string{maximal(cache, "main")}})
			d.exportImage(t, dir, "type=image,push=true,name="+images.ref("1.0"))

			mustCopy(t, cache.source("main"), "type=inline,ref="+images.ref("1.0"))
			mustHaveInline(t, images, "1.0")
			d.mustReuse(t, dir, images.source("1.0"), golden)
		})
	}
}

// TestInlineByBuildKit has BuildKit put the cache into the image that it
// pushes, and larder copy the image, and make a cache of its own of it.
func TestInlineByBuildKit(t *testing.T) {
	d := newDaemon(t)
	for _, compression := range compressions {
		t.Run(compression, func(t *testing.T) {
			d.prune(t)
			dir, images, copied := newContext(t, newSeed(), "main"), newRepository(t, openReg.name), layout(t.TempDir())
			output := "type=image,push=true,oci-mediatypes=true,force-compression=true,compression=" + compression + ",name=" + images.ref("1.0")
			d.exportImage(t, dir, output, "--export-cache", "type=inline")
			golden := d.mustBuild(t, build{context: dir})
			mustHaveInline(t, images, "1.0")

			mustCopy(t, images.source("1.0"), copied.target("image"))
			mustHaveInline(t, copied, "image")
			d.mustReuse(t, dir, copied.source("image"), golden)

			larder(t, "copy", "--encoding", "oci-manifest", "--from", images.source("1.0"), "--to", copied.target("main"))
			mustDescribe(t, copied, "main")
			d.mustReuse(t, dir, copied.source("main"), golden)
		})
	}
}

// mustHaveInline compares what larder says of a cache inside an image with the
// layers that the image has.
func mustHaveInline(t *testing.T, p place, ref string) {
	t.Helper()
	image := parse[struct {
		Config descriptor
		Layers []descriptor
	}](t, p.document(t, ref))
	config := parse[struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}](t, p.blob(t, image.Config.Digest))
	got := inspect(t, p.source(ref))
	if got.Encoding != "inline" || got.Totals.Results == 0 || len(got.Layers) != len(image.Layers) {
		t.Fatalf("inspect %s = %q, %+v, want an inline cache with %d layers", p.source(ref), got.Encoding, got.Totals, len(image.Layers))
	}
	for i, l := range got.Layers {
		want := image.Layers[i]
		if l.Digest != want.Digest || l.Size != want.Size || l.MediaType != want.MediaType || l.DiffID != config.RootFS.DiffIDs[i] {
			t.Errorf("layer %d = %+v, want %+v with the diffID %s", i, l, want, config.RootFS.DiffIDs[i])
		}
	}
	mustHold(t, p, got)
	mustVerify(t, p.source(ref))
}
