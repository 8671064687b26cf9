package soak_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

const (
	// steps is how many steps a build has, each with a layer.
	steps = 3
	// layerSize is how many bytes the one file in a layer has.
	layerSize = 64 << 10
)

// build is a cache to be exported. It is its own content.
type build struct {
	manifest *manifest.Manifest
	blobs    map[blob.Digest][]byte
}

// Source implements [larder.Content].
func (b *build) Source(d blob.Descriptor) blob.Source {
	if data, ok := b.blobs[d.Digest]; ok {
		return blob.Bytes(data)
	}
	return nil
}

// key names a step of a build. The first step is the same in a whole series.
func key(series string, i, step int) string {
	if step == 0 {
		return series + " base"
	}
	return fmt.Sprintf("%s build %d step %d", series, i, step)
}

// keys returns the records' digests of the first count builds of a series.
func keys(series string, count int) (digests []blob.Digest) {
	for i := range count {
		for step := range steps {
			if step > 0 || i == 0 {
				digests = append(digests, manifest.KeyDigest(key(series, i, step)))
			}
		}
	}
	return digests
}

// buildOf returns the i-th build of a series. Whoever asks gets the same bytes.
func buildOf(series string, i int) (*build, error) {
	made := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := &build{blobs: map[blob.Digest][]byte{}}
	builder := manifest.NewBuilder()
	var below manifest.LayerHandle
	var inputs []manifest.Input
	for step := range steps {
		data, err := layer(key(series, i, step))
		if err != nil {
			return nil, err
		}
		d := blob.Describe(ocispec.MediaTypeImageLayer, data)
		b.blobs[d.Digest] = data
		below = builder.Layer(d, d.Digest, made, below)
		record := builder.Record(key(series, i, step), inputs...)
		builder.Result(record, made, below)
		inputs = []manifest.Input{manifest.AnyOf(record)}
	}
	var err error
	b.manifest, err = builder.Manifest()
	return b, err
}

// layer returns a tar archive with one file of bytes that the name determines.
func layer(name string) ([]byte, error) {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name)) // It never fails.
	var seed [32]byte
	hash.Sum(seed[:0])
	content := make([]byte, layerSize)
	_, _ = rand.NewChaCha8(seed).Read(content) // Nor does this.

	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: layerSize}); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

// records returns the digests of a cache's records after checking that all of
// it is there and right: documents, blobs and diffIDs.
func records(t *testing.T, target larder.Target) (digests []blob.Digest) {
	t.Helper()
	checked, err := larder.Verify(t.Context(), target, larder.VerifyOptions{})
	if err != nil {
		t.Fatalf("Verify(%s) = %v, want a whole cache", target, err)
	}
	if !checked.OK {
		t.Errorf("Verify(%s) finds missing %v, corrupt %v, problems %v, want a whole cache",
			target, checked.Missing, checked.Corrupt, checked.Problems)
	}
	found, err := larder.Inspect(t.Context(), target, larder.InspectOptions{})
	if err != nil {
		t.Fatalf("Inspect(%s) = %v, want nil", target, err)
	}
	for _, r := range found.Records {
		digests = append(digests, r.Digest)
	}
	return digests
}

// sameDigests reports how two sets of digests differ, "" if they do not.
func sameDigests(want, got []blob.Digest) string {
	return cmp.Diff(want, got, cmpopts.SortSlices(func(a, b blob.Digest) bool { return a < b }), cmpopts.EquateEmpty())
}
