package larder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// step is what the examples cache: a step of a build and its output, which in
// real life is a tar archive.
func step(name, output string) (*manifest.Manifest, larder.Content) {
	layer := blob.Describe(ocispec.MediaTypeImageLayer, []byte(output))
	built := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := manifest.NewBuilder()
	b.Result(b.Record(name), built, b.Layer(layer, digest.FromString(output), built, manifest.LayerHandle{}))
	m, err := b.Manifest()
	if err != nil {
		panic(err)
	}
	return m, larder.ContentFunc(func(blob.Descriptor) blob.Source { return blob.Bytes([]byte(output)) })
}

// A build tool stores what it has built, and another run finds it.
func Example() {
	ctx := context.Background()
	cache := larder.Target{Backend: mem.New(), Ref: "main"}

	m, content := step("compile", "the compiler's output")
	report, err := larder.Export(ctx, m, content, []larder.Target{cache}, larder.ExportOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Targets[0].Outcome, report.Targets[0].Sent.Blobs, "blob")

	found, _, err := larder.Import(ctx, []larder.Target{cache}, larder.ImportOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	index := manifest.NewIndex(found.Manifest)
	for _, record := range index.ByDigest(manifest.KeyDigest("compile")) {
		for _, l := range found.Manifest.Stack(found.Manifest.Records[record].Results[0]) {
			r, err := found.Open(ctx, found.Manifest.Layers[l].Descriptor())
			if err != nil {
				fmt.Println("a miss:", err)
				continue
			}
			output, err := io.ReadAll(r)
			r.Close()
			fmt.Println(string(output), err)
		}
	}
	// Output:
	// published 1 blob
	// the compiler's output <nil>
}

// Exports add to a ref: nobody erases what somebody else has cached.
func ExampleExport() {
	ctx := context.Background()
	cache := larder.Target{Backend: mem.New(), Ref: "main"}
	for _, name := range []string{"compile", "test"} {
		m, content := step(name, "output of "+name)
		if _, err := larder.Export(ctx, m, content, []larder.Target{cache}, larder.ExportOptions{}); err != nil {
			fmt.Println(err)
		}
	}
	found, err := larder.Inspect(ctx, cache, larder.InspectOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Totals.Records, "records,", found.Totals.Bytes, "bytes")
	// Output: 2 records, 31 bytes
}

// A chain of sources: the branch's own cache, and the main branch's behind it.
// That the branch has none yet is no error.
func ExampleImport() {
	ctx := context.Background()
	store := mem.New()
	m, content := step("compile", "output")
	main := larder.Target{Backend: store, Ref: "main"}
	if _, err := larder.Export(ctx, m, content, []larder.Target{main}, larder.ExportOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	chain := []larder.Target{{Backend: store, Ref: "feature"}, main}
	found, report, err := larder.Import(ctx, chain, larder.ImportOptions{})
	fmt.Println(len(found.Manifest.Records), "record", err)
	for _, s := range report.Sources {
		fmt.Println(s.Ref, s.Records, errors.Is(s.Err, backend.ErrNotFound))
	}
	// Output:
	// 1 record <nil>
	// feature 0 true
	// main 1 false
}

// A cache moves between stores of different kinds; each gets the form that
// BuildKit expects there.
func ExampleCopy() {
	ctx := context.Background()
	bucket := larder.Target{Backend: mem.New(), Ref: "main"}
	registry := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest}), Ref: "main"}
	m, content := step("compile", "output")
	if _, err := larder.Export(ctx, m, content, []larder.Target{bucket}, larder.ExportOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := larder.Copy(ctx, bucket, []larder.Target{registry}, larder.CopyOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range []larder.Target{bucket, registry} {
		found, err := larder.Inspect(ctx, t, larder.InspectOptions{})
		fmt.Println(found.Encoding, found.Totals.Records, err)
	}
	// Output:
	// flat 1 <nil>
	// oci-manifest 1 <nil>
}

// Two branches have built different steps; merged, both are found in one cache.
func ExampleMerge() {
	ctx := context.Background()
	store := mem.New()
	var branches []larder.Target
	for _, name := range []string{"compile", "test"} {
		branch := larder.Target{Backend: store, Ref: name}
		m, content := step(name, "output of "+name)
		if _, err := larder.Export(ctx, m, content, []larder.Target{branch}, larder.ExportOptions{}); err != nil {
			fmt.Println(err)
			return
		}
		branches = append(branches, branch)
	}
	merged := larder.Target{Backend: store, Ref: "merged"}
	report, err := larder.Merge(ctx, branches, []larder.Target{merged}, larder.ExportOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := larder.Inspect(ctx, merged, larder.InspectOptions{})
	fmt.Println(report.Targets[0].Outcome, found.Totals.Records, "records", err)
	// Output: published 2 records <nil>
}

// What is on a store, whoever wrote it.
func ExampleList() {
	ctx := context.Background()
	store := mem.New()
	m, content := step("compile", "output")
	if _, err := larder.Export(ctx, m, content, []larder.Target{{Backend: store, Ref: "main"}}, larder.ExportOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	refs, err := larder.List(ctx, store, larder.ListOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range refs {
		fmt.Println(r.Ref, r.Kind, r.Totals.Records)
	}
	// Output: main cache 1
}

// Why a step was no hit: the chain does not have it, but another branch does.
func ExampleExplain() {
	ctx := context.Background()
	store := mem.New()
	m, content := step("compile", "output")
	if _, err := larder.Export(ctx, m, content, []larder.Target{{Backend: store, Ref: "feature"}}, larder.ExportOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	chain := []larder.Target{{Backend: store, Ref: "main"}}
	why, err := larder.Explain(ctx, "compile", chain, larder.ExplainOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(why.Chain[0].Ref, why.Chain[0].Verdict)
	fmt.Println(why.Verdict, why.Others[0].Ref)
	// Output:
	// main never-recorded
	// elsewhere feature
}

// A store has lost a blob. The records that need it are dropped, the others
// stay, and builds go on.
func ExampleVerify() {
	ctx := context.Background()
	cache := larder.Target{Backend: mem.New(), Ref: "main"}
	for _, name := range []string{"compile", "test"} {
		m, content := step(name, "output of "+name)
		if _, err := larder.Export(ctx, m, content, []larder.Target{cache}, larder.ExportOptions{}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := cache.Backend.Delete(ctx, digest.FromString("output of test")); err != nil {
		fmt.Println(err)
		return
	}
	v, err := larder.Verify(ctx, cache, larder.VerifyOptions{Repair: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ok:", v.OK, "missing:", len(v.Missing), "records lost:", v.RecordsLost)
	v, err = larder.Verify(ctx, cache, larder.VerifyOptions{})
	fmt.Println("ok:", v.OK, "blobs:", v.Blobs, err)
	// Output:
	// ok: false missing: 1 records lost: 1
	// ok: true blobs: 1 <nil>
}

// Progress watches a transfer. With several blobs or targets it is called at the
// same time from several goroutines.
func ExampleProgress() {
	ctx := context.Background()
	cache := larder.Target{Backend: mem.New(), Ref: "main"}
	m, content := step("compile", strings.Repeat("output ", 1000))
	var moved int64
	watch := func(s larder.Step) {
		switch s.Kind {
		case larder.StepMoved:
			moved += s.Bytes
		default:
			fmt.Println(s.Kind, s.Bytes, "after", moved)
		}
	}
	if _, err := larder.Export(ctx, m, content, []larder.Target{cache}, larder.ExportOptions{Progress: watch}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// planned 7000 after 0
	// sent 7000 after 7000
}
