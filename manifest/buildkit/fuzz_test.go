package buildkit_test

import (
	"bytes"
	"context"
	"errors"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/fixtures"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// What decoding may allocate in all, garbage included: so much for each byte of
// the documents, and so much for the smallest.
const (
	allocsPerByte = 200
	allocsAtLeast = 128 << 10
)

// FuzzDecode decodes a document, with one more for every manifest and one for
// every config that it refers to. What is understood must survive being written
// and read again.
func FuzzDecode(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data, imageManifest, config []byte) {
		var fetched atomic.Int64
		fetch := func(_ context.Context, d blob.Descriptor) ([]byte, error) {
			other := config
			if isDocument(d.MediaType) {
				other = imageManifest
			}
			fetched.Add(int64(len(other)))
			return other, nil
		}
		var found *buildkit.Decoded
		var err error
		var got, most uint64
		// The runtime counts what the whole process allocates, and only when it
		// fills or flushes a span: what others do shows up at any time. What
		// decoding needs shows up every time.
		for range 5 {
			fetched.Store(0)
			before := allocated()
			found, err = buildkit.Decode(t.Context(), "", data, fetch, buildkit.DecodeOptions{})
			got = allocated() - before
			most = allocsAtLeast + allocsPerByte*uint64(len(data)+int(fetched.Load()))
			if got <= most {
				break
			}
		}
		if got > most {
			t.Errorf("Decode() of %d bytes allocated %d, want at most %d", len(data)+int(fetched.Load()), got, most)
		}
		if err != nil {
			return
		}
		if err := found.Manifest.Check(); err != nil {
			t.Fatalf("Check() = %v after Decode()", err)
		}
		checkFixpoint(t, found)
	})
}

func isDocument(mediaType string) bool {
	return strings.Contains(mediaType, "manifest") || strings.Contains(mediaType, "index")
}

// checkFixpoint encodes, decodes and encodes a manifest.
func checkFixpoint(t *testing.T, found *buildkit.Decoded) {
	t.Helper()
	enc := found.Encoding
	if enc == buildkit.Inline {
		enc = buildkit.Flat
	}
	encoded, err := buildkit.Encode(found.Manifest, enc, buildkit.EncodeOptions{Limit: -1})
	if errors.Is(err, blob.ErrInvalid) {
		return // BuildKit would refuse it
	}
	if err != nil {
		t.Fatalf("Encode() = %v, want nil or %v", err, blob.ErrInvalid)
	}
	fetch := func(context.Context, blob.Descriptor) ([]byte, error) { return encoded.ConfigData, nil }
	again := mustDecode(t, document{encoded.MediaType, encoded.Data, fetch})
	if again.Encoding != enc {
		t.Errorf("Encoding = %s, want %s", again.Encoding, enc)
	}
	if diff := cmp.Diff(found.Manifest, again.Manifest, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(manifest.Layer{}, "MediaType")); diff != "" {
		t.Errorf("Decode(Encode()) (-want +got):\n%s", diff)
	}
	twice, err := buildkit.Encode(again.Manifest, enc, buildkit.EncodeOptions{Limit: -1})
	if err != nil {
		t.Fatalf("Encode() again = %v, want no error", err)
	}
	if !bytes.Equal(encoded.Data, twice.Data) || !bytes.Equal(encoded.ConfigData, twice.ConfigData) {
		t.Errorf("Encode() again = %s with %s, want %s with %s", twice.Data, twice.ConfigData, encoded.Data, encoded.ConfigData)
	}
}

// allocated returns how many bytes this process has allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// seed adds the documents of the fixtures, and those of the other tests.
func seed(f *testing.F) {
	f.Helper()
	for _, c := range goodCaches(f) {
		addSeed(f, c.document)
	}
	for _, name := range fixtures.Names("broken/buildkit/") {
		if !strings.Contains(name, "/tar-") && !strings.Contains(name, "-torn") && !strings.Contains(name, "-over-1mib") {
			addSeed(f, layoutDocument(f, name, "latest"))
		}
	}
	// Small ones are easier to vary.
	s := store{}
	layers := []string{layerJSON("a", diffIDJSON("1")), layerJSON("b", diffIDJSON("2"))}
	for _, text := range []string{
		everywhere(s), indexOf(s.image("a", oneRecord, "")), indexOf(s.add(indexType, indexOf(s.image("b", oneRecord, "")), "")),
		s.ociCache(twoSteps, layers...), s.ociCache(twoSteps, layers[0]),
		indexOf(layers[0], layers[1], s.add(buildkit.MediaTypeConfig, twoSteps, "")),
		string(mustEncode(f, small(), buildkit.Flat).Data), `{"records":[{"digest":"a"},{"digest":"b","inputs":[[{"link":0}]]}]}`,
	} {
		addSeed(f, document{data: []byte(text), fetch: s.fetch})
	}
}

// addSeed decodes a document to learn what else it consists of.
func addSeed(f *testing.F, d document) {
	f.Helper()
	var mu sync.Mutex
	var imageManifest, config []byte
	fetch := func(ctx context.Context, wanted blob.Descriptor) ([]byte, error) {
		data, err := d.fetch(ctx, wanted)
		mu.Lock()
		defer mu.Unlock()
		if isDocument(wanted.MediaType) {
			imageManifest = data
		} else {
			config = data
		}
		return data, err
	}
	_, err := buildkit.Decode(f.Context(), d.mediaType, d.data, fetch, buildkit.DecodeOptions{})
	_ = err // broken ones are seeds, too
	f.Add(d.data, imageManifest, config)
}

// FuzzAttachInline puts a cache into images of all kinds: it must be found
// again.
func FuzzAttachInline(f *testing.F) {
	imageManifest, imageConfig := inlineImage(f)
	bareManifest, bareConfig := withoutCache(f, imageManifest, imageConfig)
	f.Add(bareManifest, bareConfig)
	f.Add(imageManifest, imageConfig)
	cache := mustDecode(f, layoutDocument(f, "buildkit/local-oci-manifest", "latest")).Manifest
	f.Fuzz(func(t *testing.T, imageManifest, imageConfig []byte) {
		newManifest, newConfig, err := buildkit.AttachInline(imageManifest, imageConfig, cache)
		if err != nil {
			if !errors.Is(err, blob.ErrInvalid) && !errors.Is(err, blob.ErrTooLarge) {
				t.Errorf("AttachInline() = %v, want %v or %v", err, blob.ErrInvalid, blob.ErrTooLarge)
			}
			return
		}
		fetch := func(context.Context, blob.Descriptor) ([]byte, error) { return newConfig, nil }
		found, err := document{data: newManifest, fetch: fetch}.decode(t.Context())
		if err != nil {
			t.Fatalf("Decode() = %v, want no error; config %s", err, newConfig)
		}
		if len(found.Manifest.Records) != len(cache.Records) || found.Manifest.IsEmpty() {
			t.Errorf("%d records, want %d", len(found.Manifest.Records), len(cache.Records))
		}
	})
}
