package buildkit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// small returns a manifest of one layer and one record.
func small() *manifest.Manifest {
	return &manifest.Manifest{
		Layers: []manifest.Layer{{
			Digest: blob.Digest(sha("a")), DiffID: blob.Digest(sha("1")), Size: 7, MediaType: gzipLayer, Parent: manifest.NoParent,
		}},
		Records: []manifest.Record{{Digest: "step", Results: []manifest.Result{{Layer: 0}}}},
	}
}

// TestEncodeRefuses checks that nothing is written that BuildKit would refuse.
func TestEncodeRefuses(t *testing.T) {
	raw := func(name, value string) manifest.Fields { return manifest.Fields{name: json.RawMessage(value)} }
	for _, tc := range []struct {
		name  string
		spoil func(*manifest.Manifest)
		says  string
	}{
		{"empty", func(m *manifest.Manifest) { *m = manifest.Manifest{} }, "no results"},
		{"links only", func(m *manifest.Manifest) { m.Records[0].Results = nil }, "no results"},
		{"no diffID", func(m *manifest.Manifest) { m.Layers[0].DiffID = "" }, "layers[0]"},
		{"no bytes", func(m *manifest.Manifest) { m.Layers[0].Size = 0 }, "layers[0]"},
		{"unknown media type", func(m *manifest.Manifest) { m.Layers[0].MediaType = "application/octet-stream" }, "application/octet-stream"},
		{"digest", func(m *manifest.Manifest) { m.Layers[0].Digest = "../../etc/passwd" }, "../../etc/passwd"},
		{"parent", func(m *manifest.Manifest) { m.Layers[0].Parent = 0 }, "layers[0]"},
		{"layer of a result", func(m *manifest.Manifest) { m.Records[0].Results[0].Layer = 1 }, "records[0]"},
		{"time", func(m *manifest.Manifest) {
			m.Records[0].Results[0].CreatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		}, "year"},
		{"unknown field that is known", func(m *manifest.Manifest) { m.Records[0].Extra = raw("digest", `"x"`) }, "digest"},
		{"unknown field in another case", func(m *manifest.Manifest) { m.Extra = raw("Records", `[]`) }, "Records"},
		{"unknown field no JSON", func(m *manifest.Manifest) { m.Layers[0].Extra = raw("x", `{`) }, "x is not JSON"},
		{"annotation that is a field", func(m *manifest.Manifest) {
			m.Layers[0].Annotations = map[string]string{"containerd.io/uncompressed": sha("2")}
		}, "containerd.io/uncompressed"},
	} {
		for _, enc := range []buildkit.Encoding{buildkit.OCIManifest, buildkit.OCIIndex, buildkit.DockerList, buildkit.Flat} {
			t.Run(tc.name+"/"+string(enc), func(t *testing.T) {
				m := small()
				tc.spoil(m)
				_, err := buildkit.Encode(m, enc, buildkit.EncodeOptions{})
				if !errors.Is(err, blob.ErrInvalid) || !strings.Contains(fmt.Sprint(err), tc.says) {
					t.Errorf("Encode() = %v, want %v with %q", err, blob.ErrInvalid, tc.says)
				}
			})
		}
	}
	for _, enc := range []buildkit.Encoding{buildkit.Inline, "", "flat "} {
		if _, err := buildkit.Encode(small(), enc, buildkit.EncodeOptions{}); !errors.Is(err, blob.ErrInvalid) {
			t.Errorf("Encode(%q) = %v, want %v", enc, err, blob.ErrInvalid)
		}
	}
}

// TestEncodeEnvelopeRefuses has what only a document around the config can have.
func TestEncodeEnvelopeRefuses(t *testing.T) {
	for _, envelope := range []manifest.Fields{
		{"layers": json.RawMessage(`[]`)},
		{"manifests": json.RawMessage(`[]`)},
		{"config": json.RawMessage(`[]`)},
		{"config": json.RawMessage(`{"digest":"x"}`)},
	} {
		m := small()
		m.Envelope = envelope
		if _, err := buildkit.Encode(m, buildkit.OCIManifest, buildkit.EncodeOptions{}); !errors.Is(err, blob.ErrInvalid) {
			t.Errorf("Encode(Envelope: %s) = %v, want %v", envelope, err, blob.ErrInvalid)
		}
	}
}

// TestEncodeAsEncodingJSON compares the bytes with those of encoding/json for
// BuildKit's types, on text that needs escapes.
func TestEncodeAsEncodingJSON(t *testing.T) {
	for _, text := range []string{"", "/a b", `"\/`, "<&>", "\x00\n\t\x7f", "é\u2028\u2029😀", "\ufffd"} {
		m := small()
		m.Records = append(m.Records, manifest.Record{Digest: "é<&>", Inputs: [][]manifest.Link{{{Selector: text}}}})
		got := mustEncode(t, m, buildkit.Flat).Data
		var c config
		if err := json.Unmarshal(got, &c); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		if c.Records[1].Inputs[0][0].Selector != text {
			t.Errorf("selector = %q, want %q", c.Records[1].Inputs[0][0].Selector, text)
		}
		want, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("Encode() = %s, want %s", got, want)
		}
	}
}

// TestEncodeOrdersUnknownFields pins the bytes down: known fields first, then
// the others by name.
func TestEncodeOrdersUnknownFields(t *testing.T) {
	m := &manifest.Manifest{
		Layers:  small().Layers,
		Records: []manifest.Record{{Digest: "s", Results: []manifest.Result{{Chain: []int{0, 0}}}, Extra: manifest.Fields{}}},
	}
	for _, name := range []string{"c", "a", "z", "b", "A"} {
		m.Records[0].Extra[name] = json.RawMessage(" [ 1,2 ] ")
	}
	want := `"records":[{"chains":[{"layers":[0,0],"createdAt":"0001-01-01T00:00:00Z"}],"digest":"s",` +
		`"A":[1,2],"a":[1,2],"b":[1,2],"c":[1,2],"z":[1,2]}]}`
	if got := string(mustEncode(t, m, buildkit.OCIManifest).ConfigData); !strings.HasSuffix(got, want) {
		t.Errorf("config = %s, want it to end in %s", got, want)
	}
}

// TestEncodeLimitsConfig has a config beyond BuildKit's limit in a document
// within it.
func TestEncodeLimitsConfig(t *testing.T) {
	m := small()
	m.Records = append(m.Records, manifest.Record{Digest: "x", Inputs: [][]manifest.Link{{{Selector: strings.Repeat("x", buildkit.ImportLimit)}}}})
	if _, err := buildkit.Encode(m, buildkit.OCIManifest, buildkit.EncodeOptions{}); !errors.Is(err, blob.ErrTooLarge) {
		t.Errorf("Encode() = %v, want %v", err, blob.ErrTooLarge)
	}
	mustEncode(t, m, buildkit.Flat)
}

func TestEncodeMediaTypes(t *testing.T) {
	const oci, docker = "application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."
	for _, tc := range []struct{ oci, docker string }{
		{oci + "v1.tar", docker + "diff.tar"},
		{oci + "v1.tar+gzip", docker + "diff.tar.gzip"},
		{oci + "v1.tar+zstd", docker + "diff.tar.zstd"},
		{oci + "nondistributable.v1.tar", docker + "foreign.diff.tar"},
		{oci + "nondistributable.v1.tar+gzip", docker + "foreign.diff.tar.gzip"},
	} {
		for _, given := range []string{tc.oci, tc.docker} {
			for enc, want := range map[buildkit.Encoding]string{
				buildkit.OCIManifest: tc.oci, buildkit.OCIIndex: tc.oci, buildkit.DockerList: tc.docker, buildkit.Flat: given,
			} {
				m := small()
				m.Layers[0].MediaType = given
				if got := string(mustEncode(t, m, enc).Data); !strings.Contains(got, `"mediaType":"`+want+`"`) {
					t.Errorf("Encode(%s) of %s = %s, want %s", enc, given, got, want)
				}
			}
		}
	}
	m := small()
	m.Layers[0].MediaType = oci + "nondistributable.v1.tar+zstd"
	if _, err := buildkit.Encode(m, buildkit.DockerList, buildkit.EncodeOptions{}); !errors.Is(err, blob.ErrInvalid) {
		t.Errorf("Encode(docker-list) of a type that Docker has not = %v, want %v", err, blob.ErrInvalid)
	}
}
