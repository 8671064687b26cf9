package buildkit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// A cache as BuildKit's S3 backend writes it is read without fetching anything.
func ExampleDecode() {
	document := `{"layers":[{"blob":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","parent":-1,
		"annotations":{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":1645,"createdAt":"2026-01-02T03:04:05Z",
		"diffID":"sha256:1111111111111111111111111111111111111111111111111111111111111111"}}],
		"records":[{"layers":[{"layer":0,"createdAt":"2026-01-02T03:04:05Z"}],
		"digest":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}]}`
	found, err := buildkit.Decode(context.Background(), "", []byte(document), nil, buildkit.DecodeOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Encoding)
	for _, l := range found.Manifest.Layers {
		fmt.Println(l.Size, l.CreatedAt, l.MediaType)
	}
	// Output:
	// flat
	// 1645 2026-01-02 03:04:05 +0000 UTC application/vnd.oci.image.layer.v1.tar+gzip
}

// What is no cache is told from one that is damaged.
func ExampleDecode_notCache() {
	for _, document := range []string{
		`{"schemaVersion":2,"manifests":[]}`,
		`{"records":[{"digest":"step","inputs":[[{"link":7}]]}]}`,
	} {
		_, err := buildkit.Decode(context.Background(), "", []byte(document), nil, buildkit.DecodeOptions{})
		fmt.Println(errors.Is(err, buildkit.ErrNotCache), err)
	}
	// Output:
	// true not a build cache: none of the 0 images that the index lists has one
	// false flat manifest: invalid: records[0].inputs[0][0].record is 7, want 0 to 0
}

// The same manifest in the forms of a registry and of an object store.
func ExampleEncode() {
	m := &manifest.Manifest{
		Layers: []manifest.Layer{{
			Digest:    blob.Describe("", []byte("the layer")).Digest,
			DiffID:    blob.Describe("", []byte("the tar in it")).Digest,
			Size:      9,
			MediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
			Parent:    manifest.NoParent,
		}},
		Records: []manifest.Record{{
			Digest:  "my-step",
			Results: []manifest.Result{{Layer: 0, CreatedAt: time.Unix(1767323045, 0).UTC()}},
		}},
	}
	for _, enc := range []buildkit.Encoding{buildkit.OCIManifest, buildkit.Flat} {
		encoded, err := buildkit.Encode(m, enc, buildkit.EncodeOptions{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %q, %d bytes, config %d bytes\n", enc, encoded.MediaType, len(encoded.Data), len(encoded.ConfigData))
	}
	// Output:
	// oci-manifest: "application/vnd.oci.image.manifest.v1+json", 517 bytes, config 198 bytes
	// flat: "", 399 bytes, config 0 bytes
}
