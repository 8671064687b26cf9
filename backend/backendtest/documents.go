package backendtest

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// configType is the media type of BuildKit's cache records: of the config of
// its cache images, and of the JSON that it keeps elsewhere.
const configType = "application/vnd.buildkit.cacheconfig.v0"

// doc returns a document that says label, of the encoding that the store
// prefers, after storing the blobs that it refers to.
func (e *env) doc(t testing.TB, label string) backend.Document {
	t.Helper()
	config, layer := []byte("{}"), []byte("a layer")
	if e.Info().Encoding != "oci-manifest" {
		return marshal(t, configType, map[string]string{"label": label, "pad": ""})
	}
	for _, d := range []struct {
		mediaType string
		data      []byte
	}{{configType, config}, {layerType, layer}} {
		if err := e.Put(t.Context(), blob.Describe(d.mediaType, d.data), blob.Bytes(d.data)); err != nil {
			t.Fatalf("Put(%s) = %v, want nil", d.mediaType, err)
		}
	}
	return marshal(t, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Config:      blob.Describe(configType, config),
		Layers:      []blob.Descriptor{describe(layer)},
		Annotations: map[string]string{"label": label, "pad": ""},
	})
}

func marshal(t testing.TB, mediaType string, v any) backend.Document {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return backend.Document{MediaType: mediaType, Data: data}
}

// sizedDoc is doc with exactly size bytes, unless it is larger anyway.
func (e *env) sizedDoc(t testing.TB, label string, size int64) backend.Document {
	t.Helper()
	doc := e.doc(t, label)
	missing := max(0, size-int64(len(doc.Data)))
	before, after, ok := bytes.Cut(doc.Data, []byte(`"pad":"`))
	if !ok {
		t.Fatalf("document %s has no room for padding", doc.Data)
	}
	padding := append([]byte(`"pad":"`), bytes.Repeat([]byte("x"), int(missing))...)
	doc.Data = bytes.Join([][]byte{before, padding, after}, nil)
	return doc
}
