package interop

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// This file is an independent, small reader of the caches that BuildKit
// writes: the measure for what larder says of them.

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
}

const cacheConfigType = "application/vnd.buildkit.cacheconfig.v0"

// document is a manifest of any form: an image manifest, an index of blobs, or
// the cache config itself with what is known of the layers in it.
type document struct {
	MediaType string
	Config    descriptor
	Manifests []descriptor
	Layers    []json.RawMessage
}

// cacheConfig is BuildKit's document about the cache.
type cacheConfig struct {
	Layers []struct {
		Blob        string
		Parent      int // 0 if it is absent
		Annotations *struct {
			MediaType, DiffID string
			Size              int64
			CreatedAt         time.Time
		}
	}
	Records []struct {
		Digest string
		Layers []struct { // a layer with all below it
			Layer     int
			CreatedAt time.Time
		}
		Chains []struct { // layers, lowest first; only of inline caches
			Layers    []int
			CreatedAt time.Time
		}
		Inputs [][]struct {
			Selector string
			Link     int
		}
	}
}

// read reads the cache at a ref, as an inspection of it should find it.
func read(t *testing.T, p place, ref string) inspection {
	t.Helper()
	text := p.document(t, ref)
	doc := parse[document](t, text)
	found := inspection{Ref: ref, Digest: digestOf(text), Size: int64(len(text)), Encoding: flat}
	facts := map[string]descriptor{}
	for _, d := range doc.Manifests {
		facts[d.Digest] = d
		if d.MediaType == cacheConfigType {
			doc.Config = d
		}
	}
	switch doc.MediaType {
	case "application/vnd.oci.image.manifest.v1+json":
		found.Encoding = ociManifest
		for _, text := range doc.Layers {
			d := parse[descriptor](t, text)
			facts[d.Digest] = d
		}
	case "application/vnd.oci.image.index.v1+json":
		found.Encoding = ociIndex
	case "application/vnd.docker.distribution.manifest.list.v2+json":
		found.Encoding = dockerList
	}
	if doc.Config.Digest != "" {
		text = p.blob(t, doc.Config.Digest)
	}
	found.addConfig(parse[cacheConfig](t, text), facts)
	return found
}

// addConfig adds what the config says, and what is known of its layers
// elsewhere.
func (i *inspection) addConfig(config cacheConfig, facts map[string]descriptor) {
	for _, l := range config.Layers {
		d := facts[l.Blob]
		layer := inspectedLayer{Digest: l.Blob, DiffID: d.Annotations["containerd.io/uncompressed"], Size: d.Size, MediaType: d.MediaType, Parent: l.Parent}
		created, err := time.Parse(time.RFC3339Nano, d.Annotations["buildkit/createdat"])
		if a := l.Annotations; a != nil {
			layer.DiffID, layer.Size, layer.MediaType = a.DiffID, a.Size, a.MediaType
			created, err = a.CreatedAt, nil
		}
		if err == nil && !created.IsZero() {
			layer.CreatedAt = &created
		}
		i.Layers = append(i.Layers, layer)
	}
	blobs := map[string]int64{}
	for _, l := range i.Layers {
		blobs[l.Digest] = l.Size
	}
	for _, size := range blobs {
		i.Totals.Bytes += size
	}
	for _, r := range config.Records {
		record := inspectedRecord{Digest: r.Digest, Layers: []string{}, Inputs: [][]inspectedLink{}}
		var chain []int
		var created time.Time
		if len(r.Layers) > 0 {
			created = r.Layers[0].CreatedAt
			for n := r.Layers[0].Layer; n >= 0; n = config.Layers[n].Parent {
				chain = append([]int{n}, chain...)
			}
		} else if len(r.Chains) > 0 {
			created, chain = r.Chains[0].CreatedAt, r.Chains[0].Layers
		}
		if !created.IsZero() {
			record.CreatedAt = &created
		}
		if len(chain) > 0 {
			i.Totals.Results++
		}
		for _, n := range chain {
			record.Layers = append(record.Layers, i.Layers[n].Digest)
		}
		for _, links := range r.Inputs {
			var all []inspectedLink
			for _, l := range links {
				all = append(all, inspectedLink{l.Link, l.Selector})
			}
			record.Inputs = append(record.Inputs, all)
		}
		i.Records = append(i.Records, record)
	}
	i.Totals.Layers, i.Totals.Blobs, i.Totals.Records = int64(len(i.Layers)), int64(len(blobs)), int64(len(i.Records))
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// mustHold checks that the blobs of all layers are at a place, and that their
// sizes, digests and diffIDs are the ones that it says they have.
func mustHold(t *testing.T, p place, i inspection) {
	t.Helper()
	for n, l := range i.Layers {
		content := p.blob(t, l.Digest)
		if got := digestOf(content); got != l.Digest || int64(len(content)) != l.Size {
			t.Errorf("layer %d is %d bytes %s, want %d bytes %s", n, len(content), got, l.Size, l.Digest)
		}
		diff, err := uncompressed(content, l.MediaType)
		if err != nil {
			t.Fatal(err)
		}
		if got := digestOf(diff); got != l.DiffID {
			t.Errorf("layer %d has the diffID %s, want %s", n, got, l.DiffID)
		}
	}
}

func uncompressed(content []byte, mediaType string) ([]byte, error) {
	switch {
	case strings.HasSuffix(mediaType, "gzip"):
		z, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	case strings.HasSuffix(mediaType, "zstd"):
		z, err := zstd.NewReader(nil)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		return z.DecodeAll(content, nil)
	}
	return content, nil
}

// layerWith finds the layer that holds a file.
func layerWith(t *testing.T, p place, ref, file string) string {
	t.Helper()
	for _, l := range read(t, p, ref).Layers {
		content, err := uncompressed(p.blob(t, l.Digest), l.MediaType)
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(bytes.NewReader(content)); ; {
			header, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if header.Name == file {
				return l.Digest
			}
		}
	}
	t.Fatalf("no layer of %s holds %s", p.source(ref), file)
	return ""
}
