package buildkit_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

const attestation = `,"platform":{"architecture":"unknown","os":"unknown"}`

// image stores an image with one layer, named by a digit, and the given inline
// records, and returns its descriptor.
func (s store) image(digit, records, more string) string {
	cache := ""
	if records != "" {
		cache = fmt.Sprintf(`,"moby.buildkit.cache.v0":%q`, base64.StdEncoding.EncodeToString([]byte(records)))
	}
	config := s.add(imageConfType, fmt.Sprintf(`{"rootfs":{"type":"layers","diff_ids":[%q]},"history":[
		{"created":"2024-01-01T00:00:00Z","empty_layer":true},{"created":"2024-01-02T00:00:00Z"}]%s}`, sha(digit), cache), "")
	return s.add(manifestType, fmt.Sprintf(`{"schemaVersion":2,"config":%s,"layers":[%s]}`, config, layerJSON(digit, `"own":"annotation"`)), more)
}

func indexOf(entries ...string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, indexType, strings.Join(entries, ","))
}

const oneRecord = `[{"digest":"step","layers":[{"layer":0,"createdAt":"2024-02-03T04:05:06Z"}]}]`

func TestDecodeIndexOfImages(t *testing.T) {
	s := store{}
	amd64, arm64 := s.image("a", oneRecord, ""), s.image("b", oneRecord, "")
	broken := s.image("c", `[{"digest":"step","layers":[{"layer":5}]}]`, "")
	corrupt := s.image("9", oneRecord, "")
	missing := regexp.MustCompile("sha256:[0-9a-f]+").ReplaceAllLiteralString(amd64, sha("d"))
	cache := s.add(manifestType, s.ociCache(twoSteps), "")
	for _, tc := range []struct {
		name, index string
		layers      string // the digits of the layers
		problem     string // "" for none
	}{
		{"one", indexOf(amd64), "a", ""},
		{"two", indexOf(arm64, amd64), "ba", ""},
		{"one twice", indexOf(amd64, amd64), "a", ""},
		{"one without cache", indexOf(s.image("e", "", ""), arm64), "b", ""},
		{"attestation", indexOf(amd64, s.image("f", oneRecord, attestation)), "a", ""},
		{"attestation that is gone", indexOf(amd64, strings.Replace(missing, "}", attestation+"}", 1)), "a", ""},
		{"something else listed", indexOf(layerJSON("d", ""), amd64), "a", ""},
		{"index in an index", indexOf(s.add(indexType, indexOf(arm64), ""), amd64), "ab", ""},
		{"cache in an index", indexOf(cache, arm64), "b", ""},
		{"one gone", indexOf(missing, arm64), "b", "file does not exist"},
		{"one corrupt", indexOf(corrupt, arm64), "b", "corrupt"},
		{"one damaged", indexOf(broken, arm64), "b", "records[0].results[0].layer is 5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fetch := func(ctx context.Context, d blob.Descriptor) ([]byte, error) {
				if strings.Contains(corrupt, string(d.Digest)) {
					return nil, fmt.Errorf("blob %s: %w", d.Digest, blob.ErrCorrupt)
				}
				return s.fetch(ctx, d)
			}
			found := mustDecode(t, document{data: []byte(tc.index), fetch: fetch})
			var layers strings.Builder
			for _, l := range found.Manifest.Layers {
				layers.WriteByte(l.Digest[len(l.Digest)-1])
			}
			if layers.String() != tc.layers || len(found.Manifest.Records) != len(tc.layers) {
				t.Errorf("layers %s with %d records, want %s with as many", layers.String(), len(found.Manifest.Records), tc.layers)
			}
			if got := fmt.Sprint(found.Problems); tc.problem == "" && len(found.Problems) > 0 || !strings.Contains(got, tc.problem) {
				t.Errorf("Problems = %s, want %q", got, tc.problem)
			}
			if err := found.Manifest.Check(); err != nil {
				t.Errorf("Check() = %v", err)
			}
			if l := found.Manifest.Layers[0]; l.Annotations["own"] != "annotation" || l.CreatedAt.Day() != 2 {
				t.Errorf("layer = %+v, want its annotation and the time of the second step", l)
			}
		})
	}
}

func TestDecodeIndexRefuses(t *testing.T) {
	s := store{}
	loop := s.image("a", oneRecord, "")
	for range 6 {
		loop = s.add(indexType, indexOf(loop), "")
	}
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%064x","size":1}`, manifestType, i)
	}
	unavailable := errors.New("unavailable")
	for _, tc := range []struct {
		name, index string
		fetch       buildkit.Fetch
		want        error
	}{
		{"no cache in any", indexOf(s.image("e", "", "")), s.fetch, buildkit.ErrNotCache},
		{"caches only", indexOf(s.add(manifestType, s.ociCache(twoSteps), "")), s.fetch, buildkit.ErrNotCache},
		{"damaged only", indexOf(s.image("c", `[{}]`, ""), s.image("e", "", "")), s.fetch, blob.ErrInvalid},
		{"too deep", indexOf(loop), s.fetch, blob.ErrTooLarge},
		{"too many", indexOf(many...), s.fetch, blob.ErrTooLarge},
		{"store fails", indexOf(s.image("a", oneRecord, "")), func(context.Context, blob.Descriptor) ([]byte, error) {
			return nil, unavailable
		}, unavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := buildkit.Decode(t.Context(), "", []byte(tc.index), tc.fetch, buildkit.DecodeOptions{})
			if !errors.Is(err, tc.want) {
				t.Errorf("Decode() = %v, want %v", err, tc.want)
			}
		})
	}
}

// TestDecodeIndexSharesLimit checks that the documents of an index are limited
// together: each of them could have the limit's size, and there may be many.
func TestDecodeIndexSharesLimit(t *testing.T) {
	s := store{}
	index := indexOf(s.image("a", oneRecord, ""), s.image("b", oneRecord, ""))
	total := int64(0)
	for _, data := range s {
		total += int64(len(data))
	}
	for limit, want := range map[int64]error{total: nil, total - 1: blob.ErrTooLarge} {
		_, err := buildkit.Decode(t.Context(), "", []byte(index), s.fetch, buildkit.DecodeOptions{ReadLimit: limit})
		if !errors.Is(err, want) {
			t.Errorf("Decode(ReadLimit: %d of %d) = %v, want %v", limit, total, err, want)
		}
	}
}

// TestDecodeIndexTellsKind checks by what a Docker list is told from an index.
func TestDecodeIndexTellsKind(t *testing.T) {
	s := store{}
	entries := s.add(buildkit.MediaTypeConfig, twoSteps, "") + "," + layerJSON("b", diffIDJSON("2")) + "," + layerJSON("a", diffIDJSON("1"))
	for _, tc := range []struct {
		name, said, own string
		want            buildkit.Encoding
	}{
		{"nothing said", "", "", buildkit.OCIIndex},
		{"said by the store", buildkit.MediaTypeDockerList, "", buildkit.DockerList},
		{"said by itself", "", buildkit.MediaTypeDockerList, buildkit.DockerList},
		{"itself against the store", buildkit.MediaTypeDockerList, indexType, buildkit.OCIIndex},
		{"nonsense said", "text/plain", "x/y", buildkit.OCIIndex},
	} {
		t.Run(tc.name, func(t *testing.T) {
			own := ""
			if tc.own != "" {
				own = fmt.Sprintf(`"mediaType":%q,`, tc.own)
			}
			found, err := s.decode(t, tc.said, `{`+own+`"manifests":[`+entries+`]}`)
			if err != nil {
				t.Fatalf("Decode() = %v, want no error", err)
			}
			if found.Encoding != tc.want || len(found.Problems) > 0 {
				t.Errorf("Encoding = %s with problems %v, want %s with none", found.Encoding, found.Problems, tc.want)
			}
		})
	}
}

// TestDecodeIndexFetchesTogether checks that images are fetched at the same
// time, but not all of them.
func TestDecodeIndexFetchesTogether(t *testing.T) {
	s := store{}
	var images []string
	for i := range 20 {
		images = append(images, s.image("a", oneRecord, ""), s.image("b", fmt.Sprintf(`[{"digest":"%d"}]`, i), ""))
	}
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		var mu sync.Mutex
		fetch := func(ctx context.Context, d blob.Descriptor) ([]byte, error) {
			mu.Lock()
			most.Store(max(most.Load(), now.Add(1)))
			mu.Unlock()
			defer now.Add(-1)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			return s.fetch(ctx, d)
		}
		if _, err := buildkit.Decode(t.Context(), "", []byte(indexOf(images...)), fetch, buildkit.DecodeOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := most.Load(); got != 8 {
			t.Errorf("%d fetches at the same time, want 8", got)
		}
	})
}

// TestDecodeIndexShiftsPositions checks that what the second image says of its
// own records and layers still holds in the whole.
func TestDecodeIndexShiftsPositions(t *testing.T) {
	const records = `[{"digest":"from"},{"digest":"step","layers":[{"layer":0}],"chains":[{"layers":[0]}],"inputs":[[{"link":0}]]}]`
	s := store{}
	found, err := s.decode(t, "", indexOf(s.image("a", records, ""), s.image("b", records, "")))
	if err != nil {
		t.Fatal(err)
	}
	want := manifest.Record{
		Digest:  "step",
		Inputs:  [][]manifest.Link{{{Record: 2}}},
		Results: []manifest.Result{{Layer: 1}, {Chain: []int{1}}},
	}
	if diff := cmp.Diff(want, found.Manifest.Records[3]); diff != "" {
		t.Errorf("last record (-want +got):\n%s", diff)
	}
}
