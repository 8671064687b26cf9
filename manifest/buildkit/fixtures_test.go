package buildkit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/fixtures"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// document is one cache document of a fixture, with what it takes to decode it.
type document struct {
	mediaType string
	data      []byte
	fetch     buildkit.Fetch
}

func (d document) decode(ctx context.Context) (*buildkit.Decoded, error) {
	return buildkit.Decode(ctx, d.mediaType, d.data, d.fetch, buildkit.DecodeOptions{})
}

func mustDecode(t testing.TB, d document) *buildkit.Decoded {
	t.Helper()
	found, err := d.decode(t.Context())
	if err != nil {
		t.Fatalf("Decode() = %v, want no error", err)
	}
	return found
}

func mustEncode(t testing.TB, m *manifest.Manifest, enc buildkit.Encoding) *buildkit.Encoded {
	t.Helper()
	encoded, err := buildkit.Encode(m, enc, buildkit.EncodeOptions{})
	if err != nil {
		t.Fatalf("Encode(%s) = %v, want no error", enc, err)
	}
	return encoded
}

// layoutFetch reads verified blobs from a layout.
func layoutFetch(layout fs.FS) buildkit.Fetch {
	return func(_ context.Context, d blob.Descriptor) ([]byte, error) {
		data, err := fs.ReadFile(layout, path.Join("blobs", "sha256", d.Digest.Encoded()))
		if err != nil {
			return nil, err
		}
		if got := blob.Describe(d.MediaType, data); got.Digest != d.Digest || got.Size != d.Size {
			return nil, fmt.Errorf("blob %s: %w", d.Digest, blob.ErrCorrupt)
		}
		return data, nil
	}
}

// layoutDocument returns what a tag of a fixture's layout points to.
func layoutDocument(t testing.TB, name, tag string) document {
	t.Helper()
	layout, err := fs.Sub(fixtures.FS(t, name), "layout")
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	readJSON(t, layout, "index.json", &index)
	for _, d := range index.Manifests {
		if d.Annotations[ocispec.AnnotationRefName] == tag {
			data := readFile(t, layout, path.Join("blobs", "sha256", d.Digest.Encoded()))
			return document{d.MediaType, data, layoutFetch(layout)}
		}
	}
	t.Fatalf("fixture %s has no tag %s", name, tag)
	return document{}
}

// flatDocument returns the object of a fixture with the given key.
func flatDocument(t testing.TB, name, key string) document {
	t.Helper()
	tree := fixtures.FS(t, name)
	if name != "buildkit/gha" {
		return document{data: readFile(t, tree, "objects/"+key)}
	}
	var entries []struct{ Key, File string }
	readJSON(t, tree, "entries.json", &entries)
	for _, entry := range entries {
		if entry.Key == key {
			return document{data: readFile(t, tree, entry.File)}
		}
	}
	t.Fatalf("fixture %s has no entry %s", name, key)
	return document{}
}

func readFile(t testing.TB, tree fs.FS, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(tree, name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readJSON(t testing.TB, tree fs.FS, name string, into any) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, tree, name), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
