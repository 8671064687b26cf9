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

func mustDecode(tb testing.TB, d document) *buildkit.Decoded {
	tb.Helper()
	found, err := d.decode(tb.Context())
	if err != nil {
		tb.Fatalf("Decode() = %v, want no error", err)
	}
	return found
}

func mustEncode(tb testing.TB, m *manifest.Manifest, enc buildkit.Encoding) *buildkit.Encoded {
	tb.Helper()
	encoded, err := buildkit.Encode(m, enc, buildkit.EncodeOptions{})
	if err != nil {
		tb.Fatalf("Encode(%s) = %v, want no error", enc, err)
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
func layoutDocument(tb testing.TB, name, tag string) document {
	tb.Helper()
	layout, err := fs.Sub(fixtures.FS(tb, name), "layout")
	if err != nil {
		tb.Fatal(err)
	}
	var index ocispec.Index
	readJSON(tb, layout, "index.json", &index)
	for _, d := range index.Manifests {
		if d.Annotations[ocispec.AnnotationRefName] == tag {
			data := readFile(tb, layout, path.Join("blobs", "sha256", d.Digest.Encoded()))
			return document{d.MediaType, data, layoutFetch(layout)}
		}
	}
	tb.Fatalf("fixture %s has no tag %s", name, tag)
	return document{}
}

// flatDocument returns the object of a fixture with the given key.
func flatDocument(tb testing.TB, name, key string) document {
	tb.Helper()
	tree := fixtures.FS(tb, name)
	if name != "buildkit/gha" {
		return document{data: readFile(tb, tree, "objects/"+key)}
	}
	var entries []struct{ Key, File string }
	readJSON(tb, tree, "entries.json", &entries)
	for _, entry := range entries {
		if entry.Key == key {
			return document{data: readFile(tb, tree, entry.File)}
		}
	}
	tb.Fatalf("fixture %s has no entry %s", name, key)
	return document{}
}

func readFile(tb testing.TB, tree fs.FS, name string) []byte {
	tb.Helper()
	data, err := fs.ReadFile(tree, name)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func readJSON(tb testing.TB, tree fs.FS, name string, into any) {
	tb.Helper()
	if err := json.Unmarshal(readFile(tb, tree, name), into); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
}
