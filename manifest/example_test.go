package manifest_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// A tool with a cache of its own describes what it built: which step, from
// which inputs, gave which layers.
func ExampleBuilder() {
	built := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := manifest.NewBuilder()
	objects := b.Layer(tarball("objects.tar.gz"), digest.FromString("objects.tar"), built, manifest.LayerHandle{})
	binary := b.Layer(tarball("binary.tar.gz"), digest.FromString("binary.tar"), built, objects)

	source := b.Record("source 4f3c21")
	compile := b.Record("compile linux/amd64", manifest.AnyOf(source))
	link := b.Record("link linux/amd64", manifest.AnyOf(compile), manifest.AnyOf(source).Select("/link.ld"))
	b.Result(compile, built, objects)
	b.Result(link, built, binary) // the binary and the objects below it

	m, err := b.Manifest()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(m.Layers), "layers,", len(m.Records), "records")
	for _, r := range m.Records {
		if len(r.Results) > 0 {
			fmt.Println(r.Name(), "has", len(m.Stack(r.Results[0])), "layers")
		}
	}
	// Unordered output:
	// 2 layers, 3 records
	// compile linux/amd64 has 1 layers
	// link linux/amd64 has 2 layers
}

// Mistakes are collected and name the value that is wrong.
func ExampleBuilder_mistakes() {
	b := manifest.NewBuilder()
	b.Record("compile", manifest.AnyOf())
	b.Chain(b.Record("link"), time.Time{})
	_, err := b.Manifest()
	fmt.Println(err)
	fmt.Println(errors.Is(err, blob.ErrInvalid))
	// Output:
	// invalid: record "compile": inputs[0] has no alternative
	// invalid: chain: there are no layers
	// true
}

// An engine walks from the source through the steps, and takes the layers of the
// furthest that is cached.
func ExampleIndex() {
	m := project("main.o", 1)
	x := manifest.NewIndex(m)

	records := x.Roots(manifest.KeyDigest("source"))
	for _, step := range []string{"compile", "link"} {
		records = x.Query(manifest.KeyDigest(step), manifest.LinksTo("", records...))
	}
	for _, i := range records {
		for _, layer := range m.Stack(m.Records[i].Results[0]) {
			fmt.Println(m.Layers[layer].Size, "bytes of", m.Layers[layer].MediaType)
		}
	}
	fmt.Println(len(x.Query(manifest.KeyDigest("test"), manifest.LinksTo("", records...))), "tests")
	// Output:
	// 6 bytes of application/vnd.oci.image.layer.v1.tar+gzip
	// 8 bytes of application/vnd.oci.image.layer.v1.tar+gzip
	// 0 tests
}

// Two machines built the same steps from the same source. The newer results are
// kept, with their layers, and the order of merging does not matter.
func ExampleMerge() {
	older, newer := project("older.o", 1), project("newer.o", 2)
	merged := manifest.Merge(older, newer)
	fmt.Println(len(merged.Records), "records,", len(merged.Layers), "layers")
	fmt.Println("the newer:", manifest.Diff(merged, newer).IsEmpty())
	fmt.Println("the same in any order:", manifest.Diff(merged, manifest.Merge(newer, merged, older)).IsEmpty())
	// Output:
	// 3 records, 2 layers
	// the newer: true
	// the same in any order: true
}

// An import has an ordered chain of sources: the branch first, even if main is
// newer. What main has stands in if blobs of the branch are lost.
func ExampleOverlay() {
	branch, main := project("branch.o", 1), project("main.o", 2)
	m, origins := manifest.Overlay(branch, nil, main)
	for i, r := range m.Records {
		fmt.Printf("%s: %d results, first from source %d\n", r.Name(), len(r.Results), origins.Records[i])
	}

	gone := map[blob.Digest]bool{tarball("branch.o").Digest: true}
	left, lost := m.WithoutBlobs(gone)
	fmt.Printf("lost %d results, but %d records\n", lost.Results, lost.Records)
	fmt.Println("what is left is main's:", manifest.Diff(left, main).IsEmpty())
	// Unordered output:
	// source: 0 results, first from source 0
	// compile: 2 results, first from source 0
	// link: 2 results, first from source 0
	// lost 2 results, but 0 records
	// what is left is main's: true
}

func ExampleDiff() {
	d := manifest.Diff(project("older.o", 1), project("newer.o", 2))
	fmt.Println("common:", d.Common.Records, "records,", d.Common.Blobs, "blobs")
	fmt.Println("to fetch:", len(d.B.Blobs), "blobs,", d.B.Bytes, "bytes")
	for _, c := range d.Changed {
		fmt.Println("changed:", c.Name)
	}
	// Unordered output:
	// common: 3 records, 1 blobs
	// to fetch: 1 blobs, 7 bytes
	// changed: compile
	// changed: link
}

// BuildKit ignores a cache whose document is too large; the oldest records go.
func ExampleShed() {
	m := manifest.Merge(project("main.o", 1))
	kept, removed, err := manifest.Shed(m, func(m *manifest.Manifest) (bool, error) {
		return len(m.Layers) <= 1, nil // a real one encodes m and looks at the size
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("removed", removed, "kept", len(kept.Layers), "layers")
	// Output: removed 1 kept 1 layers
}

// project is source <- compile <- link, with two layers.
func project(object string, second int) *manifest.Manifest {
	built := time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC)
	b := manifest.NewBuilder()
	objects := b.Layer(tarball(object), digest.FromString(object), built, manifest.LayerHandle{})
	binary := b.Layer(tarball("main.out"), digest.FromString("main.out"), built, objects)
	compile := b.Record("compile", manifest.AnyOf(b.Record("source")))
	b.Result(compile, built, objects)
	b.Result(b.Record("link", manifest.AnyOf(compile)), built, binary)
	m, err := b.Manifest()
	if err != nil {
		panic(err)
	}
	return m
}

// tarball describes a layer whose content is its name.
func tarball(name string) blob.Descriptor {
	return blob.Describe("application/vnd.oci.image.layer.v1.tar+gzip", []byte(name))
}
