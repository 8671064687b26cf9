package main

import (
	"context"
	"encoding/json"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/moby/buildkit/cache/remotecache"
	v1 "github.com/moby/buildkit/cache/remotecache/v1"
	"github.com/moby/buildkit/util/compression"
	"github.com/moby/buildkit/util/contentutil"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// runBuildKit does what buildkitd does at the end of a build, without the
// daemon: it exports a cache from a content store to a registry. Between
// registries it copies as buildkitd copies images.
func runBuildKit(ctx context.Context, from, to place) error {
	resolver := docker.NewResolver(docker.ResolverOptions{
		Hosts: docker.ConfigureDefaultRegistries(docker.WithPlainHTTP(docker.MatchAllHosts)),
	})
	pusher, err := resolver.Pusher(ctx, to.image())
	if err != nil {
		return err
	}
	ingester := contentutil.FromPusher(pusher)
	if from.repo != "" {
		return copyChain(ctx, resolver, from, ingester)
	}
	return exportTo(ctx, from, remotecache.NewExporter(ingester, to.image(), true, true, compression.New(compression.Uncompressed)))
}

// exportTo exports the cache in a layout.
func exportTo(ctx context.Context, from place, exporter remotecache.Exporter) error {
	store, err := local.NewStore(from.layout)
	if err != nil {
		return err
	}
	if err := fillExporter(ctx, store, from, exporter); err != nil {
		return err
	}
	_, err = exporter.Finalize(ctx)
	return err
}

// fillExporter gives an exporter the records of the cache in a layout.
func fillExporter(ctx context.Context, store content.Store, from place, exporter remotecache.Exporter) error {
	_, document, err := readLayout(from.layout)
	if err != nil {
		return err
	}
	layers := v1.DescriptorProvider{}
	for _, l := range document.Layers {
		layers[l.Digest] = v1.DescriptorProviderPair{Descriptor: l, Provider: store}
	}
	data, err := content.ReadBlob(ctx, store, document.Config)
	if err != nil {
		return err
	}
	return v1.Parse(data, layers, exporter)
}

// copyChain copies a manifest with all it refers to.
func copyChain(ctx context.Context, resolver remotes.Resolver, from place, to content.Ingester) error {
	name, desc, err := resolver.Resolve(ctx, from.image())
	if err != nil {
		return err
	}
	fetcher, err := resolver.Fetcher(ctx, name)
	if err != nil {
		return err
	}
	return contentutil.CopyChain(ctx, to, contentutil.FromFetcher(fetcher), desc)
}

// decodeManifest reads the document of a cache.
func decodeManifest(data []byte) (ocispec.Manifest, error) {
	var m ocispec.Manifest
	err := json.Unmarshal(data, &m)
	return m, err
}
