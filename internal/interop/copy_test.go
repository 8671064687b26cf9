package interop

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestCopies has BuildKit export one build to every place, and larder copy it
// from each of them to each other one and to another of its kind: principal
// ones both ways, the rest from and to a directory. An empty BuildKit must reuse
// every copy, and the copy must be, byte for byte, what BuildKit itself has
// written to such a place.
func TestCopies(t *testing.T) {
	d := newDaemon(t)
	dir := newContext(t, newSeed(), "main")
	d.prune(t)
	var golden result
	exported := map[string]place{}
	for i, k := range kinds() {
		exported[k.name] = k.open(t)
		r := d.mustBuild(t, build{context: dir, exports: []string{maximal(exported[k.name], "main")}})
		if i > 0 {
			golden.mustEqual(t, r)
		}
		golden = r
	}
	exported[gcs.name] = gcs.open(t)
	mustCopy(t, exported[local.name].source("main"), exported[gcs.name].target("main"))
	for _, to := range append(kinds(), gcs) {
		want := exported[to.name].document(t, "main")
		if to.foreign {
			want = exported[minio.name].document(t, "main")
		}
		for _, from := range append(kinds(), gcs) {
			if !paired(from, to) {
				continue
			}
			t.Run(from.name+"/"+to.name, func(t *testing.T) {
				copied := to.open(t)
				mustCopy(t, exported[from.name].source("main"), copied.target("copy"))
				if got := copied.document(t, "copy"); !bytes.Equal(got, want) {
					t.Errorf("the copy is\n%s\nwant what BuildKit wrote:\n%s", got, want)
				}
				mustDescribe(t, copied, "copy")
				if !to.foreign {
					d.mustReuse(t, dir, copied.source("copy"), golden)
				}
			})
		}
	}
}

// paired reports whether copies from one kind of place to another are tried.
func paired(from, to kind) bool {
	return *full || from.name == local.name || to.name == local.name || from.isPrincipal() && to.isPrincipal()
}

// TestNoLogin copies into and out of places that let nobody in who has no
// account: the message must say what is wrong, and nothing must be written.
func TestNoLogin(t *testing.T) {
	d := newDaemon(t)
	dir := newContext(t, newSeed(), "main")
	empty := "DOCKER_CONFIG=" + t.TempDir()
	for _, k := range []kind{basicReg, tokenReg} {
		t.Run(k.name, func(t *testing.T) {
			p, other := newRepository(t, k.name), layout(t.TempDir())
			d.mustBuild(t, build{context: dir, exports: []string{maximal(p, "main"), maximal(other, "main")}})
			for _, args := range [][]string{
				{"inspect", p.source("main")},
				{"copy", "--from", p.source("main"), "--to", other.target("stolen")},
				{"copy", "--from", other.source("main"), "--to", p.target("planted")},
			} {
				_, err := runLarder(t.Context(), []string{empty}, args...)
				if err == nil || !strings.Contains(err.Error(), "no credentials") {
					t.Errorf("larder %q without login: %v, want that there are no credentials", args, err)
				}
			}
			if _, err := other.digest("stolen"); err == nil {
				t.Error("a cache was read without login")
			}
			if _, err := p.request(t.Context(), http.MethodGet, "manifests/planted"); err == nil {
				t.Error("a cache was written without login")
			}
		})
	}
}

// TestSeveralTags moves two caches that share layers into one directory, to
// which BuildKit then adds a third.
func TestSeveralTags(t *testing.T) {
	d := newDaemon(t)
	seed, exported, copied := newSeed(), layout(t.TempDir()), layout(t.TempDir())
	branches := map[string]string{"main": newContext(t, seed, "main"), "feature": newContext(t, seed, "feature")}
	golden := map[string]result{}
	for tag, dir := range branches {
		golden[tag] = d.mustBuild(t, build{context: dir, exports: []string{maximal(exported, tag)}})
		mustCopy(t, exported.source(tag), copied.target("copy-of-"+tag))
	}
	for tag, dir := range branches {
		d.mustReuse(t, dir, copied.source("copy-of-"+tag), golden[tag])
	}

	third := newContext(t, seed, "third")
	d.prune(t)
	goldenThird := d.mustBuild(t, build{context: third, exports: []string{maximal(copied, "third")}})
	got, want := refs(t, copied), []string{"copy-of-feature", "copy-of-main", "third"}
	if !slices.Equal(got, want) {
		t.Errorf("refs = %q, want %q", got, want)
	}
	for tag, dir := range branches {
		mustVerify(t, copied.source("copy-of-"+tag))
		d.mustReuse(t, dir, copied.source("copy-of-"+tag), golden[tag])
	}
	d.mustReuse(t, third, copied.source("third"), goldenThird)
}

// TestEncodings has larder write each form that a place can hold.
func TestEncodings(t *testing.T) {
	d := newDaemon(t)
	dir, exported := newContext(t, newSeed(), "main"), layout(t.TempDir())
	golden := d.mustBuild(t, build{context: dir, exports: []string{maximal(exported, "main")}})
	for _, k := range []kind{local, openReg} {
		for _, form := range forms {
			t.Run(k.name+"/"+form, func(t *testing.T) {
				written := k.open(t)
				larder(t, "copy", "--encoding", form, "--from", exported.source("main"), "--to", written.target("main"))
				if got := mustDescribe(t, written, "main").Encoding; got != form {
					t.Errorf("the encoding is %q, want %q", got, form)
				}
				d.mustReuse(t, dir, written.source("main"), golden)
			})
		}
	}
}
