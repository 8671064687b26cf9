package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// blobPath is where an OCI layout keeps a blob.
func blobPath(layout string, d digest.Digest) string {
	return filepath.Join(layout, "blobs", d.Algorithm().String(), d.Encoded())
}

// readLayout returns the manifest of a layout that has just one.
func readLayout(dir string) ([]byte, ocispec.Manifest, error) {
	data, err := os.ReadFile(filepath.Join(dir, ocispec.ImageIndexFile))
	if err != nil {
		return nil, ocispec.Manifest{}, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, ocispec.Manifest{}, err
	}
	if len(index.Manifests) != 1 {
		return nil, ocispec.Manifest{}, fmt.Errorf("%s has %d manifests, want 1", dir, len(index.Manifests))
	}
	data, err = os.ReadFile(blobPath(dir, index.Manifests[0].Digest))
	if err != nil {
		return nil, ocispec.Manifest{}, err
	}
	m, err := decodeManifest(data)
	return data, m, err
}

// writeLayout makes a layout of a directory that has all blobs.
func writeLayout(dir string, manifest []byte) error {
	d := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, manifest)
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{{
		MediaType: d.MediaType, Digest: d.Digest, Size: d.Size,
		Annotations: map[string]string{ocispec.AnnotationRefName: refName},
	}}})
	if err != nil {
		return err
	}
	for path, data := range map[string][]byte{
		blobPath(dir, d.Digest):                     manifest,
		filepath.Join(dir, ocispec.ImageIndexFile):  index,
		filepath.Join(dir, ocispec.ImageLayoutFile): []byte(`{"imageLayoutVersion":"1.0.0"}`),
	} {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
