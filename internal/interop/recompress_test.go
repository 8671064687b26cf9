package interop

import "testing"

// TestRecompressedCachesAreReused has larder change the compression of a cache in
// a copy. BuildKit must find every step in it.
func TestRecompressedCachesAreReused(t *testing.T) {
	d := newDaemon(t)
	for i, k := range []kind{local, openReg, minio} {
		for j, compression := range []string{"zstd:19", "gzip:9", "estargz", "uncompressed"} {
			if !*full && i != 0 && i != j {
				continue
			}
			t.Run(k.name+"/"+compression, func(t *testing.T) {
				dir, cache, copied := newContext(t, newSeed(), "main"), k.open(t), k.open(t)
				d.prune(t)
				golden := d.mustBuild(t, build{context: dir, exports: []string{maximal(cache, "main")}})
				larder(t, "copy", "--quiet", "--from", cache.source("main"), "--to", copied.target("other"), "--compression", compression, "--force-compression")
				if before, after := mustDescribe(t, cache, "main"), mustDescribe(t, copied, "other"); before.Digest == after.Digest {
					t.Errorf("the copy has the digest of the cache, %s", after.Digest)
				}
				d.mustReuse(t, dir, copied.source("other"), golden)
			})
		}
	}
}
