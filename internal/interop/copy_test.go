package interop

import (
	"slices"
	"testing"
)

// TestSeveralTags moves two caches that share layers into one directory, to
// which BuildKit then adds a third.
func TestSeveralTags(t *testing.T) {
	d := newDaemon(t)
	seed, exported, copied := newSeed(), t.TempDir(), t.TempDir()
	branches := map[string]string{"main": newContext(t, seed, "main"), "feature": newContext(t, seed, "feature")}
	golden := map[string]result{}
	for tag, dir := range branches {
		golden[tag] = d.mustBuild(t, build{context: dir, exports: []string{target(exported, tag)}})
		larder(t, "copy", "--from", source(exported, tag), "--to", target(copied, "copy-of-"+tag))
	}
	for tag, dir := range branches {
		d.mustReuse(t, dir, source(copied, "copy-of-"+tag), golden[tag])
	}

	third := newContext(t, seed, "third")
	d.prune(t)
	goldenThird := d.mustBuild(t, build{context: third, exports: []string{target(copied, "third")}})
	got, want := refs(t, copied), []string{"copy-of-feature", "copy-of-main", "third"}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("refs = %q, want %q", got, want)
	}
	for tag, dir := range branches {
		mustVerify(t, source(copied, "copy-of-"+tag))
		d.mustReuse(t, dir, source(copied, "copy-of-"+tag), golden[tag])
	}
	d.mustReuse(t, third, source(copied, "third"), goldenThird)
}

// TestEncodings has larder write each form that a directory can hold.
func TestEncodings(t *testing.T) {
	d := newDaemon(t)
	dir, exported := newContext(t, newSeed(), "main"), t.TempDir()
	golden := d.mustBuild(t, build{context: dir, exports: []string{target(exported, "main")}})
	for _, encoding := range []string{"oci-manifest", "oci-index", "docker-list"} {
		t.Run(encoding, func(t *testing.T) {
			written := t.TempDir()
			larder(t, "copy", "--encoding", encoding, "--from", source(exported, "main"), "--to", target(written, "main"))
			if got := inspect(t, source(written, "main")).Encoding; got != encoding {
				t.Errorf("the encoding is %q, want %q", got, encoding)
			}
			d.mustReuse(t, dir, source(written, "main"), golden)
		})
	}
}
