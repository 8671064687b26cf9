package buildkit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

// sha returns a digest that is easy to recognize.
func sha(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

// store holds documents by digest.
type store map[blob.Digest][]byte

func (s store) fetch(ctx context.Context, d blob.Descriptor) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, ok := s[d.Digest]
	if !ok {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, fs.ErrNotExist)
	}
	return data, nil
}

// add stores a document and returns its descriptor as JSON, with more fields.
func (s store) add(mediaType, data, more string) string {
	d := blob.Describe(mediaType, []byte(data))
	s[d.Digest] = []byte(data)
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d%s}`, mediaType, d.Digest, d.Size, more)
}

func (s store) decode(t *testing.T, mediaType, data string) (*buildkit.Decoded, error) {
	t.Helper()
	return buildkit.Decode(t.Context(), mediaType, []byte(data), s.fetch, buildkit.DecodeOptions{})
}

const (
	gzipLayer     = "application/vnd.oci.image.layer.v1.tar+gzip"
	manifestType  = "application/vnd.oci.image.manifest.v1+json"
	indexType     = "application/vnd.oci.image.index.v1+json"
	imageConfType = "application/vnd.oci.image.config.v1+json"
)

func layerJSON(digit, annotations string) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":7,"annotations":{%s}}`, gzipLayer, sha(digit), annotations)
}

func diffIDJSON(digit string) string {
	return fmt.Sprintf(`"containerd.io/uncompressed":%q`, sha(digit))
}

// ociCache stores a cache of an image manifest and returns the manifest.
func (s store) ociCache(config string, layers ...string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"config":%s,"layers":[%s]}`,
		s.add(buildkit.MediaTypeConfig, config, ""), strings.Join(layers, ","))
}

// twoSteps is a config of two layers, one on the other, each the result of a
// step.
var twoSteps = fmt.Sprintf(`{"layers":[{"blob":%q,"parent":-1},{"blob":%q}],"records":[
	{"digest":"first","layers":[{"layer":0,"createdAt":"2024-02-03T04:05:06Z"}]},
	{"digest":"second","layers":[{"layer":1}],"inputs":[[{"link":0}]]}]}`, sha("a"), sha("b"))

// padded returns text with spaces before it, size bytes in all.
func padded(text string, size int) string {
	return strings.Repeat(" ", size-len(text)) + text
}

func configDigest(config string) string {
	return string(blob.Describe("", []byte(config)).Digest)
}

// TestDecodePartly checks what is kept of a cache that is damaged in part.
func TestDecodePartly(t *testing.T) {
	good := []string{layerJSON("a", diffIDJSON("1")), layerJSON("b", diffIDJSON("2"))}
	for _, tc := range []struct {
		name    string
		config  string
		layers  []string
		results int
		problem string // "" for none
		of      string
	}{
		{"in order", twoSteps, good, 2, "", ""},
		{"layers reversed", twoSteps, []string{good[1], good[0]}, 2, "", ""},
		{"layers repeated", twoSteps, append(slices.Clone(good), good...), 2, "", ""},
		{"upper layer not listed", twoSteps, good[:1], 1, "layers[1] of the cache config is not listed", sha("b")},
		{"lower layer not listed", twoSteps, good[1:], 0, "layers[0] of the cache config is not listed", sha("a")},
		// BuildKit believes the last of several descriptors of a blob.
		{"repeated, first without diffID", twoSteps, []string{layerJSON("a", ""), good[1], good[0]}, 2, "", ""},
		{"repeated, last without diffID", twoSteps, []string{good[0], good[1], layerJSON("a", "")}, 2, "has no diffID", sha("a")},
		{"no diffID", twoSteps, []string{good[0], layerJSON("b", "")}, 2, "has no diffID", sha("b")},
		{"nonsense diffID", twoSteps, []string{good[0], layerJSON("b", `"containerd.io/uncompressed":"../x"`)}, 2, `diffID is "../x"`, sha("b")},
		{"config as large as BuildKit reads", padded(twoSteps, buildkit.ImportLimit), good, 2, "", ""},
		{"config larger than that", padded(twoSteps, buildkit.ImportLimit+1), good, 2, "the cache config has 1048577 bytes", configDigest(padded(twoSteps, buildkit.ImportLimit+1))},
		{
			"nonsense time of a layer", twoSteps,
			[]string{good[0], layerJSON("b", diffIDJSON("2")+`,"buildkit/createdat":"yesterday"`)},
			2, `creation time "yesterday" is not understood`, sha("b"),
		},
		{
			"nonsense time of a result", strings.Replace(twoSteps, "2024-02-03T", "2024-02-03 ", 1), good,
			2, `creation time "2024-02-03 04:05:06Z" is not understood`, "",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := store{}
			found, err := s.decode(t, "", s.ociCache(tc.config, tc.layers...))
			if err != nil {
				t.Fatalf("Decode() = %v, want no error", err)
			}
			if got := len(factsOf(found.Manifest).Results); got != tc.results {
				t.Errorf("%d results, want %d", got, tc.results)
			}
			if tc.problem == "" && len(found.Problems) == 0 {
				return
			}
			if len(found.Problems) != 1 || !strings.Contains(found.Problems[0].Detail, tc.problem) || string(found.Problems[0].Blob) != tc.of {
				t.Errorf("Problems = %v, want one with %q about %q", found.Problems, tc.problem, tc.of)
			}
		})
	}
}

// TestDecodeRefuses checks the kind of each error, and that it names the place.
func TestDecodeRefuses(t *testing.T) {
	s := store{}
	config := s.add(imageConfType, `{"rootfs":{"type":"layers","diff_ids":[]}}`, "")
	layer := layerJSON("a", diffIDJSON("1"))
	flatLayer := fmt.Sprintf(`{"blob":%q,"parent":-1,"annotations":{"mediaType":%q,"diffID":%q,"size":7}}`, sha("a"), gzipLayer, sha("1"))
	for _, tc := range []struct {
		name, mediaType, document string
		want                      error
		says                      string
	}{
		{"nothing", "", ``, blob.ErrInvalid, "is not JSON: unexpected end"},
		{"no JSON", "", `<xml>`, blob.ErrInvalid, "invalid character '<'"},
		{"more than one value", "", `{} {}`, blob.ErrInvalid, "after top-level value at byte 4 of 5"},
		{"deep", "", `{"layers":` + strings.Repeat("[", 20000), blob.ErrInvalid, "exceeded max depth"},
		{"an array", "", `[]`, buildkit.ErrNotCache, "is [], want an object"},
		{"a string", "", `"flat"`, buildkit.ErrNotCache, `is "flat", want an object`},
		{"something else", "", `{"name":"x"}`, buildkit.ErrNotCache, "neither manifests nor config"},
		{"nothing of an image", manifestType, `{}`, buildkit.ErrNotCache, "neither manifests nor config"},
		{"schema 1", "", `{"schemaVersion":1,"fsLayers":[]}`, buildkit.ErrNotCache, "without a config"},
		{"image", "", `{"schemaVersion":2,"config":` + config + `,"layers":[]}`, buildkit.ErrNotCache, "has no field moby.buildkit.cache.v0"},
		{"empty index", "", `{"schemaVersion":2,"manifests":[]}`, buildkit.ErrNotCache, "none of the 0 images"},
		{"index and manifest", "", `{"manifests":[],"layers":[]}`, blob.ErrInvalid, "has manifests like an index, and"},
		{"index called manifest", "", `{"mediaType":"` + manifestType + `","manifests":[]}`, blob.ErrInvalid, "but its mediaType is"},
		{"manifest called index", "", `{"mediaType":"` + indexType + `","layers":[]}`, blob.ErrInvalid, "but its mediaType is"},
		{"layers no array", "", `{"layers":{}}`, blob.ErrInvalid, "layers is {}, want an array"},
		{"layer no object", "", `{"layers":[3]}`, blob.ErrInvalid, "layers[0] is 3, want an object"},
		{"field twice", "", `{"records":[],"records":[]}`, blob.ErrInvalid, "records stands twice"},
		{"escaped field twice", "", `{"records":[],"\u0072ecords":[]}`, blob.ErrInvalid, "records stands twice"},
		{"unknown field twice", "", `{"records":[],"x":1,"x":2}`, blob.ErrInvalid, "x stands twice"},
		{"field in another case", "", `{"records":[],"Layers":[]}`, blob.ErrInvalid, "Layers is spelled in another case than layers"},
		{"annotation twice", "", s.ociCache(twoSteps, layerJSON("a", `"x":"1","x":"2"`)), blob.ErrInvalid, "layers[0].annotations.x stands twice"},
		{"annotation no string", "", s.ociCache(twoSteps, layerJSON("a", `"x":1`)), blob.ErrInvalid, "layers[0].annotations.x is 1, want a string"},
		{"digest missing", "", s.ociCache(twoSteps, `{"size":1}`), blob.ErrInvalid, `layers[0].digest is "", want sha256:`},
		{"negative size", "", s.ociCache(twoSteps, strings.Replace(layer, `"size":7`, `"size":-7`, 1)), blob.ErrInvalid, "layers[0].size is -7, want 0 or more"},
		{"huge size", "", s.ociCache(twoSteps, strings.Replace(layer, `"size":7`, `"size":1e30`, 1)), blob.ErrInvalid, "layers[0].size is 1e30, want a whole number"},
		{"root without parent", "", s.ociCache(strings.Replace(twoSteps, `,"parent":-1`, "", 1), layer), blob.ErrInvalid, "layers[0].parent leads back to layers[0]"},
		{"record without digest", "", `{"records":[{}]}`, blob.ErrInvalid, "records[0].digest is missing"},
		{"chain without layers", "", `{"layers":[` + flatLayer + `],"records":[{"digest":"x","chains":[{}]}]}`, blob.ErrInvalid, "chain has no layer"},
		{"link no number", "", `{"records":[{"digest":"x","inputs":[[{"link":"0"}]]}]}`, blob.ErrInvalid, `records[0].inputs[0][0].link is "0", want a whole number`},
		{"config alone", "", twoSteps, blob.ErrInvalid, "no layer has annotations"},
		{"control character", "", "{\"records\":[{\"digest\":\"a\\u0000b\"}]}", blob.ErrInvalid, "printable"},
		{
			"two configs", "", fmt.Sprintf(`{"manifests":[%s,%s]}`, s.add(buildkit.MediaTypeConfig, "{}", ""), s.add(buildkit.MediaTypeConfig, twoSteps, "")),
			blob.ErrInvalid, "two cache configs, manifests[0] and manifests[1]",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := s.decode(t, tc.mediaType, tc.document)
			if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.says) {
				t.Errorf("Decode() = %v, want %v with %q", err, tc.want, tc.says)
			}
			if errors.Is(err, buildkit.ErrNotCache) == errors.Is(err, blob.ErrInvalid) {
				t.Errorf("Decode() = %v, want either not a cache or invalid", err)
			}
		})
	}
}

// TestDecodeKeepsZones checks that times are not brought into another zone.
func TestDecodeKeepsZones(t *testing.T) {
	s := store{}
	config := strings.Replace(twoSteps, "04:05:06Z", "04:05:06.000000007+05:30", 1)
	found, err := s.decode(t, "", s.ociCache(config, layerJSON("a", diffIDJSON("1")), layerJSON("b", diffIDJSON("2"))))
	if err != nil {
		t.Fatal(err)
	}
	got := found.Manifest.Records[0].Results[0].CreatedAt
	if want := "2024-02-03T04:05:06.000000007+05:30"; got.Format(time.RFC3339Nano) != want {
		t.Errorf("CreatedAt = %s, want %s", got.Format(time.RFC3339Nano), want)
	}
	encoded := mustEncode(t, found.Manifest, buildkit.OCIManifest)
	if !bytes.Contains(encoded.ConfigData, []byte("06.000000007+05:30")) {
		t.Errorf("config = %s, want the time as it was", encoded.ConfigData)
	}
}

// everywhere is a cache with a field that larder does not know at every place
// that can have one.
func everywhere(s store) string {
	config := fmt.Sprintf(`{"layers":[{"blob":%q,"parent":-1,"l":{"a":[1, 2]}}],"records":[{
		"layers":[{"layer":0,"createdAt":"2024-02-03T04:05:06Z","r":null}],
		"chains":[{"layers":[0],"createdAt":"2024-02-03T04:05:06Z","c":"<&>"}],
		"digest":"step","inputs":[[{"selector":"/a<b","link":1,"i":1.50}]],"larder/v1":{"key":"x"}},
		{"digest":"source"}],"zz":true,"aa":"\u0041"}`, sha("a"))
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s],
		"artifactType":"application/x","annotations":{"k":"v"},"subject":{"mediaType":"y"}}`, manifestType,
		s.add(buildkit.MediaTypeConfig, config, `,"annotations":{"of":"config"},"urls":["https://example.com"]`),
		strings.Replace(layerJSON("a", diffIDJSON("1")+`,"own":"annotation"`), `"size"`, `"platform":{"os":"linux"},"size"`, 1))
}

// TestUnknownFieldsSurvive takes a document through each form and compares what
// JSON says, so that order and spelling do not matter.
func TestUnknownFieldsSurvive(t *testing.T) {
	s := store{}
	original := everywhere(s)
	first, err := s.decode(t, "", original)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Problems) > 0 {
		t.Errorf("Problems = %v, want none", first.Problems)
	}
	for _, enc := range []buildkit.Encoding{buildkit.OCIManifest, buildkit.OCIIndex, buildkit.DockerList, buildkit.Flat} {
		t.Run(string(enc), func(t *testing.T) {
			encoded := mustEncode(t, first.Manifest, enc)
			s[encoded.Config.Digest] = encoded.ConfigData
			again, err := s.decode(t, "", string(encoded.Data))
			if err != nil {
				t.Fatal(err)
			}
			if again.Encoding != enc {
				t.Errorf("Encoding = %s, want %s", again.Encoding, enc)
			}
			if enc == buildkit.Flat {
				again.Manifest.Envelope = first.Manifest.Envelope // the one thing it has no place for
			}
			back := mustEncode(t, again.Manifest, buildkit.OCIManifest)
			if diff := cmp.Diff(meaning(t, s[digestOfConfig(t, original)]), meaning(t, back.ConfigData)); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
			want, got := meaning(t, []byte(original)), meaning(t, back.Data)
			forgetConfig(want)
			forgetConfig(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
		})
	}
}

func digestOfConfig(t *testing.T, document string) blob.Digest {
	t.Helper()
	var m struct{ Config blob.Descriptor }
	if err := json.Unmarshal([]byte(document), &m); err != nil {
		t.Fatal(err)
	}
	return m.Config.Digest
}

// forgetConfig removes what follows from the spelling of the config.
func forgetConfig(document any) {
	object, _ := document.(map[string]any)
	config, _ := object["config"].(map[string]any)
	delete(config, "digest")
	delete(config, "size")
}

// meaning returns JSON as Go values, numbers as they are written.
func meaning(t *testing.T, data []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return v
}

// TestDecodeObeys checks limits and context.
func TestDecodeObeys(t *testing.T) {
	s := store{}
	document := s.ociCache(twoSteps, layerJSON("a", ""), layerJSON("b", ""))
	limited := func(limit int64) error {
		_, err := buildkit.Decode(t.Context(), "", []byte(document), s.fetch, buildkit.DecodeOptions{ReadLimit: limit})
		return err
	}
	size := int64(max(len(document), len(twoSteps)))
	if err := limited(size); err != nil {
		t.Errorf("Decode(ReadLimit: size) = %v, want no error", err)
	}
	if err := limited(int64(len(document)) - 1); !errors.Is(err, blob.ErrTooLarge) || !strings.Contains(err.Error(), "the document has") {
		t.Errorf("Decode(ReadLimit: less than the document) = %v, want %v", err, blob.ErrTooLarge)
	}
	large := s.ociCache(strings.Repeat(" ", 2*len(document)) + twoSteps)
	_, err := buildkit.Decode(t.Context(), "", []byte(large), s.fetch, buildkit.DecodeOptions{ReadLimit: size})
	if !errors.Is(err, blob.ErrTooLarge) || !strings.Contains(err.Error(), "cache config sha256:") {
		t.Errorf("Decode(ReadLimit: less than the config) = %v, want %v", err, blob.ErrTooLarge)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := buildkit.Decode(ctx, "", []byte(document), s.fetch, buildkit.DecodeOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Decode(canceled) = %v, want %v", err, context.Canceled)
	}
	if _, err := buildkit.Decode(t.Context(), "", []byte(document), nil, buildkit.DecodeOptions{}); !errors.Is(err, blob.ErrInvalid) {
		t.Errorf("Decode(no Fetch) = %v, want %v", err, blob.ErrInvalid)
	}
}

// TestDecodeCounts feeds documents of very many tiny things.
func TestDecodeCounts(t *testing.T) {
	for _, tc := range []struct {
		name, head, item, tail string
		n                      int
	}{
		{"positions", `{"records":[{"digest":"x","chains":[{"layers":[0`, ",0", `]}]}]}`, 5 << 20},
		{"inputs", `{"records":[{"digest":"x","inputs":[[]`, ",[]", `]}]}`, 5 << 20},
		{"unknown fields", `{"records":[{"digest":"x"}`, `,{"digest":"x","a":0}`, `]}`, 300 << 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			document := tc.head + strings.Repeat(tc.item, tc.n) + tc.tail
			if _, err := (store{}).decode(t, "", document); !errors.Is(err, blob.ErrTooLarge) {
				t.Errorf("Decode(%d items) = %.200v, want %v", tc.n, err, blob.ErrTooLarge)
			}
		})
	}
}

// TestProblemsAreBounded damages very many layers.
func TestProblemsAreBounded(t *testing.T) {
	s := store{}
	layers := strings.Repeat(fmt.Sprintf(`{"blob":%q,"parent":-1},`, sha("a")), 5000)
	found, err := s.decode(t, "", s.ociCache(`{"layers":[`+strings.TrimSuffix(layers, ",")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(found.Problems); n != 1001 || found.Problems[n-1].Detail != "and 4000 problems more" {
		t.Errorf("%d problems, the last %v; want 1000 and how many more", n, found.Problems[n-1])
	}
}
