package manifest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"

	"github.com/larder-build/larder/blob"
)

const gzipLayer = "application/vnd.oci.image.layer.v1.tar+gzip"

// at returns the time n seconds into the tests' epoch.
func at(n int) time.Time { return time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC) }

// sum returns a digest that a short name stands for.
func sum(name string) blob.Digest { return digest.FromString(name) }

// layer returns a usable layer on a parent.
func layer(name string, parent int) Layer {
	return Layer{
		Digest: sum(name), DiffID: sum("diff of " + name), Size: int64(100 + len(name)),
		MediaType: gzipLayer, CreatedAt: at(1), Parent: parent,
	}
}

// top returns the result that is a layer with its parents.
func top(layer, seconds int) Result { return Result{Layer: layer, CreatedAt: at(seconds)} }

// chain returns the result that is a list of layers.
func chain(seconds int, layers ...int) Result { return Result{Chain: layers, CreatedAt: at(seconds)} }

// links returns an input with the given alternatives.
func links(records ...int) []Link {
	var input []Link
	for _, r := range records {
		input = append(input, Link{Record: r})
	}
	return input
}

// manifests generates valid manifests over few names, so that they overlap. The
// facts of a layer are a function of its blob if agreed is true.
func manifests(agreed bool) *rapid.Generator[*Manifest] {
	return rapid.Custom(func(t *rapid.T) *Manifest {
		m := &Manifest{Extra: drawFields(t, "extra"), Envelope: drawFields(t, "envelope")}
		for i := range rapid.IntRange(0, 6).Draw(t, "layers") {
			m.Layers = append(m.Layers, drawLayer(t, i, agreed))
		}
		for i := range rapid.IntRange(0, 7).Draw(t, "records") {
			m.Records = append(m.Records, drawRecord(t, m, i))
		}
		return shuffled(t, m)
	})
}

func drawLayer(t *rapid.T, i int, agreed bool) Layer {
	l := layer(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "blob"), rapid.IntRange(NoParent, i-1).Draw(t, "parent"))
	if agreed {
		return l
	}
	l.CreatedAt = drawTime(t)
	l.Annotations = rapid.MapOfN(rapid.SampledFrom([]string{"x", "y"}), rapid.SampledFrom([]string{"1", "2"}), 0, 2).Draw(t, "annotations")
	l.Extra = drawFields(t, "layer extra")
	l.DescriptorExtra = drawFields(t, "descriptor extra")
	if rapid.Bool().Draw(t, "unusable") {
		l.DiffID = ""
	}
	return l
}

func drawRecord(t *rapid.T, m *Manifest, i int) Record {
	r := Record{
		Digest: sum(rapid.SampledFrom([]string{"r", "s", "t"}).Draw(t, "record")),
		Extra:  drawFields(t, "record extra"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "inputs") {
		if i == 0 {
			break
		}
		var input []Link
		for range rapid.IntRange(1, 3).Draw(t, "alternatives") {
			input = append(input, Link{
				Record:   rapid.IntRange(0, i-1).Draw(t, "link"),
				Selector: rapid.SampledFrom([]string{"", "/a", "/b"}).Draw(t, "selector"),
				Extra:    drawFields(t, "link extra"),
			})
		}
		r.Inputs = append(r.Inputs, input)
	}
	for range rapid.IntRange(0, 2).Draw(t, "results") {
		if len(m.Layers) > 0 {
			r.Results = append(r.Results, drawResult(t, len(m.Layers)))
		}
	}
	return r
}

func drawResult(t *rapid.T, layers int) Result {
	r := Result{CreatedAt: drawTime(t), Extra: drawFields(t, "result extra")}
	index := rapid.IntRange(0, layers-1)
	if rapid.Bool().Draw(t, "chain") {
		r.Chain = rapid.SliceOfN(index, 1, 3).Draw(t, "chain layers")
	} else {
		r.Layer = index.Draw(t, "result layer")
	}
	return r
}

// drawTime draws from few instants, in more than one spelling, or none.
func drawTime(t *rapid.T) time.Time {
	zone := rapid.SampledFrom([]*time.Location{time.UTC, time.FixedZone("", 3600)}).Draw(t, "zone")
	n := rapid.IntRange(0, 3).Draw(t, "time")
	if n == 0 {
		return time.Time{}
	}
	return at(n).In(zone)
}

func drawFields(t *rapid.T, name string) Fields {
	var f Fields
	for i := range 2 {
		if v := rapid.IntRange(0, 6).Draw(t, name); v > 4 {
			if f == nil {
				f = Fields{}
			}
			f[fmt.Sprint("f", i)] = json.RawMessage(fmt.Sprint(v))
		}
	}
	return f
}

// shuffled returns m with its layers, records, alternatives and results in
// another order.
func shuffled(t *rapid.T, m *Manifest) *Manifest {
	m = m.arrange(
		rapid.Permutation(upTo(len(m.Layers))).Draw(t, "layer order"),
		rapid.Permutation(upTo(len(m.Records))).Draw(t, "record order"),
	)
	for i, r := range m.Records {
		for j, input := range r.Inputs {
			r.Inputs[j] = rapid.Permutation(input).Draw(t, "alternative order")
		}
		m.Records[i].Results = rapid.Permutation(r.Results).Draw(t, "result order")
	}
	return m
}
