package manifest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/larder-build/larder/blob"
)

// tree is root <- compile <- link with layers a <- b <- c, one result each for
// compile (a, b) and link (a, b, c), and a step "other" with a chain (d, c).
func tree() *Manifest {
	return &Manifest{
		Layers: []Layer{layer("a", NoParent), layer("b", 0), layer("c", 1), layer("d", NoParent)},
		Records: []Record{
			{Digest: "root"},
			{Digest: "compile", Inputs: [][]Link{links(0)}, Results: []Result{top(1, 1)}},
			{Digest: "link", Inputs: [][]Link{links(1)}, Results: []Result{top(2, 2)}},
			{Digest: "other", Results: []Result{chain(3, 3, 2)}},
		},
	}
}

func TestWithout(t *testing.T) {
	tests := []struct {
		name    string
		gone    []string
		layers  []string
		records []string
		lost    Lost
	}{
		{"nothing", nil, []string{"a", "b", "c", "d"}, []string{"root", "compile", "link", "other"}, Lost{}},
		{"a blob that no layer has", []string{"z"}, []string{"a", "b", "c", "d"}, []string{"root", "compile", "link", "other"}, Lost{}},
		{"the root layer: the chain keeps c", []string{"a"}, []string{"c", "d"}, []string{"other"}, Lost{Layers: 2, Records: 2, Results: 2}},
		{"a middle layer", []string{"b"}, []string{"c", "d"}, []string{"other"}, Lost{Layers: 2, Records: 2, Results: 2}},
		{"a shared top layer", []string{"c"}, []string{"a", "b"}, []string{"root", "compile"}, Lost{Layers: 2, Records: 2, Results: 2}},
		{"a layer of the chain", []string{"d"}, []string{"a", "b", "c"}, []string{"root", "compile", "link"}, Lost{Layers: 1, Records: 1, Results: 1}},
		{"all", []string{"a", "d"}, nil, nil, Lost{Layers: 4, Records: 3, Results: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gone := map[blob.Digest]bool{}
			for _, name := range tt.gone {
				gone[sum(name)] = true
			}
			got, lost := tree().WithoutBlobs(gone)
			if err := got.Check(); err != nil {
				t.Errorf("Check = %v", err)
			}
			if diff := cmp.Diff(tt.lost, lost); diff != "" {
				t.Errorf("lost: -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(sums(tt.layers), layerDigests(got)); diff != "" {
				t.Errorf("layers: -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(tt.records, recordDigests(got)); diff != "" {
				t.Errorf("records: -want +got:\n%s", diff)
			}
		})
	}
}

func TestWithoutKeepsALinkThatIsNeeded(t *testing.T) {
	m := &Manifest{
		Layers: []Layer{layer("a", NoParent), layer("b", NoParent)},
		Records: []Record{
			{Digest: "first", Results: []Result{top(0, 1)}},
			{Digest: "second", Inputs: [][]Link{links(0)}, Results: []Result{top(1, 2)}},
			{Digest: "unrelated"},
		},
	}
	got, lost := m.Without(func(i int) bool { return i == 0 })
	want := &Manifest{
		Layers: []Layer{layer("b", NoParent)},
		Records: []Record{
			{Digest: "first"},
			{Digest: "second", Inputs: [][]Link{links(0)}, Results: []Result{top(0, 2)}},
			{Digest: "unrelated"},
		},
	}
	requireEqual(t, "Without", got, want)
	if want := (Lost{Layers: 1, Records: 1, Results: 1}); lost != want {
		t.Errorf("lost = %+v, want %+v", lost, want)
	}
}

// Layers that nothing used stay, with the layers below them, unless they are
// lost themselves.
func TestWithoutAndLayersThatServeNothing(t *testing.T) {
	m := &Manifest{
		Layers: []Layer{
			layer("base", NoParent), layer("used", 0), layer("idle", 0),
			layer("idle and lost", NoParent), layer("idle above", 3),
		},
		Records: []Record{{Digest: "step", Results: []Result{top(1, 1)}}},
	}
	got, lost := m.WithoutBlobs(map[blob.Digest]bool{sum("used"): true, sum("idle and lost"): true})
	requireEqual(t, "WithoutBlobs", got, &Manifest{Layers: []Layer{layer("base", NoParent), layer("idle", 0)}})
	if want := (Lost{Layers: 3, Records: 1, Results: 1}); lost != want {
		t.Errorf("lost = %+v, want %+v", lost, want)
	}
}

// A record that keeps one of two results is not lost.
func TestWithoutFallsBackToAnotherResult(t *testing.T) {
	m := &Manifest{
		Layers:  []Layer{layer("a", NoParent), layer("b", NoParent)},
		Records: []Record{{Digest: "step", Results: []Result{top(0, 2), top(1, 1)}}},
	}
	got, lost := m.Without(func(i int) bool { return i == 0 })
	want := &Manifest{
		Layers:  []Layer{layer("b", NoParent)},
		Records: []Record{{Digest: "step", Results: []Result{top(0, 1)}}},
	}
	requireEqual(t, "Without", got, want)
	if want := (Lost{Layers: 1, Results: 1}); lost != want {
		t.Errorf("lost = %+v, want %+v", lost, want)
	}
}

// stacks returns the blobs of every result that drop does not touch, per record.
func stacks(m *Manifest, drop func(int) bool) []string {
	var all []string
	for _, record := range m.Records {
		for _, r := range record.Results {
			stack := m.Stack(r)
			if slices.ContainsFunc(stack, drop) {
				continue
			}
			line := string(record.Digest)
			for _, i := range stack {
				line += " " + string(m.Layers[i].Digest)
			}
			all = append(all, line)
		}
	}
	return all
}

func TestWithoutKeepsExactlyTheUntouchedResults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := manifests(false).Draw(t, "m")
		gone := rapid.SliceOfN(rapid.Bool(), len(m.Layers), len(m.Layers)).Draw(t, "gone")
		drop := func(i int) bool { return gone[i] }
		got, lost := m.Without(drop)
		if err := got.Check(); err != nil {
			t.Fatalf("Check = %v", err)
		}
		none := func(int) bool { return false }
		if diff := cmp.Diff(stacks(m, drop), stacks(got, none)); diff != "" {
			t.Errorf("results: -want +got:\n%s", diff)
		}
		if want := len(stacks(m, none)) - len(stacks(m, drop)); lost.Results != want {
			t.Errorf("lost.Results = %d, want %d", lost.Results, want)
		}
		if want := len(m.Layers) - len(got.Layers); lost.Layers != want {
			t.Errorf("lost.Layers = %d, want %d", lost.Layers, want)
		}
	})
}

func TestWithoutNothingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := manifests(false).Draw(t, "m")
		got, lost := m.Without(func(int) bool { return false })
		requireEqual(t, "Without", got, m)
		if lost != (Lost{}) {
			t.Errorf("lost = %+v, want nothing", lost)
		}
	})
}

func TestCompactOfALossIsCompact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := manifests(false).Draw(t, "m").Compact()
		got, _ := m.Without(func(i int) bool { return i%2 == 0 })
		requireEqual(t, "Compact", got.Compact(), got)
	})
}

func TestUsable(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Layer)
		want   bool
	}{
		{"sound", func(*Layer) {}, true},
		{"zstd", func(l *Layer) { l.MediaType = "application/vnd.oci.image.layer.v1.tar+zstd" }, true},
		{"uncompressed", func(l *Layer) { l.MediaType = "application/vnd.oci.image.layer.v1.tar" }, true},
		{"docker", func(l *Layer) { l.MediaType = "application/vnd.docker.image.rootfs.diff.tar.gzip" }, true},
		{"docker zstd", func(l *Layer) { l.MediaType = "application/vnd.docker.image.rootfs.diff.tar.zstd" }, true},
		{"bytes", func(l *Layer) { l.MediaType = "application/octet-stream" }, false},
		{"unknown compression", func(l *Layer) { l.MediaType += "ip" }, false},
		{"no media type", func(l *Layer) { l.MediaType = "" }, false},
		{"no diffID", func(l *Layer) { l.DiffID = "" }, false},
		{"empty", func(l *Layer) { l.Size = 0 }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := two()
			tt.change(&m.Layers[0])
			var bad []int
			for i, err := range m.Unusable() {
				bad = append(bad, i)
				if err == nil {
					t.Error("Unusable gives no reason")
				}
			}
			got, lost := m.Usable()
			if usable := bad == nil; usable != tt.want {
				t.Errorf("Unusable = %v, want usable %v", bad, tt.want)
			}
			if usable := !got.IsEmpty() && lost == (Lost{}); usable != tt.want {
				t.Errorf("Usable lost %+v, want usable %v", lost, tt.want)
			}
		})
	}
}

func sums(names []string) (digests []blob.Digest) {
	for _, name := range names {
		digests = append(digests, sum(name))
	}
	return digests
}

func layerDigests(m *Manifest) (digests []blob.Digest) {
	for _, l := range m.Layers {
		digests = append(digests, l.Digest)
	}
	return digests
}

func recordDigests(m *Manifest) (digests []string) {
	for _, r := range m.Records {
		digests = append(digests, string(r.Digest))
	}
	return digests
}
