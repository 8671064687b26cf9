package larder_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

// pushImage stands for what has pushed an image with one layer.
func pushImage(ctx context.Context, to larder.Target, layer string) error {
	config, err := json.Marshal(ocispec.Image{RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString(layer)}}})
	if err != nil {
		return err
	}
	image, err := json.Marshal(ocispec.Manifest{
		Config: blob.Describe(ocispec.MediaTypeImageConfig, config),
		Layers: []ocispec.Descriptor{blob.Describe(ocispec.MediaTypeImageLayer, []byte(layer))},
	})
	if err != nil {
		return err
	}
	if err := to.Backend.Put(ctx, blob.Describe(ocispec.MediaTypeImageConfig, config), blob.Bytes(config)); err != nil {
		return err
	}
	_, err = to.Backend.PutRef(ctx, to.Ref, backend.Document{MediaType: ocispec.MediaTypeImageManifest, Data: image}, backend.Always)
	return err
}

// An image that is pushed anyway carries the cache of its own steps: whoever can
// pull the image can import it.
func ExampleAttachInline() {
	ctx := context.Background()
	image := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest}), Ref: "app"}
	if err := pushImage(ctx, image, "the compiler's output"); err != nil {
		fmt.Println(err)
		return
	}

	cache, _ := step("compile", "the compiler's output")
	report, err := larder.AttachInline(ctx, cache, []larder.Target{image}, larder.ExportOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Targets[0].Outcome, report.Targets[0].Attached, "record")

	another, _ := step("compile", "what another build has made")
	report, err = larder.AttachInline(ctx, another, []larder.Target{image}, larder.ExportOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Targets[0].Outcome)
	// Output:
	// published 1 record
	// skipped
}
