package buildkit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// inlineImage returns the image that BuildKit wrote with an inline cache.
func inlineImage(tb testing.TB) (imageManifest, imageConfig []byte) {
	tb.Helper()
	image := layoutDocument(tb, "buildkit/registry-image-with-inline-cache", "1.0")
	return image.data, configOf(tb, image.data, image.fetch)
}

func configOf(tb testing.TB, imageManifest []byte, fetch buildkit.Fetch) []byte {
	tb.Helper()
	var m ocispec.Manifest
	if err := json.Unmarshal(imageManifest, &m); err != nil {
		tb.Fatal(err)
	}
	config, err := fetch(tb.Context(), m.Config)
	if err != nil {
		tb.Fatal(err)
	}
	return config
}

// withoutCache takes the cache out of an image, by means of its own.
func withoutCache(tb testing.TB, imageManifest, imageConfig []byte) (bareManifest, bareConfig []byte) {
	tb.Helper()
	const name = `"moby.buildkit.cache.v0":"`
	start := bytes.Index(imageConfig, []byte(name))
	length := bytes.IndexByte(imageConfig[start+len(name):], '"')
	if start < 0 || length < 0 {
		tb.Fatalf("image config has no %s", name)
	}
	bareConfig = bytes.Replace(imageConfig, imageConfig[start:start+len(name)+length+len(`",`)], nil, 1)
	return describedBy(tb, imageManifest, bareConfig), bareConfig
}

// describedBy returns the manifest with the digest and size of another config.
func describedBy(tb testing.TB, imageManifest, config []byte) []byte {
	tb.Helper()
	var m ocispec.Manifest
	if err := json.Unmarshal(imageManifest, &m); err != nil {
		tb.Fatal(err)
	}
	m.Config = blob.Describe(m.Config.MediaType, config)
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// TestAttachInlineAsBuildKitDoes puts the cache of a build into the image of the
// same build; BuildKit did so, too.
func TestAttachInlineAsBuildKitDoes(t *testing.T) {
	wantManifest, wantConfig := inlineImage(t)
	cache := mustDecode(t, layoutDocument(t, "buildkit/local-oci-manifest", "latest")).Manifest
	bareManifest, bareConfig := withoutCache(t, wantManifest, wantConfig)
	for _, tc := range []struct {
		name             string
		manifest, config []byte
	}{
		{"new", bareManifest, bareConfig},
		{"replaced", wantManifest, wantConfig},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gotManifest, gotConfig, err := buildkit.AttachInline(tc.manifest, tc.config, cache)
			if err != nil {
				t.Fatalf("AttachInline() = %v, want no error", err)
			}
			if diff := cmp.Diff(string(wantConfig), string(gotConfig)); diff != "" {
				t.Errorf("config differs from BuildKit's (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(string(wantManifest), string(gotManifest)); diff != "" {
				t.Errorf("manifest differs from BuildKit's (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAttachInlineLeavesTheRest checks every byte beside the new field, and
// where that goes.
func TestAttachInlineLeavesTheRest(t *testing.T) {
	const rootFS = `"rootfs": {"type":"layers","diff_ids":["DIFFID"]}`
	for _, tc := range []struct{ name, config, before, after string }{
		{"sorted", "{\n \"author\": \"x\",\n " + rootFS + "\n}", "{\n \"author\": \"x\",\n ", "," + rootFS + "\n}"},
		{"not sorted", `{"os":"linux",` + rootFS + `,"author":"x"}`, `{"os":"linux",` + rootFS + `,"author":"x",`, `}`},
		{"replaced", `{"moby.buildkit.cache.v0":"b2xk",` + rootFS + `}`, `{`, `,` + rootFS + `}`},
		{"null before", `{"moby.buildkit.cache.v0":null,` + rootFS + `}`, `{`, `,` + rootFS + `}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			diffID := strings.NewReplacer("DIFFID", sha("1"))
			config := diffID.Replace(tc.config)
			s := store{}
			document := fmt.Sprintf("{\"schemaVersion\":2, \"layers\":[%s],\n\"config\": %s,\"annotations\":{\"size\":\"1\"}}\n",
				layerJSON("a", ""), s.add(imageConfType, config, `,"data":"e30="`))
			gotManifest, gotConfig, err := buildkit.AttachInline([]byte(document), []byte(config), small())
			if err != nil {
				t.Fatalf("AttachInline() = %v, want no error", err)
			}
			payload := base64.StdEncoding.EncodeToString([]byte(`[{"layers":[{"layer":0,"createdAt":"0001-01-01T00:00:00Z"}],"digest":"step"}]`))
			wantConfig := diffID.Replace(tc.before) + `"moby.buildkit.cache.v0":"` + payload + `"` + diffID.Replace(tc.after)
			if diff := cmp.Diff(wantConfig, string(gotConfig)); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
			old, described := blob.Describe("", []byte(config)), blob.Describe("", gotConfig)
			wantManifest := strings.NewReplacer(
				string(old.Digest), string(described.Digest),
				fmt.Sprintf(`"size":%d`, old.Size), fmt.Sprintf(`"size":%d`, described.Size),
				"e30=", base64.StdEncoding.EncodeToString(gotConfig),
			).Replace(document)
			if diff := cmp.Diff(strings.TrimSpace(wantManifest), string(gotManifest)); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAttachInlineByContent finds layers that the image has in another
// compression, and writes a chain for what is not the beginning of the image.
func TestAttachInlineByContent(t *testing.T) {
	config := fmt.Sprintf(`{"rootfs":{"type":"layers","diff_ids":[%q,%q]}}`, sha("1"), sha("2"))
	s := store{}
	document := fmt.Sprintf(`{"config":%s,"layers":[%s,%s]}`, s.add(imageConfType, config, ""), layerJSON("a", ""), layerJSON("b", ""))
	m := small()
	m.Layers = append(m.Layers, m.Layers[0], m.Layers[0])
	m.Layers[1].Digest, m.Layers[1].DiffID = blob.Digest(sha("f")), blob.Digest(sha("2")) // b, compressed in another way
	m.Layers[2].Digest, m.Layers[2].DiffID = blob.Digest(sha("c")), blob.Digest(sha("3")) // not in the image
	m.Records[0].Results = []manifest.Result{{Layer: 0}, {Layer: 1}, {Layer: 2}, {Chain: []int{0, 1}}, {Chain: []int{1, 0}}}
	newManifest, newConfig, err := buildkit.AttachInline([]byte(document), []byte(config), m)
	if err != nil {
		t.Fatalf("AttachInline() = %v, want no error", err)
	}
	s.add(imageConfType, string(newConfig), "")
	found, err := s.decode(t, "", string(newManifest))
	if err != nil {
		t.Fatalf("Decode() = %v, want no error", err)
	}
	want := []manifest.Result{{Layer: 0}, {Layer: 1}, {Chain: []int{1}}, {Chain: []int{1, 0}}}
	if diff := cmp.Diff(want, found.Manifest.Records[0].Results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestAttachInlineRefuses(t *testing.T) {
	imageManifest, imageConfig := inlineImage(t)
	other := layoutDocument(t, "buildkit/local-min", "latest")
	cache := mustDecode(t, other).Manifest
	few := bytes.Replace(imageConfig, []byte(`"diff_ids":["`), []byte(`"diff_ids":["`+sha("1")+`","`), 1)
	loop := small()
	loop.Layers[0].Parent = 0
	for _, tc := range []struct {
		name             string
		manifest, config []byte
		cache            *manifest.Manifest
		says             string
	}{
		{"no image manifest", []byte(`{"manifests":[]}`), imageConfig, cache, "not the manifest of an image"},
		{"no JSON", []byte(`{`), imageConfig, cache, "is not JSON"},
		{"a cache", other.data, configOf(t, other.data, other.fetch), cache, "not the manifest of an image"},
		{"another config", imageManifest, []byte(`{}`), cache, "the manifest wants sha256:"},
		{"config no JSON", describedBy(t, imageManifest, []byte(`{`)), []byte(`{`), cache, "image config: invalid: is not JSON"},
		{"config without rootfs", describedBy(t, imageManifest, []byte(`{}`)), []byte(`{}`), cache, "rootfs is missing"},
		{"other diffIDs", describedBy(t, imageManifest, few), few, cache, "has 7 diffIDs, but the manifest has 6 layers"},
		{"another build", imageManifest, imageConfig, small(), "no result of the cache consists of"},
		{"damaged cache", imageManifest, imageConfig, loop, "layers[0].parent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := buildkit.AttachInline(tc.manifest, tc.config, tc.cache)
			if !errors.Is(err, blob.ErrInvalid) || !strings.Contains(fmt.Sprint(err), tc.says) {
				t.Errorf("AttachInline() = %v, want %v with %q", err, blob.ErrInvalid, tc.says)
			}
		})
	}
}
