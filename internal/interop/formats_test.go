package interop

import (
	"strings"
	"testing"
)

// format is one way for BuildKit to export a cache.
type format struct{ mode, compression, form string }

var (
	modes        = []string{"max", "min"}
	compressions = []string{"gzip", "zstd", "estargz", "uncompressed"}
	forms        = []string{ociManifest, ociIndex, dockerList}
)

func (f format) String() string { return f.mode + "/" + f.compression + "/" + f.form }

// options spells the format for buildctl. BuildKit writes no image manifest
// with Docker's media types.
func (f format) options() string {
	options := ",mode=" + f.mode
	if f.compression != compressions[0] {
		options += ",force-compression=true,compression=" + f.compression
	}
	switch f.form {
	case ociIndex:
		options += ",image-manifest=false"
	case dockerList:
		options += ",oci-mediatypes=false"
	}
	return options
}

// mediaType is that of all layers.
func (f format) mediaType() string {
	prefix, separator := "application/vnd.oci.image.layer.v1.tar", "+"
	if f.form == dockerList {
		prefix, separator = "application/vnd.docker.image.rootfs.diff.tar", "."
	}
	switch f.compression {
	case "uncompressed":
		return prefix
	case "zstd":
		return prefix + separator + "zstd"
	}
	return prefix + separator + "gzip"
}

// oddities counts in how many ways the format differs from BuildKit's usual.
func (f format) oddities() int {
	n := 0
	for _, odd := range []bool{f.mode != modes[0], f.compression != compressions[0], f.form != forms[0]} {
		if odd {
			n++
		}
	}
	return n
}

// formats are the ways to export to a kind of place that are to be tried.
// BuildKit writes to object stores in one form, and heeds no compression there.
func formats(k kind) []format {
	var all []format
	if k.encoding == flat {
		for _, mode := range modes {
			if *full || k.isPrincipal() || mode == modes[0] {
				all = append(all, format{mode, compressions[0], flat})
			}
		}
		return all
	}
	for _, mode := range modes {
		for _, compression := range compressions {
			for _, form := range forms {
				f := format{mode, compression, form}
				if *full || f.oddities() == 0 || f.oddities() == 1 && (k.isPrincipal() || k.old && form != forms[0]) {
					all = append(all, f)
				}
			}
		}
	}
	return all
}

// TestFormats has BuildKit export to each place in each form and compression
// that it knows there. larder must say of each what is there, and BuildKit must
// reuse larder's copy of it.
func TestFormats(t *testing.T) {
	d := newDaemon(t)
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			for _, f := range formats(k) {
				t.Run(f.String(), func(t *testing.T) {
					testFormat(t, d, k, f)
				})
			}
		})
	}
}

func testFormat(t *testing.T, d daemon, k kind, f format) {
	t.Helper()
	dir, p, copied := newContext(t, newSeed(), "main"), k.open(t), k.open(t)
	d.prune(t)
	golden := d.mustBuild(t, build{context: dir, exports: []string{p.target("main") + f.options()}})
	there := mustDescribe(t, p, "main")
	if there.Encoding != f.form {
		t.Errorf("the encoding is %q, want %q", there.Encoding, f.form)
	}
	for i, l := range there.Layers {
		if l.MediaType != f.mediaType() {
			t.Errorf("layer %d has the type %q, want %q", i, l.MediaType, f.mediaType())
		}
	}
	if estargz := strings.Contains(string(p.document(t, "main")), "containerd.io/snapshot/stargz/toc.digest"); estargz != (f.compression == "estargz") {
		t.Errorf("the layers are estargz: %t, want %t", estargz, !estargz)
	}

	mustCopy(t, p.source("main"), copied.target("other"))
	if got := mustDescribe(t, copied, "other").Digest; got != there.Digest {
		t.Errorf("the copy has the digest %s, want BuildKit's own %s", got, there.Digest)
	}
	d.mustReuse(t, dir, copied.source("other"), golden)
}
