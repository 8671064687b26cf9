package buildkit_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// TestEncodeDecodeIsIdentity takes arbitrary manifests through each form.
func TestEncodeDecodeIsIdentity(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := drawManifest(rt)
		for _, enc := range []buildkit.Encoding{buildkit.OCIManifest, buildkit.OCIIndex, buildkit.DockerList, buildkit.Flat} {
			encoded, err := buildkit.Encode(m, enc, buildkit.EncodeOptions{Limit: -1})
			if err != nil {
				rt.Fatalf("Encode(%s) = %v, want no error", enc, err)
			}
			s := store{encoded.Config.Digest: encoded.ConfigData}
			found, err := s.decode(t, "", string(encoded.Data))
			if err != nil {
				rt.Fatalf("Decode(%s) = %v, want no error", encoded.Data, err)
			}
			ignore := cmpopts.IgnoreFields(manifest.Layer{}, "MediaType")
			if enc == buildkit.Flat {
				ignore = cmpopts.IgnoreFields(manifest.Manifest{}, "Envelope")
			}
			if diff := cmp.Diff(m, found.Manifest, cmpopts.EquateEmpty(), ignore); diff != "" {
				rt.Fatalf("%s (-want +got):\n%s", enc, diff)
			}
			if found.Encoding != enc || len(found.Problems) > 0 {
				rt.Fatalf("Encoding = %s with problems %v, want %s with none", found.Encoding, found.Problems, enc)
			}
		}
	})
}

// drawManifest draws a manifest that can be encoded. Results that are chains
// come last, as in what is decoded.
func drawManifest(t *rapid.T) *manifest.Manifest {
	m := &manifest.Manifest{Extra: drawFields(t), Envelope: drawFields(t)}
	for i := range rapid.IntRange(1, 5).Draw(t, "layers") {
		m.Layers = append(m.Layers, manifest.Layer{
			Digest: drawDigest(t, "blob", i), DiffID: drawDigest(t, "diffID", i), Size: rapid.Int64Range(1, 1<<62).Draw(t, "size"),
			MediaType: rapid.SampledFrom([]string{gzipLayer, "application/vnd.docker.image.rootfs.diff.tar.zstd"}).Draw(t, "type"),
			Parent:    rapid.IntRange(-1, i-1).Draw(t, "parent"), CreatedAt: drawTime(t),
			Annotations: rapid.MapOfN(rapid.String(), rapid.String(), 0, 2).Draw(t, "annotations"),
			Extra:       drawFields(t), DescriptorExtra: drawFields(t),
		})
	}
	layer := rapid.IntRange(0, len(m.Layers)-1)
	for i := range rapid.IntRange(1, 5).Draw(t, "records") {
		r := manifest.Record{
			Digest:  blob.Digest(rapid.StringMatching(`[ -~é]{1,20}`).Draw(t, "key")),
			Results: []manifest.Result{{Layer: layer.Draw(t, "layer"), CreatedAt: drawTime(t), Extra: drawFields(t)}},
			Extra:   drawFields(t),
		}
		for range rapid.IntRange(0, 2).Draw(t, "chains") {
			chain := rapid.SliceOfN(layer, 1, 3).Draw(t, "chain")
			r.Results = append(r.Results, manifest.Result{Chain: chain, CreatedAt: drawTime(t), Extra: drawFields(t)})
		}
		for range rapid.IntRange(0, min(i, 2)).Draw(t, "inputs") {
			r.Inputs = append(r.Inputs, drawLinks(t, i))
		}
		m.Records = append(m.Records, r)
	}
	return m
}

// drawLinks draws links to earlier records.
func drawLinks(t *rapid.T, before int) []manifest.Link {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) manifest.Link {
		return manifest.Link{
			Record:   rapid.IntRange(0, before-1).Draw(t, "link"),
			Selector: rapid.String().Draw(t, "selector"),
			Extra:    drawFields(t),
		}
	}), 1, 3).Draw(t, "links")
}

// drawDigest draws a digest that depends on the position, so that no two layers
// disagree about one blob.
func drawDigest(t *rapid.T, of string, i int) blob.Digest {
	return blob.Digest(fmt.Sprintf("sha256:%063x%x", rapid.Uint64().Draw(t, of), i))
}

func drawTime(t *rapid.T) time.Time {
	if rapid.Bool().Draw(t, "known") {
		return time.Time{}
	}
	zone := time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "zone"))
	return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).In(zone)
}

// drawFields draws unknown fields; no field of the format begins with "x/".
func drawFields(t *rapid.T) manifest.Fields {
	return rapid.Custom(func(t *rapid.T) manifest.Fields {
		fields := make(manifest.Fields)
		for name, content := range rapid.MapOfN(rapid.String(), rapid.String(), 0, 2).Draw(t, "fields") {
			fields["x/"+name], _ = json.Marshal([]any{content, 1.5, nil, map[string]string{name: content}})
		}
		return fields
	}).Draw(t, "unknown")
}
