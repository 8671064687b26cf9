package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/buildkit/cache/remotecache"
	bkazblob "github.com/moby/buildkit/cache/remotecache/azblob"
	bks3 "github.com/moby/buildkit/cache/remotecache/s3"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// runObjects moves the blobs of a layout to or from an object store.
func runObjects(ctx context.Context, from, to place, options []string) error {
	flags := flag.NewFlagSet(peerObjects, flag.ContinueOnError)
	way := flags.String("way", wayBare, "how objects are moved")
	streams := flags.Int("streams", 4, "how many objects at a time")
	like := flags.String("like", "", "the layout whose blobs are moved, if they are not those of the source")
	without := flags.String("without", "", "a layout whose blobs are left out")
	ref := flags.Bool("ref", false, "read the ref first and write it last, as an export does")
	if err := flags.Parse(options); err != nil {
		return err
	}
	o := from.objects
	if to.objects.kind != "" {
		o = to.objects
	}
	blobs, err := blobsOf(cmp.Or(*like, from.layout), *without)
	if err != nil {
		return err
	}
	c, err := newClient(ctx, o, *way)
	if err != nil {
		return err
	}
	move := func() error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(*streams)
		for _, d := range blobs {
			group.Go(func() error {
				if from.layout != "" {
					return putFile(ctx, c, from, d)
				}
				return getFile(ctx, c, to, d)
			})
		}
		return group.Wait()
	}
	if *ref {
		return withRef(ctx, c, move)
	}
	return move()
}

// withRef reads the ref, does what it is given, and writes the ref.
func withRef(ctx context.Context, c client, do func() error) error {
	f, err := os.CreateTemp("", "larder-bench-ref-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer f.Close()
	const key = "manifests/" + refName
	if err := c.get(ctx, key, f, -1); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return c.put(ctx, key, f, size)
}

// blobsOf returns the layers of the cache in a layout, the largest first.
func blobsOf(layout, without string) ([]ocispec.Descriptor, error) {
	_, m, err := readLayout(layout)
	if err != nil {
		return nil, err
	}
	var left ocispec.Manifest
	if without != "" {
		if _, left, err = readLayout(without); err != nil {
			return nil, err
		}
	}
	known := map[string]bool{}
	for _, d := range left.Layers {
		known[d.Digest.String()] = true
	}
	blobs := slices.DeleteFunc(slices.Clone(m.Layers), func(d ocispec.Descriptor) bool { return known[d.Digest.String()] })
	slices.SortFunc(blobs, func(a, b ocispec.Descriptor) int { return cmp.Compare(b.Size, a.Size) })
	return blobs, nil
}

func putFile(ctx context.Context, c client, from place, d ocispec.Descriptor) error {
	f, err := os.Open(blobPath(from.layout, d.Digest))
	if err != nil {
		return err
	}
	defer f.Close()
	return c.put(ctx, blobKey(d.Digest.String()), f, d.Size)
}

func getFile(ctx context.Context, c client, to place, d ocispec.Descriptor) error {
	path := blobPath(to.layout, d.Digest)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(c.get(ctx, blobKey(d.Digest.String()), f, d.Size), f.Close())
}

// runBuildKitObjects exports a cache to an object store as buildkitd does.
func runBuildKitObjects(ctx context.Context, from place, to objects) error {
	resolve := bks3.ResolveCacheExporterFunc()
	if to.kind == kindAzblob {
		resolve = bkazblob.ResolveCacheExporterFunc()
	}
	var exporter remotecache.Exporter
	exporter, err := resolve(ctx, nil, to.attrs())
	if err != nil {
		return err
	}
	return exportTo(ctx, from, exporter)
}
