package interop

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestList has larder tell caches, images, and images with a cache inside from
// each other, in a repository to which BuildKit has pushed all of them.
func TestList(t *testing.T) {
	d := newDaemon(t)
	for _, k := range []kind{openReg, debianReg} {
		t.Run(k.name, func(t *testing.T) {
			dir, r := newContext(t, newSeed(), "main"), newRepository(t, k.name)
			d.mustBuild(t, build{context: dir, exports: []string{
				maximal(r, "main"),
				maximal(r, "old") + ",image-manifest=false",
				maximal(r, "older") + ",oci-mediatypes=false",
			}})
			d.exportImage(t, dir, "type=image,push=true,name="+r.ref("1.0"))
			d.exportImage(t, dir, "type=image,push=true,name="+r.ref("1.1"), "--export-cache", "type=inline")

			var want []listed
			for _, l := range []listed{
				{Ref: "1.0", Kind: "image"},
				{Ref: "1.1", Kind: "image+cache", Encoding: "inline"},
				{Ref: "main", Kind: "cache", Encoding: ociManifest},
				{Ref: "old", Kind: "cache", Encoding: ociIndex},
				{Ref: "older", Kind: "cache", Encoding: dockerList},
			} {
				l.Digest = digestOf(r.document(t, l.Ref))
				want = append(want, l)
			}
			if diff := cmp.Diff(want, list(t, r)); diff != "" {
				t.Errorf("ls (-there +said):\n%s", diff)
			}
		})
	}
}
