package interop

import (
	"testing"
)

// TestFormats has BuildKit export each form and compression that it knows;
// larder must say what is there, and BuildKit must reuse larder's copy of it.
func TestFormats(t *testing.T) {
	d := newDaemon(t)
	tests := []struct {
		name, options string
		encoding      string
		mediaType     string // of each layer
	}{
		{"min", "mode=min", "oci-manifest", "application/vnd.oci.image.layer.v1.tar+gzip"},
		{"max", "mode=max", "oci-manifest", "application/vnd.oci.image.layer.v1.tar+gzip"},
		{"index", "mode=max,image-manifest=false", "oci-index", "application/vnd.oci.image.layer.v1.tar+gzip"},
		{"docker", "mode=max,oci-mediatypes=false", "docker-list", "application/vnd.docker.image.rootfs.diff.tar.gzip"},
		{"zstd", "mode=max,compression=zstd,force-compression=true", "oci-manifest", "application/vnd.oci.image.layer.v1.tar+zstd"},
		{"estargz", "mode=max,compression=estargz,force-compression=true", "oci-manifest", "application/vnd.oci.image.layer.v1.tar+gzip"},
		{"uncompressed", "mode=max,compression=uncompressed,force-compression=true", "oci-manifest", "application/vnd.oci.image.layer.v1.tar"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d.prune(t)
			dir, exported, copied := newContext(t, newSeed(), "main"), t.TempDir(), t.TempDir()
			golden := d.mustBuild(t, build{
				context: dir,
				exports: []string{"type=local,dest=" + exported + ",tag=main," + tt.options},
			})
			mustDescribe(t, layout(exported), tt.encoding, tt.mediaType)
			mustVerify(t, source(exported, "main"))

			larder(t, "copy", "--from", source(exported, "main"), "--to", target(copied, "other"))
			mustVerify(t, source(copied, "other"))
			want, got := layout(exported).mustDigest(t, "main"), layout(copied).mustDigest(t, "other")
			if got != want {
				t.Errorf("the copy has the digest %s, want BuildKit's own %s", got, want)
			}
			d.mustReuse(t, dir, source(copied, "other"), golden)
		})
	}
}

// mustDescribe compares what larder says of the tag main with what is there.
func mustDescribe(t *testing.T, l layout, encoding, mediaType string) {
	t.Helper()
	config, blobs := l.config(t, "main")
	got := inspect(t, source(string(l), "main"))
	if got.Ref != "main" || got.Encoding != encoding || got.Digest != l.mustDigest(t, "main") {
		t.Errorf("inspect = ref %q, encoding %q, digest %q", got.Ref, got.Encoding, got.Digest)
	}
	if len(config.Layers) == 0 || len(got.Layers) != len(config.Layers) || got.Totals.Layers != len(config.Layers) {
		t.Fatalf("inspect has %d layers, in total %d, want %d", len(got.Layers), got.Totals.Layers, len(config.Layers))
	}
	if len(got.Records) != len(config.Records) || got.Totals.Records != len(config.Records) {
		t.Errorf("inspect has %d records, in total %d, want %d", len(got.Records), got.Totals.Records, len(config.Records))
	}
	for i, layer := range got.Layers {
		want := blobs[config.Layers[i].Blob]
		if layer.Digest != want.Digest || layer.Size != want.Size || layer.DiffID != want.Annotations["containerd.io/uncompressed"] {
			t.Errorf("layer %d = %+v, want %+v", i, layer, want)
		}
		if layer.MediaType != mediaType || want.MediaType != mediaType {
			t.Errorf("layer %d has the type %q, want %q, which BuildKit has as %q", i, layer.MediaType, mediaType, want.MediaType)
		}
	}
}
