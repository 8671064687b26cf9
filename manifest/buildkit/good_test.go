package buildkit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/fixtures"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// facts are what expected.json says of one cache. The program that computed
// them shares no code with larder.
type facts struct {
	Descriptors []expectedLayer
	Layers      []expectedParent

	Records, RecordsWithResult, RecordsWithoutInputs, Links, LinksWithSelector int

	RecordDigests []blob.Digest
	Results       []expectedResult
}

type expectedLayer struct {
	MediaType   string
	Digest      blob.Digest
	Size        int64
	DiffID      blob.Digest
	CreatedAt   time.Time
	Annotations map[string]string
}

type expectedParent struct {
	Blob   blob.Digest
	Parent int
}

type expectedResult struct {
	Record    int
	Digest    blob.Digest
	CreatedAt time.Time
	Chain     []int
	Blobs     []blob.Digest
}

// expectation is what expected.json says of one ref.
type expectation struct {
	facts

	Config      *blob.Descriptor
	SameBytesAs string
	Manifests   []struct {
		facts

		Manifest, Config blob.Descriptor
	}
}

// goodCache is a cache that BuildKit wrote.
type goodCache struct {
	fixture, ref string
	encoding     buildkit.Encoding
	document     document
	want         expectation
}

func goodCaches(tb testing.TB) []goodCache {
	tb.Helper()
	var all []goodCache
	for _, name := range fixtures.Names("buildkit/") {
		var expected struct {
			Refs, Manifests map[string]expectation
		}
		if name == "buildkit/gha" {
			expected.Manifests = ghaIndexes(tb)
		} else {
			readJSON(tb, fixtures.FS(tb, name), "expected.json", &expected)
		}
		for tag, want := range expected.Refs {
			all = append(all, goodCache{name, tag, encodingOf(name), layoutDocument(tb, name, tag), want})
		}
		for key, want := range expected.Manifests {
			if want.SameBytesAs != "" {
				want = expected.Manifests[want.SameBytesAs]
			}
			all = append(all, goodCache{name, key, buildkit.Flat, flatDocument(tb, name, key), want})
		}
	}
	return all
}

// encodingOf returns the form of a fixture that is a layout.
func encodingOf(fixture string) buildkit.Encoding {
	switch fixture {
	case "buildkit/local-oci-index":
		return buildkit.OCIIndex
	case "buildkit/local-docker-list":
		return buildkit.DockerList
	case "buildkit/registry-image-with-inline-cache", "buildkit/registry-index-with-inline-cache":
		return buildkit.Inline
	default:
		return buildkit.OCIManifest
	}
}

func ghaIndexes(tb testing.TB) map[string]expectation {
	tb.Helper()
	var expected struct {
		Indexes []struct {
			expectation

			Key string
		}
	}
	readJSON(tb, fixtures.FS(tb, "buildkit/gha"), "expected.json", &expected)
	indexes := make(map[string]expectation)
	for _, index := range expected.Indexes {
		indexes[index.Key] = index.expectation
	}
	return indexes
}

// factsOf brings what was decoded into the terms of expected.json.
func factsOf(m *manifest.Manifest) facts {
	f := facts{Records: len(m.Records)}
	for _, l := range m.Layers {
		f.Descriptors = append(f.Descriptors, expectedLayer{l.MediaType, l.Digest, l.Size, l.DiffID, l.CreatedAt, l.Annotations})
		f.Layers = append(f.Layers, expectedParent{l.Digest, l.Parent})
	}
	for i, r := range m.Records {
		f.RecordDigests = append(f.RecordDigests, r.Digest)
		if len(r.Results) > 0 {
			f.RecordsWithResult++
		}
		if len(r.Inputs) == 0 {
			f.RecordsWithoutInputs++
		}
		for _, input := range r.Inputs {
			for _, link := range input {
				f.Links++
				if link.Selector != "" {
					f.LinksWithSelector++
				}
			}
		}
		for _, result := range r.Results {
			expected := expectedResult{Record: i, Digest: r.Digest, CreatedAt: result.CreatedAt, Chain: result.Chain}
			for _, layer := range m.Stack(result) {
				expected.Blobs = append(expected.Blobs, m.Layers[layer].Digest)
			}
			f.Results = append(f.Results, expected)
		}
	}
	return f
}

// wantedFacts returns what the codec should find in a cache. In an image the
// layers are the image's own; an index is all its images together.
func (c goodCache) wantedFacts() facts {
	if len(c.want.Manifests) == 0 {
		return c.want.complete()
	}
	var all facts
	for _, image := range c.want.Manifests {
		part := image.complete()
		for i := range part.Layers {
			if part.Layers[i].Parent >= 0 {
				part.Layers[i].Parent += len(all.Layers)
			}
		}
		for i := range part.Results {
			part.Results[i].Record += all.Records
			for j := range part.Results[i].Chain {
				part.Results[i].Chain[j] += len(all.Layers)
			}
		}
		all.Descriptors = append(all.Descriptors, part.Descriptors...)
		all.Layers = append(all.Layers, part.Layers...)
		all.RecordDigests = append(all.RecordDigests, part.RecordDigests...)
		all.Results = append(all.Results, part.Results...)
		all.Records += part.Records
		all.RecordsWithResult += part.RecordsWithResult
		all.RecordsWithoutInputs += part.RecordsWithoutInputs
		all.Links += part.Links
		all.LinksWithSelector += part.LinksWithSelector
	}
	return all
}

// complete adds the layers of an image, which expected.json leaves out: each
// lies on the one before.
func (f facts) complete() facts {
	if len(f.Layers) == 0 {
		for i, d := range f.Descriptors {
			f.Layers = append(f.Layers, expectedParent{d.Digest, i - 1})
		}
	}
	return f
}

func TestDecodeWhatBuildKitWrote(t *testing.T) {
	caches := goodCaches(t)
	if want := 9 + 2 + 3 + 3 + 3; len(caches) != want {
		t.Errorf("fixtures have %d caches, want %d", len(caches), want)
	}
	for _, c := range caches {
		t.Run(c.fixture+"/"+c.ref, func(t *testing.T) {
			found := mustDecode(t, c.document)
			if found.Encoding != c.encoding {
				t.Errorf("Encoding = %s, want %s", found.Encoding, c.encoding)
			}
			if len(found.Problems) > 0 {
				t.Errorf("Problems = %v, want none", found.Problems)
			}
			if diff := cmp.Diff(c.wantedFacts(), factsOf(found.Manifest), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Decode() differs from expected.json (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.documents(), found.Documents, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Documents differ (-want +got):\n%s", diff)
			}
		})
	}
}

// documents returns the blobs beside the layers.
func (c goodCache) documents() []blob.Descriptor {
	var all []blob.Descriptor
	for _, image := range c.want.Manifests {
		all = append(all, image.Manifest, image.Config)
	}
	if c.want.Config != nil {
		all = append(all, *c.want.Config)
	}
	return all
}

// TestEncodeIsByteExact encodes again what BuildKit wrote.
func TestEncodeIsByteExact(t *testing.T) {
	for _, c := range goodCaches(t) {
		if c.encoding == buildkit.Inline {
			continue
		}
		t.Run(c.fixture+"/"+c.ref, func(t *testing.T) {
			encoded := mustEncode(t, mustDecode(t, c.document).Manifest, c.encoding)
			if diff := cmp.Diff(string(c.document.data), string(encoded.Data)); diff != "" {
				t.Errorf("Encode() differs from BuildKit's bytes (-want +got):\n%s", diff)
			}
			if encoded.MediaType != c.document.mediaType {
				t.Errorf("MediaType = %q, want %q", encoded.MediaType, c.document.mediaType)
			}
			if c.want.Config == nil {
				return
			}
			if diff := cmp.Diff(*c.want.Config, encoded.Config); diff != "" {
				t.Errorf("config differs (-want +got):\n%s", diff)
			}
			if got := blob.Describe(encoded.Config.MediaType, encoded.ConfigData); !cmp.Equal(got, encoded.Config) {
				t.Errorf("ConfigData has %v, want what Config says: %v", got, encoded.Config)
			}
		})
	}
}

// TestConvert brings one build's cache from each form into each other; BuildKit
// wrote that build in all of them.
func TestConvert(t *testing.T) {
	same := map[buildkit.Encoding]document{
		buildkit.OCIManifest: layoutDocument(t, "buildkit/local-oci-manifest", "latest"),
		buildkit.OCIIndex:    layoutDocument(t, "buildkit/local-oci-index", "latest"),
		buildkit.DockerList:  layoutDocument(t, "buildkit/local-docker-list", "latest"),
		buildkit.Flat:        flatDocument(t, "buildkit/s3", "manifests/main"),
	}
	for from, source := range same {
		for to, target := range same {
			if from == buildkit.DockerList && to == buildkit.Flat {
				continue // the flat form keeps media types; BuildKit wrote it with OCI's
			}
			t.Run(string(from)+" to "+string(to), func(t *testing.T) {
				encoded := mustEncode(t, mustDecode(t, source).Manifest, to)
				if diff := cmp.Diff(string(target.data), string(encoded.Data)); diff != "" {
					t.Errorf("Encode(%s) differs from BuildKit's bytes (-want +got):\n%s", to, diff)
				}
			})
		}
	}
}

// TestFlatLosesNothing takes layers with annotations of their own through the
// flat form, in which BuildKit drops them.
func TestFlatLosesNothing(t *testing.T) {
	source := layoutDocument(t, "buildkit/local-estargz", "latest")
	flat := mustEncode(t, mustDecode(t, source).Manifest, buildkit.Flat)
	again := mustEncode(t, mustDecode(t, document{data: flat.Data}).Manifest, buildkit.OCIManifest)
	if diff := cmp.Diff(string(source.data), string(again.Data)); diff != "" {
		t.Errorf("back from flat (-want +got):\n%s", diff)
	}
}
