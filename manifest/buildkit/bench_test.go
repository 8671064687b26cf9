package buildkit_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// large returns a cache of about a thousand records, each with a result and two
// inputs, as a monorepo's has.
func large() *manifest.Manifest {
	m := &manifest.Manifest{}
	for i := range 1020 {
		name := fmt.Sprintf("sha256:%064x", i)
		m.Layers = append(m.Layers, manifest.Layer{
			Digest: blob.Digest(name), DiffID: blob.Digest(name), Size: int64(i + 1), MediaType: gzipLayer,
			Parent: i - 1, CreatedAt: time.Unix(int64(i), 123456789).UTC(),
		})
		r := manifest.Record{
			Digest:  blob.Digest(name),
			Results: []manifest.Result{{Layer: i, CreatedAt: time.Unix(int64(i), 987654321).UTC()}},
		}
		if i > 1 {
			r.Inputs = [][]manifest.Link{{{Record: i - 1}}, {{Record: i - 2, Selector: name}}}
		}
		m.Records = append(m.Records, r)
	}
	return m
}

// config is BuildKit's own type of a flat manifest: what Decode is measured by.
type config struct {
	Layers []struct {
		Blob        blob.Digest `json:"blob,omitempty"`
		ParentIndex int         `json:"parent,omitempty"`
		Annotations *struct {
			MediaType string      `json:"mediaType,omitempty"`
			DiffID    blob.Digest `json:"diffID,omitempty"`
			Size      int64       `json:"size,omitempty"`
			CreatedAt time.Time   `json:"createdAt"`
		} `json:"annotations,omitempty"`
	} `json:"layers,omitempty"`
	Records []struct {
		Results []struct {
			LayerIndex int       `json:"layer"`
			CreatedAt  time.Time `json:"createdAt"`
		} `json:"layers,omitempty"`
		ChainedResults []struct {
			LayerIndexes []int     `json:"layers"`
			CreatedAt    time.Time `json:"createdAt"`
		} `json:"chains,omitempty"`
		Digest blob.Digest `json:"digest,omitempty"`
		Inputs [][]struct {
			Selector  string `json:"selector,omitempty"`
			LinkIndex int    `json:"link"`
		} `json:"inputs,omitempty"`
	} `json:"records,omitempty"`
}

// BenchmarkDecode compares Decode, which checks the cache as well, with
// unmarshaling the same document into BuildKit's types.
func BenchmarkDecode(b *testing.B) {
	data := mustEncode(b, large(), buildkit.Flat).Data
	b.Run("larder", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := buildkit.Decode(b.Context(), "", data, nil, buildkit.DecodeOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json.Unmarshal", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var c config
			if err := json.Unmarshal(data, &c); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkEncode compares Encode with marshaling BuildKit's types.
func BenchmarkEncode(b *testing.B) {
	m := large()
	data := mustEncode(b, m, buildkit.Flat).Data
	b.Run("larder", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			mustEncode(b, m, buildkit.Flat)
		}
	})
	b.Run("json.Marshal", func(b *testing.B) {
		var c config
		if err := json.Unmarshal(data, &c); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(c); err != nil {
				b.Fatal(err)
			}
		}
	})
}
