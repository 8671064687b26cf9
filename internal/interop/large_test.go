package interop

import "testing"

// largeDockerfile has a layer that everybody moves in parts: BuildKit sends 8
// MiB at a time to S3 and 32 MiB to Azure.
const largeDockerfile = `FROM scratch
COPY seed.txt /seed.txt
COPY mk /mk
RUN ["/mk", "random", "/large.bin", "41943040"]
RUN ["/mk", "random", "/small.bin", "64"]
`

// TestLargeLayers passes a large layer on from place to place, beginning with
// what BuildKit wrote to each of two object stores.
func TestLargeLayers(t *testing.T) {
	d := newDaemon(t)
	for _, way := range [][]kind{
		{minio, azurite, openReg},
		{azurite, gcs, local, minio},
	} {
		t.Run("from "+way[0].name, func(t *testing.T) {
			dir, p := newContextFor(t, largeDockerfile, newSeed(), ""), way[0].open(t)
			golden := d.mustBuild(t, build{context: dir, exports: []string{maximal(p, "main")}})
			mustDescribe(t, p, "main")
			for _, k := range way[1:] {
				next := k.open(t)
				mustCopy(t, p.source("main"), next.target("main"))
				mustDescribe(t, next, "main")
				p = next
			}
			d.mustReuse(t, dir, p.source("main"), golden)
		})
	}
}
