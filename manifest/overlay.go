package manifest

// Origins says where the parts of an overlay come from. Sources are numbered as
// the manifests were given, those that are nil included.
type Origins struct {
	// Records has for each record of the overlay the first source that has a
	// result for it, or, if none has, the first that has the record.
	Records []int
	// Layers has for each layer of the overlay the sources that hold it, in
	// order.
	Layers [][]int
}

// Overlay joins the manifests of an ordered chain of sources. It differs from
// [Merge] in that the first source that has something settles it: its result of
// a record comes first, the results of later sources follow and stand in if
// blobs of the first are lost. Its facts of a layer count too, except that facts
// with which BuildKit can use the layer beat facts with which it cannot.
//
// The order is that in which layers and records first come up. Manifests that
// are nil are passed over but keep their number; the others must pass Check.
func Overlay(ms ...*Manifest) (*Manifest, Origins) {
	u := newUnion(earlier)
	var t tracker
	for source, m := range ms {
		if m == nil {
			continue
		}
		layers, records := u.add(m)
		t.grow(len(u.Layers), len(u.Records), source)
		t.noteLayers(layers, source)
		t.noteRecords(m.Records, records, source)
	}
	for i, r := range u.Records {
		u.Records[i].Results = u.distinctResults(r.Results)
	}
	return u.Manifest, t.Origins
}

// tracker follows which source gave what.
type tracker struct {
	Origins
	served []bool // by record: some source had a result
}

// grow makes room for the layers and records that source was the first to have.
func (t *tracker) grow(layers, records, source int) {
	t.Layers = append(t.Layers, make([][]int, layers-len(t.Layers))...)
	for len(t.Records) < records {
		t.Records = append(t.Records, source)
		t.served = append(t.served, false)
	}
}

// noteLayers notes that source holds the layers, which may stand there twice.
func (t *tracker) noteLayers(layers []int, source int) {
	for _, i := range layers {
		if n := len(t.Layers[i]); n == 0 || t.Layers[i][n-1] != source {
			t.Layers[i] = append(t.Layers[i], source)
		}
	}
}

// noteRecords takes the records of source and where they stand in the overlay.
func (t *tracker) noteRecords(records []Record, at []int, source int) {
	for n, r := range records {
		if i := at[n]; len(r.Results) > 0 && !t.served[i] {
			t.Records[i], t.served[i] = source, true
		}
	}
}

// distinctResults drops results whose layers an earlier one lists too.
func (u *union) distinctResults(results []Result) []Result {
	if len(results) < 2 {
		return results
	}
	seen := make(map[key]bool, len(results))
	distinct := results[:0]
	for _, r := range results {
		layers := u.layersKey(r)
		if !seen[layers] {
			seen[layers] = true
			distinct = append(distinct, r)
		}
	}
	return distinct
}
