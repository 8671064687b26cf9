package larder

import (
	"context"
	"fmt"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// InspectOptions are the options of [Inspect].
type InspectOptions struct {
	// ReadLimit is the largest document to be read, in bytes. The default is
	// buildkit.DefaultReadLimit.
	ReadLimit int64
}

// Inspection says what a cache consists of. Its JSON form is stable under
// [Schema].
type Inspection struct {
	Schema string `json:"schema"`
	// Ref is the ref's name, Digest that of the document it points to.
	Ref    string      `json:"ref"`
	Digest blob.Digest `json:"digest"`
	// Encoding is the form of the document, Size its size in bytes.
	Encoding buildkit.Encoding `json:"encoding"`
	Size     int64             `json:"size"`
	// ModTime is when the ref was written, or nil if the store does not say.
	ModTime *time.Time `json:"modTime"`
	// Layers and Records are those of the cache, in the order of its config.
	// The same blob may stand on several parents and is then listed as often.
	Layers  []InspectedLayer  `json:"layers"`
	Records []InspectedRecord `json:"records"`
	Totals  Totals            `json:"totals"`
	// Problems are defects that cost a part of the cache, in words.
	Problems []string `json:"problems,omitempty"`

	// Manifest is the decoded cache.
	Manifest *manifest.Manifest `json:"-"`
}

// InspectedLayer is a layer of an [Inspection].
type InspectedLayer struct {
	Digest blob.Digest `json:"digest"`
	DiffID blob.Digest `json:"diffID"`
	// Size is that of the blob in bytes.
	Size      int64  `json:"size"`
	MediaType string `json:"mediaType"`
	// CreatedAt is nil if it is not known.
	CreatedAt *time.Time `json:"createdAt"`
	// Parent is the index of the layer below, -1 if there is none.
	Parent int `json:"parent"`
}

// InspectedRecord is a record of an [Inspection].
type InspectedRecord struct {
	Digest blob.Digest `json:"digest"`
	// Layers are the digests of the result's blobs, lowest first; none if the
	// record has no result.
	Layers []blob.Digest `json:"layers"`
	// CreatedAt is when the result was made; nil if it is not known.
	CreatedAt *time.Time `json:"createdAt"`
	// Inputs has, for each input, the records any of which satisfies it.
	Inputs [][]InspectedLink `json:"inputs"`
}

// InspectedLink is an input of a record: the index of another record, and what
// part of its result is used ("" for all).
type InspectedLink struct {
	Record   int    `json:"record"`
	Selector string `json:"selector,omitempty"`
}

// Totals sums up an [Inspection].
type Totals struct {
	// Layers counts the entries, Blobs the distinct blobs behind them, and Bytes
	// is the size of the latter.
	Layers int   `json:"layers"`
	Blobs  int   `json:"blobs"`
	Bytes  int64 `json:"bytes"`
	// Records counts all records, Results those with a result.
	Records int `json:"records"`
	Results int `json:"results"`
}

// Inspect reads a cache's documents and says what is in them. No blob of a
// layer is asked for; see [Verify] for that.
func Inspect(ctx context.Context, t Target, opts InspectOptions) (*Inspection, error) {
	found, err := load(ctx, t, opts.ReadLimit)
	if err != nil {
		return nil, err
	}
	if err := checkStacks(found.Manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	return inspection(found), nil
}

// maxStacked bounds the layers of all results together that an inspection
// lists. Large caches have some hundred thousand; a document of a megabyte can
// be made to have tens of millions.
const maxStacked = 4 << 20

// checkStacks returns an error matching ErrTooLarge if the results' stacks are
// too much to be listed.
func checkStacks(m *manifest.Manifest) error {
	stacked := 0
	for _, r := range m.Records {
		if len(r.Results) == 0 {
			continue
		}
		if stacked += len(m.Stack(r.Results[0])); stacked > maxStacked {
			return fmt.Errorf("%w: the results have more than %d layers in all", backend.ErrTooLarge, maxStacked)
		}
	}
	return nil
}

func inspection(found *loaded) *Inspection {
	m := found.Manifest
	i := &Inspection{
		Schema: Schema, Ref: found.Name, Digest: found.digest(),
		Encoding: found.Encoding, Size: int64(len(found.Data)), ModTime: known(found.ModTime),
		Layers: make([]InspectedLayer, len(m.Layers)), Records: make([]InspectedRecord, len(m.Records)),
		Totals: totals(m), Manifest: m,
	}
	for n, l := range m.Layers {
		i.Layers[n] = InspectedLayer{
			Digest: l.Digest, DiffID: l.DiffID, Size: l.Size,
			MediaType: l.MediaType, CreatedAt: known(l.CreatedAt), Parent: l.Parent,
		}
	}
	for n, r := range m.Records {
		i.Records[n] = inspectRecord(m, r)
	}
	for _, p := range found.Problems {
		i.Problems = append(i.Problems, p.Detail)
	}
	return i
}

func inspectRecord(m *manifest.Manifest, r manifest.Record) InspectedRecord {
	out := InspectedRecord{Digest: r.Digest, Layers: []blob.Digest{}, Inputs: make([][]InspectedLink, len(r.Inputs))}
	if len(r.Results) > 0 {
		out.CreatedAt = known(r.Results[0].CreatedAt)
		for _, l := range m.Stack(r.Results[0]) {
			out.Layers = append(out.Layers, m.Layers[l].Digest)
		}
	}
	for n, links := range r.Inputs {
		for _, l := range links {
			out.Inputs[n] = append(out.Inputs[n], InspectedLink{Record: l.Record, Selector: l.Selector})
		}
	}
	return out
}

func totals(m *manifest.Manifest) Totals {
	t := Totals{Layers: len(m.Layers), Records: len(m.Records)}
	for _, b := range m.Blobs() {
		t.Blobs++
		t.Bytes += b.Size
	}
	for _, r := range m.Records {
		if len(r.Results) > 0 {
			t.Results++
		}
	}
	return t
}

// known returns nil for the zero time.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
