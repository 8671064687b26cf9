package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/internal/bench/harness"
)

// registryVariable is where the testbed tells the address of its registry.
const registryVariable = "LARDER_TEST_REGISTRY"

// bench has what the tasks share.
type bench struct {
	options  harness.Options
	size     size
	log      io.Writer
	dir      string // removed in the end
	programs programs
	bulk     place // layouts
	small    place
	renewed  place // small with 1 % of its layers new
	// registries are two, so that nothing can be mounted, and proxies are in
	// front of them.
	registries []*harness.TestbedServer
	stores     []*objectStore
	proxies    []*proxy // one without and one with delay for each server
	made       int      // how many destinations
}

func newBench(ctx context.Context, o harness.Options, log io.Writer) (b *bench, err error) {
	b = &bench{options: o, size: smoke, log: log}
	if o.Full {
		b.size = full
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp("", "larder-bench-"); err != nil {
		return b, err
	}
	if b.programs, err = build(ctx, b.dir); err != nil {
		return b, err
	}
	if err := b.writeCaches(ctx); err != nil {
		return b, err
	}
	for range 2 {
		r, err := harness.StartTestbed(ctx, log, "registry", registryVariable)
		if err != nil {
			return b, err
		}
		b.registries = append(b.registries, r)
	}
	if err := b.startStores(ctx); err != nil {
		return b, err
	}
	if err := b.startProxies(ctx); err != nil {
		return b, err
	}
	err = b.fillRegistry(ctx)
	return b, err
}

// startProxies puts two proxies before each server.
func (b *bench) startProxies(ctx context.Context) error {
	for _, s := range b.servers() {
		for _, roundTrip := range []time.Duration{0, b.size.roundTrip} {
			p, err := newProxy(ctx, s.Addr, roundTrip)
			if err != nil {
				return err
			}
			b.proxies = append(b.proxies, p)
		}
	}
	return nil
}

// servers are all that run.
func (b *bench) servers() []*harness.TestbedServer {
	all := slices.Clone(b.registries)
	for _, s := range b.stores {
		all = append(all, s.TestbedServer)
	}
	return all
}

func (b *bench) writeCaches(ctx context.Context) error {
	small := smallLayers(b.size)
	for _, c := range []struct {
		at     *place
		name   string
		layers []layer
	}{{&b.bulk, "bulk", bulkLayers(b.size)}, {&b.small, "small", small}, {&b.renewed, "renewed", renewed(small)}} {
		c.at.layout = filepath.Join(b.dir, c.name)
		plain := place{layout: c.at.layout + "-plain"}
		if err := writeCache(plain.layout, c.layers); err != nil {
			return err
		}
		// So that exporting it again changes nothing, its documents are as an
		// export makes them.
		if _, err := runMeasured(ctx, b.programs.larderExport().args(plain, *c.at)); err != nil {
			return err
		}
		if err := os.RemoveAll(plain.layout); err != nil {
			return err
		}
	}
	return nil
}

// source is a repository that is copied from, in the first registry.
func (b *bench) source(name string) place {
	return place{repo: b.registries[0].Addr + "/source/" + name}
}

// fillRegistry stores the caches where they are copied from.
func (b *bench) fillRegistry(ctx context.Context) error {
	for from, to := range map[place]place{b.bulk: b.source("bulk"), b.small: b.source("small")} {
		if err := (bare{from: from, to: to, streams: setupStreams}).run(ctx); err != nil {
			return err
		}
	}
	// Where blobs are mounted from.
	return bare{from: b.small, to: b.mountable(), streams: setupStreams}.run(ctx)
}

// setupStreams is how many requests prepare a task at a time.
const setupStreams = 16

func (b *bench) close() error {
	var errs []error
	for _, p := range b.proxies {
		errs = append(errs, p.close())
	}
	for _, s := range b.servers() {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// places returns where a peer copies from and to, perhaps by proxies, and the
// destination without.
func (b *bench) places(ctx context.Context, t task, proxied bool) (from, to, direct place, err error) {
	b.made++
	if t.fresh {
		if err := b.restart(ctx, t.store); err != nil {
			return from, to, direct, err
		}
	}
	from = t.from
	switch {
	case t.toLayout:
		direct.layout = filepath.Join(b.dir, fmt.Sprint("to", b.made))
	case t.store != nil:
		direct = t.store.destination(b.made)
	default:
		direct.repo = b.registries[1].Addr + fmt.Sprint("/to/", b.made)
	}
	if t.seed != nil {
		if err := t.seed(ctx, direct); err != nil {
			return from, to, direct, err
		}
	}
	to = direct
	if proxied {
		from, to = b.proxy(from, t.delayed), b.proxy(to, t.delayed)
	}
	return from, to, direct, nil
}

// proxy returns a place as it is reached by a proxy.
func (b *bench) proxy(p place, delayed bool) place {
	host, repository := p.split()
	for _, proxy := range b.proxies {
		switch delays := proxy.delay > 0; {
		case delays != delayed:
		case p.repo != "" && proxy.target() == host:
			return place{repo: proxy.addr() + "/" + repository}
		case p.objects.kind != "" && proxy.target() == p.objects.addr:
			p.objects.addr = proxy.addr()
			return p
		}
	}
	return p
}

// mountable is the repository that has the small layers, in the registry of the
// destinations.
func (b *bench) mountable() place { return place{repo: b.registries[1].Addr + "/seed"} }

// seedSmall makes a repository have the small cache.
func (b *bench) seedSmall(ctx context.Context, to place) error {
	data, document, err := readLayout(b.small.layout)
	if err != nil {
		return err
	}
	_, from := b.mountable().split()
	group, ctx2 := errgroup.WithContext(ctx)
	group.SetLimit(setupStreams)
	for _, d := range append(document.Layers, document.Config) {
		group.Go(func() error {
			url := registryURL(to, "blobs/uploads/?mount="+d.Digest.String()+"&from="+from)
			resp, err := send(ctx2, http.MethodPost, url, nil, 0, nil, http.StatusCreated)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return putManifest(ctx, to, data)
}

// checkCopy makes sure that a destination has all layers of a source. A registry
// has checked their digests; in a directory the sizes have to do.
func checkCopy(ctx context.Context, t task, to place) error {
	from := t.from
	if from.objects.kind != "" {
		from = t.like
	}
	_, want, err := bare{}.manifest(ctx, from)
	if err != nil {
		return err
	}
	if t.store != nil {
		return checkObjects(ctx, want, to)
	}
	_, got, err := bare{}.manifest(ctx, to)
	if err != nil {
		return err
	}
	there := make(map[string]bool)
	for _, d := range got.Layers {
		there[d.Digest.String()] = true
	}
	for _, d := range want.Layers {
		if !there[d.Digest.String()] {
			return fmt.Errorf("layer %s was not copied", d.Digest)
		}
		if err := checkFile(to, d); err != nil {
			return err
		}
	}
	return nil
}

func checkFile(to place, d ocispec.Descriptor) error {
	if to.layout == "" {
		return nil
	}
	info, err := os.Stat(blobPath(to.layout, d.Digest))
	if err == nil && info.Size() != d.Size {
		err = fmt.Errorf("blob %s has %d bytes, want %d", d.Digest, info.Size(), d.Size)
	}
	return err
}

// checkObjects makes sure that all layers have come to an object store, or from
// there to a directory, under the names of either.
func checkObjects(ctx context.Context, want ocispec.Manifest, to place) error {
	size, err := sizes(to.objects)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(setupStreams)
	for _, d := range want.Layers {
		group.Go(func() error {
			if to.layout != "" {
				info, err := os.Stat(filepath.Join(to.layout, filepath.FromSlash(blobKey(d.Digest.String()))))
				if err != nil || info.Size() != d.Size {
					return checkFile(to, d)
				}
				return nil
			}
			got, err := size(ctx, blobKey(d.Digest.String()))
			if err == nil && got != d.Size {
				err = fmt.Errorf("object of %s has %d bytes, want %d", d.Digest, got, d.Size)
			}
			return err
		})
	}
	return group.Wait()
}
