package interop

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// layout is an independent, small reader of what buildctl exports: the measure
// for what larder says of it.
type layout string

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
}

// cacheConfig is BuildKit's document about the cache.
type cacheConfig struct {
	Layers []struct {
		Blob string `json:"blob"`
	} `json:"layers"`
	Records []json.RawMessage `json:"records"`
}

const cacheConfigType = "application/vnd.buildkit.cacheconfig.v0"

func (l layout) blob(digest string) string {
	return filepath.Join(string(l), "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// digest returns what a tag points to.
func (l layout) digest(tag string) (string, error) {
	var index struct{ Manifests []descriptor }
	if err := readJSON(filepath.Join(string(l), "index.json"), &index); err != nil {
		return "", err
	}
	for _, d := range index.Manifests {
		if d.Annotations["org.opencontainers.image.ref.name"] == tag {
			return d.Digest, nil
		}
	}
	return "", fmt.Errorf("%s: no tag %q in index.json", l, tag)
}

func (l layout) mustDigest(t *testing.T, tag string) string {
	t.Helper()
	digest, err := l.digest(tag)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// config reads the cache config of a tag, in an image manifest or in an index.
func (l layout) config(t *testing.T, tag string) (cacheConfig, map[string]descriptor) {
	t.Helper()
	var manifest struct {
		Config    descriptor
		Layers    []descriptor
		Manifests []descriptor
	}
	if err := readJSON(l.blob(l.mustDigest(t, tag)), &manifest); err != nil {
		t.Fatal(err)
	}
	blobs := map[string]descriptor{}
	config := manifest.Config
	for _, d := range append(manifest.Layers, manifest.Manifests...) {
		if d.MediaType == cacheConfigType {
			config = d
		} else {
			blobs[d.Digest] = d
		}
	}
	var c cacheConfig
	if err := readJSON(l.blob(config.Digest), &c); err != nil {
		t.Fatal(err)
	}
	return c, blobs
}

// layerWith finds the gzip layer that holds a file.
func (l layout) layerWith(t *testing.T, tag, file string) string {
	t.Helper()
	config, _ := l.config(t, tag)
	for _, layer := range config.Layers {
		has, err := tarHas(l.blob(layer.Blob), file)
		if err != nil {
			t.Fatal(err)
		}
		if has {
			return layer.Blob
		}
	}
	t.Fatalf("%s: no layer of %s holds %s", l, tag, file)
	return ""
}

func tarHas(path, file string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return false, err
	}
	for r := tar.NewReader(z); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if header.Name == file {
			return true, nil
		}
	}
}
