package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	cacheimporttypes "github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// layer is content that does not compress, given by a seed.
type layer struct {
	seed    string
	size    int64
	created time.Time
}

var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// chainLength is how many layers are stacked on each other at most.
const chainLength = 40

// bulkLayers are a few layers of the same size.
func bulkLayers(s size) []layer {
	layers := make([]layer, s.bulkLayers)
	for i := range layers {
		layers[i] = layer{fmt.Sprint("bulk ", i), s.bulkBytes / int64(s.bulkLayers), epoch}
	}
	return layers
}

// smallLayers are many layers of 4 to 64 KiB, smaller ones more often.
func smallLayers(s size) []layer {
	const least, ratio = 4 << 10, 16
	layers := make([]layer, s.smallLayers)
	for i := range layers {
		layers[i] = layer{fmt.Sprint("small ", i), int64(least * math.Pow(ratio, float64(i%100)/100)), epoch}
	}
	return layers
}

// renewed replaces one layer in a hundred by a newer one of the same size.
func renewed(layers []layer) []layer {
	const every = 100
	out := append([]layer(nil), layers...)
	for i := every - 1; i < len(out); i += every {
		out[i].seed += " renewed"
		out[i].created = epoch.Add(time.Hour)
	}
	return out
}

func (l layer) open() io.Reader {
	return io.LimitReader(rand.NewChaCha8(sha256.Sum256([]byte(l.seed))), l.size)
}

// writeCache makes an OCI layout with a cache of the layers, in stacks with a
// record each.
func writeCache(dir string, layers []layer) error {
	if err := os.MkdirAll(filepath.Join(dir, "blobs", digest.SHA256.String()), 0o755); err != nil {
		return err
	}
	document := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	var config cacheimporttypes.CacheConfig
	for first := 0; first < len(layers); first += chainLength {
		parent, newest := -1, epoch
		for _, l := range layers[first:min(first+chainLength, len(layers))] {
			desc, err := l.write(dir)
			if err != nil {
				return err
			}
			document.Layers = append(document.Layers, desc)
			config.Layers = append(config.Layers, cacheimporttypes.CacheLayer{Blob: desc.Digest, ParentIndex: parent})
			parent = len(config.Layers) - 1
			if l.created.After(newest) {
				newest = l.created
			}
		}
		config.Records = append(config.Records, cacheimporttypes.CacheRecord{
			Digest:  digest.FromString(fmt.Sprint("stack ", first)),
			Results: []cacheimporttypes.CacheResult{{LayerIndex: parent, CreatedAt: newest}},
		})
	}
	data, err := json.Marshal(config)
	if err != nil {
		return err
	}
	document.Config = content.NewDescriptorFromBytes(cacheimporttypes.CacheConfigMediaTypeV0, data)
	if err := os.WriteFile(blobPath(dir, document.Config.Digest), data, 0o644); err != nil {
		return err
	}
	if data, err = json.Marshal(document); err != nil {
		return err
	}
	return writeLayout(dir, data)
}

// write writes a layer to an OCI layout and describes it as BuildKit does. Its
// content is not compressed, so that its digest is its diffID.
func (l layer) write(layout string) (ocispec.Descriptor, error) {
	d, err := digest.FromReader(l.open())
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	f, err := os.Create(blobPath(layout, d))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	_, err = io.Copy(f, l.open())
	return ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageLayer, Digest: d, Size: l.size,
		Annotations: map[string]string{
			"containerd.io/uncompressed": d.String(), "buildkit/createdat": l.created.Format(time.RFC3339Nano),
		},
	}, errors.Join(err, f.Close())
}
