package larder_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/local"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/fixtures"
)

// fixture returns a ref of a layout that BuildKit wrote.
func fixture(tb testing.TB, name, ref string) larder.Target {
	tb.Helper()
	return larder.Target{Backend: directory(tb, filepath.Join(fixtures.Extract(tb, name), "layout")), Ref: ref}
}

// directory opens a layout, which is closed with the test.
func directory(tb testing.TB, dir string) *local.Backend {
	tb.Helper()
	b, err := local.Open(dir, local.Options{NoSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

// The images of one build that BuildKit wrote, and the plain cache of the same.
const (
	inlineImage = "buildkit/registry-image-with-inline-cache"
	inlineIndex = "buildkit/registry-index-with-inline-cache"
	plainCache  = "buildkit/local-oci-manifest"
)

// imageStore returns an empty store that holds images.
func imageStore() *mem.Backend {
	return mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest})
}

// putJSON stores a document as BuildKit writes it.
func putJSON(tb testing.TB, b backend.Backend, mediaType string, v any) blob.Descriptor {
	tb.Helper()
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		tb.Fatal(err)
	}
	return put(tb, b, mediaType, data)
}

func put(tb testing.TB, b backend.Backend, mediaType string, data []byte) blob.Descriptor {
	tb.Helper()
	d := blob.Describe(mediaType, data)
	if err := b.Put(tb.Context(), d, blob.Bytes(data)); err != nil {
		tb.Fatal(err)
	}
	return d
}

// point makes a ref point to a document that is there.
func point(tb testing.TB, t larder.Target, to blob.Descriptor) larder.Target {
	tb.Helper()
	doc := backend.Document{MediaType: to.MediaType, Data: content(tb, t.Backend, to)}
	if _, err := t.Backend.PutRef(tb.Context(), t.Ref, doc, backend.Always); err != nil {
		tb.Fatal(err)
	}
	return t
}

func content(tb testing.TB, b backend.Backend, d blob.Descriptor) []byte {
	tb.Helper()
	data, err := blob.ReadAll(tb.Context(), d, backend.RawSourceOf(b, d), 1<<20)
	if err != nil {
		tb.Fatalf("blob %s: %v", d.Digest, err)
	}
	return data
}

func fromJSON[T any](tb testing.TB, data []byte) (v T) {
	tb.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

// putImage stores an image whose layers are those of a cache.
func putImage(tb testing.TB, b backend.Backend, c *cache) blob.Descriptor {
	tb.Helper()
	image := ocispec.Image{RootFS: ocispec.RootFS{Type: "layers"}}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for _, l := range c.Layers {
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, l.DiffID)
		image.History = append(image.History, ocispec.History{Created: &epoch})
		m.Layers = append(m.Layers, put(tb, b, l.MediaType, c.blobs[l.Digest]))
	}
	m.Config = putJSON(tb, b, ocispec.MediaTypeImageConfig, image)
	return putJSON(tb, b, m.MediaType, m)
}

// putIndex stores an index of images, each for an architecture of its own, and
// of an attestation of the first.
func putIndex(tb testing.TB, b backend.Backend, images ...blob.Descriptor) blob.Descriptor {
	tb.Helper()
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for i, d := range images {
		d.Platform = &ocispec.Platform{OS: "linux", Architecture: []string{"amd64", "arm64", "386"}[i]}
		index.Manifests = append(index.Manifests, d)
	}
	statement := put(tb, b, "application/vnd.in-toto+json", []byte(`{"subject":[]}`))
	attestation := putJSON(tb, b, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: put(tb, b, ocispec.MediaTypeImageConfig, []byte(`{"rootfs":{"type":"layers","diff_ids":["`+statement.Digest+`"]}}`)),
		Layers: []blob.Descriptor{statement},
	})
	attestation.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	attestation.Annotations = map[string]string{"vnd.docker.reference.digest": string(images[0].Digest)}
	index.Manifests = append(index.Manifests, attestation)
	return putJSON(tb, b, index.MediaType, index)
}

// strip makes ref of the same store point to the image of t without its cache.
func strip(tb testing.TB, t larder.Target, ref string) larder.Target {
	tb.Helper()
	doc := document(tb, t)
	return point(tb, larder.Target{Backend: t.Backend, Ref: ref}, stripped(tb, t.Backend, blob.Describe(doc.MediaType, doc.Data)))
}

func stripped(tb testing.TB, b backend.Backend, d blob.Descriptor) blob.Descriptor {
	tb.Helper()
	data := content(tb, b, d)
	if d.MediaType == ocispec.MediaTypeImageIndex {
		index := fromJSON[ocispec.Index](tb, data)
		for i, listed := range index.Manifests {
			bare := stripped(tb, b, listed)
			index.Manifests[i].Digest, index.Manifests[i].Size = bare.Digest, bare.Size
		}
		return putJSON(tb, b, d.MediaType, index)
	}
	m := fromJSON[ocispec.Manifest](tb, data)
	const name = `"moby.buildkit.cache.v0":"`
	config := content(tb, b, m.Config)
	before, rest, found := bytes.Cut(config, []byte(name))
	_, after, _ := bytes.Cut(rest, []byte(`",`))
	if !found {
		tb.Fatalf("image config %s has no %s", m.Config.Digest, name)
	}
	m.Config = put(tb, b, m.Config.MediaType, append(bytes.Clone(before), after...))
	return putJSON(tb, b, d.MediaType, m)
}

// reachable fails the test unless all that a document refers to is there.
func reachable(tb testing.TB, b backend.Backend, d blob.Descriptor) {
	tb.Helper()
	doc := fromJSON[struct {
		Manifests, Layers []blob.Descriptor
		Config            *blob.Descriptor
	}](tb, content(tb, b, d))
	for _, below := range doc.Manifests {
		reachable(tb, b, below)
	}
	blobs := doc.Layers
	if doc.Config != nil {
		blobs = append(blobs, *doc.Config)
	}
	for _, d := range blobs {
		if found, err := b.Stat(tb.Context(), d.Digest); err != nil || len(found) != 1 {
			tb.Errorf("Stat(%s) = %v, %v, want the blob", d.Digest, found, err)
		}
	}
}

// describe returns the descriptor of what a ref points to.
func describe(tb testing.TB, t larder.Target) blob.Descriptor {
	tb.Helper()
	doc := document(tb, t)
	return blob.Descriptor{MediaType: doc.MediaType, Digest: digest.FromBytes(doc.Data), Size: int64(len(doc.Data))}
}
