package buildkit_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

// inlineImage returns the image that BuildKit wrote with an inline cache.
func inlineImage(t testing.TB) (imageManifest, imageConfig []byte) {
	t.Helper()
	image := layoutDocument(t, "buildkit/registry-image-with-inline-cache", "1.0")
	return image.data, configOf(t, image.data, image.fetch)
}

func configOf(t testing.TB, imageManifest []byte, fetch buildkit.Fetch) []byte {
	t.Helper()
	var m ocispec.Manifest
	if err := json.Unmarshal(imageManifest, &m); err != nil {
		t.Fatal(err)
	}
	config, err := fetch(t.Context(), m.Config)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// withoutCache takes the cache out of an image, by means of its own.
func withoutCache(t testing.TB, imageManifest, imageConfig []byte) (bareManifest, bareConfig []byte) {
	t.Helper()
	const name = `"moby.buildkit.cache.v0":"`
	start := bytes.Index(imageConfig, []byte(name))
	length := bytes.IndexByte(imageConfig[start+len(name):], '"')
	if start < 0 || length < 0 {
		t.Fatalf("image config has no %s", name)
	}
	bareConfig = bytes.Replace(imageConfig, imageConfig[start:start+len(name)+length+len(`",`)], nil, 1)
	return describedBy(t, imageManifest, bareConfig), bareConfig
}

// describedBy returns the manifest with the digest and size of another config.
func describedBy(t testing.TB, imageManifest, config []byte) []byte {
	t.Helper()
	var m ocispec.Manifest
	if err := json.Unmarshal(imageManifest, &m); err != nil {
		t.Fatal(err)
	}
	m.Config = blob.Describe(m.Config.MediaType, config)
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
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
