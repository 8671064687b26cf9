package local

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"pgregory.net/rapid"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// entryJSON is an entry as BuildKit writes it; image may be "".
func entryJSON(content, ref, image string) string {
	annotations := map[string]string{ocispec.AnnotationRefName: ref}
	if image != "" {
		annotations[annotationImageName] = image
	}
	d := blob.Describe(ocispec.MediaTypeImageManifest, []byte(content))
	d.Annotations = annotations
	return string(marshal(d))
}

func indexJSON(entries ...string) string {
	return `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + strings.Join(entries, ",") + `]}`
}

func mustParse(tb testing.TB, data string) index {
	tb.Helper()
	x, err := parseIndex([]byte(data))
	if err != nil {
		tb.Fatalf("parseIndex(%s) = %v, want an index", data, err)
	}
	return x
}

func doc(content string) blob.Descriptor {
	return blob.Describe(ocispec.MediaTypeImageManifest, []byte(content))
}

func TestIndexKeepsWhatItDoesNotKnow(t *testing.T) {
	foreign := `{ "digest":"sha512:x", "size" : 100,"mediaType":"a/b<c>","x-own": {"b":1, "a":[null,1.50]},"annotations":{"k\u0041":"v"}}`
	unnamed := `{"mediaType":"m","digest":"","size":0}`
	x := mustParse(t, `{"x-first":  {"z":1,"a":2.0}, "manifests" : [`+foreign+` , `+unnamed+`],"schemaVersion":2,"annotations":{"é":"\u00e9"}}`)
	x.set("main", doc("1"))
	want := `{"x-first":{"z":1,"a":2.0},"manifests":[` + foreign + `,` + unnamed + `,` + entryJSON("1", "main", "") +
		`],"schemaVersion":2,"annotations":{"é":"\u00e9"}}`
	if diff := cmp.Diff(want, string(x.encode())); diff != "" {
		t.Errorf("encode() differs (-want +got):\n%s", diff)
	}
}

func TestIndexWritesLikeBuildKit(t *testing.T) {
	x := mustParse(t, "")
	x.set("main", doc("1"))
	x.set("b", doc("2"))
	if diff := cmp.Diff(indexJSON(entryJSON("1", "main", ""), entryJSON("2", "b", "")), string(x.encode())); diff != "" {
		t.Errorf("encode() differs (-want +got):\n%s", diff)
	}
}

func TestIndexSet(t *testing.T) {
	const app = "docker.io/library/app:latest"
	other := entryJSON("o", "other", "")
	for _, test := range []struct {
		name, ref    string
		before, want []string
	}{
		{"new", "main", []string{other}, []string{other, entryJSON("new", "main", "")}},
		{"replaced in place", "main", []string{entryJSON("1", "main", ""), other}, []string{entryJSON("new", "main", ""), other}},
		{
			"all of the name", "main",
			[]string{entryJSON("1", "main", ""), other, entryJSON("2", "main", "")},
			[]string{entryJSON("new", "main", ""), other},
		},
		{
			"before an image with that short name", "latest",
			[]string{other, entryJSON("1", "latest", app)},
			[]string{other, entryJSON("new", "latest", ""), entryJSON("1", "latest", app)},
		},
		{"an image by its full name", app, []string{entryJSON("1", "latest", app), other}, []string{entryJSON("new", "latest", app), other}},
		{"unchanged", "main", []string{entryJSON("new", "main", ""), other}, []string{entryJSON("new", "main", ""), other}},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := mustParse(t, indexJSON(test.before...))
			changed := x.set(test.ref, doc("new"))
			if diff := cmp.Diff(indexJSON(test.want...), string(x.encode())); diff != "" {
				t.Errorf("set(%s) differs (-want +got):\n%s", test.ref, diff)
			}
			if want := !slices.Equal(test.before, test.want); changed != want {
				t.Errorf("set(%s) = %v, want %v", test.ref, changed, want)
			}
		})
	}
}

// buildKitFind is how BuildKit's client resolves a tag: StoreIndex.Get in
// moby/buildkit, client/ociindex/ociindex.go.
func buildKitFind(x ocispec.Index, tag string) (blob.Digest, bool) {
	for _, annotation := range []string{annotationImageName, ocispec.AnnotationRefName} {
		for _, m := range x.Manifests {
			if t, ok := m.Annotations[annotation]; ok && t == tag {
				return m.Digest, true
			}
		}
	}
	return "", false
}

// TestIndexIsBuildKits shows, for any sequence of changes, that BuildKit and
// this package find the same, and what was set last.
func TestIndexIsBuildKits(t *testing.T) {
	refs := []string{"latest", "main", "docker.io/library/app:latest", "docker.io/library/app:main"}
	rapid.Check(t, func(t *rapid.T) {
		var before []string
		for range rapid.IntRange(0, 4).Draw(t, "entries") {
			image := rapid.SampledFrom([]string{"", refs[2], refs[3]}).Draw(t, "image")
			before = append(before, entryJSON(rapid.StringN(0, 2, 8).Draw(t, "content"), rapid.SampledFrom(refs).Draw(t, "ref"), image))
		}
		x, err := parseIndex([]byte(indexJSON(before...)))
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			name, d := rapid.SampledFrom(refs).Draw(t, "name"), doc(rapid.StringN(0, 2, 8).Draw(t, "document"))
			x.set(name, d)
			var theirs ocispec.Index
			if err := json.Unmarshal(x.encode(), &theirs); err != nil {
				t.Fatal(err)
			}
			if got, ok := buildKitFind(theirs, name); !ok || got != d.Digest {
				t.Fatalf("after set(%s, %s) BuildKit finds %q in %s", name, d.Digest, got, x.encode())
			}
			if e, ok := x.find(name); !ok || e.Digest != d.Digest {
				t.Fatalf("find(%s) = %s, want %s", name, e.Digest, d.Digest)
			}
		}
	})
}

func TestIndexRefuses(t *testing.T) {
	for _, test := range []struct{ name, data string }{
		{"torn", indexJSON(entryJSON("1", "main", ""))[:90]},
		{"shorter over longer", indexJSON() + `]}`},
		{"no object", `[]`},
		{"null", `null`},
		{"only the beginning", `{`},
		{"a field without value", `{"manifests":`},
		{"manifests no list", `{"manifests":{}}`},
		{"an entry that is no object", `{"manifests":["main"]}`},
		{"a digest that is no string", `{"manifests":[{"digest":1}]}`},
		{"manifests twice", `{"manifests":[],"manifests":[]}`},
		{"zeros after a crash", "\x00\x00\x00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parseIndex([]byte(test.data)); !errors.Is(err, backend.ErrCorrupt) {
				t.Errorf("parseIndex(%s) = %v, want %v", test.data, err, backend.ErrCorrupt)
			}
		})
	}
}

func TestIndexAccepts(t *testing.T) {
	for _, test := range []struct{ name, data, want string }{
		{"nothing", "", indexJSON()},
		{"manifests null", `{"manifests":null}`, `{"manifests":[]}`},
		{"no manifests", `{"schemaVersion":2}`, `{"schemaVersion":2,"manifests":[]}`},
		{"no media type", "{\n \"schemaVersion\": 2,\n \"manifests\": []\n}\n", `{"schemaVersion":2,"manifests":[]}`},
		{"an empty object", `{}`, `{"manifests":[]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := mustParse(t, test.data)
			if got := string(x.encode()); got != test.want {
				t.Errorf("encode() = %s, want %s", got, test.want)
			}
		})
	}
}

// FuzzIndex shows that what is parsed means the same to BuildKit's decoder, and
// that rewriting keeps every entry and field.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(indexJSON(entryJSON("1", "main", ""), entryJSON("2", "latest", "docker.io/library/app:latest"))), "main")
	f.Add([]byte(`{"manifests":[{"digest":"sha256:../../x","size":-1}],"x":1}`), "a<b")
	f.Add([]byte(`{"manifests":null,"annotations":{"a":"b"}}`), "latest")
	f.Add([]byte(indexJSON()+"}"), "")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		x, err := parseIndex(data)
		if err != nil {
			return
		}
		before := fieldsOf(t, x.encode())
		again := mustParse(t, string(x.encode()))
		if got := again.encode(); string(got) != string(x.encode()) {
			t.Fatalf("encode(parse(%s)) = %s", x.encode(), got)
		}
		if backend.CheckRefName(name) != nil {
			return
		}
		d := doc("new")
		x.set(name, d)
		if e, ok := x.find(name); !ok || e.Digest != d.Digest {
			t.Fatalf("find(%q) = %s, %v, want %s", name, e.Digest, ok, d.Digest)
		}
		after := fieldsOf(t, x.encode())
		delete(before, fieldManifests)
		delete(after, fieldManifests)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("set(%q) changed fields (-before +after):\n%s", name, diff)
		}
	})
}

// fieldsOf decodes the members of a JSON object, which must be valid.
func fieldsOf(t *testing.T, data []byte) map[string]any {
	t.Helper()
	fields := map[string]any{}
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return maps.Clone(fields)
}
