package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/larder-build/larder/internal/bench/harness"
)

// stores are the object stores that are measured, as the testbed names them.
func stores() []objects {
	return []objects{{kind: kindS3, addr: "versitygw"}, {kind: kindS3, addr: "minio"}, {kind: kindAzblob, addr: "azurite"}}
}

// storeVariables are where the testbed tells their addresses.
func storeVariable(server string) string {
	return map[string]string{
		"versitygw": "LARDER_TEST_VERSITYGW", "minio": "LARDER_TEST_MINIO", "azurite": "LARDER_TEST_AZURITE",
	}[server]
}

// maxObjectsHeap is what larder promises with object stores, whose parts it
// holds in memory.
const maxObjectsHeap = 128 << 20

// objectTasks are those with object stores.
func (b *bench) objectTasks() []task {
	var all []task
	for _, s := range b.stores {
		all = append(all, b.bulkObjectTasks(s)...)
	}
	// What many small requests cost does not depend on which of two S3 servers.
	for _, s := range b.stores {
		if s.name != "minio" {
			all = append(all, b.smallObjectTasks(s)...)
		}
	}
	return all
}

func (b *bench) bulkObjectTasks(s *objectStore) []task {
	p := b.programs
	what := fmt.Sprintf("%d MiB in %d layers", b.size.bulkBytes>>20, b.size.bulkLayers)
	return []task{
		{
			title: what + ", " + s.name + " to directory", from: place{objects: s.source("bulk")}, toLayout: true, store: s, like: b.bulk,
			peers: []peer{
				p.larderObjects(), p.objects(floor, wayBare, "-like", b.bulk.layout), p.objects(floorHashed, wayHashed, "-like", b.bulk.layout),
				p.objects("SDK's manager", waySDK, "-like", b.bulk.layout),
				p.objects("gocloud.dev", wayGocloud, "-like", b.bulk.layout), p.rclone(b),
			},
			goals: []goal{{"larder", "rclone", 0.65}, {"larder", floorHashed, 1.2}},
		},
		{
			title: what + ", directory to " + s.name, from: b.bulk, store: s, fresh: slices.Contains(keepsDeleted, s.name),
			peers: []peer{
				p.larderObjects(), p.objects(floor, wayBare), p.objects(floorHashed, wayHashed), p.objects("SDK's manager", waySDK),
				p.objects("gocloud.dev", wayGocloud), p.rclone(b), p.buildkit(),
			},
			goals: []goal{{"larder", "rclone", 0.65}, {"larder", "BuildKit", 0.65}, {"larder", floorHashed, 1.2}},
		},
	}
}

// keepsDeleted are the stores that keep what has been deleted for minutes: what
// all peers have sent would fill the memory that it is in.
var keepsDeleted = []string{"azurite", "minio"}

// unchanged is how many requests a push of what is there may take.
const unchanged = 2

func (b *bench) smallObjectTasks(s *objectStore) []task {
	p := b.programs
	what := fmt.Sprintf("%d layers of 4 to 64 KiB at %d ms", b.size.smallLayers, b.size.roundTrip.Milliseconds())
	wide := p.objects(floor, wayBare, "-streams", bestStreams)
	return []task{
		{
			title: what + ", push to " + s.name, from: b.small, delayed: true, store: s,
			peers: []peer{p.larderObjects(), wide, slow(p.rclone(b)), slow(p.buildkit())},
			goals: []goal{{"larder", floor, 1.25}},
		},
		{
			title: what + ", push of what is there to " + s.name, from: b.small, delayed: true, store: s, seed: b.seedObjects,
			peers: []peer{within(p.larderObjects(), unchanged), slow(p.buildkit())},
		},
		{
			title: what + ", push with 1 % new to " + s.name, from: b.renewed, delayed: true, store: s, seed: b.seedObjects,
			peers: []peer{
				p.larderObjects(), p.objects(floor, wayBare, "-streams", bestStreams, "-without", b.small.layout, "-ref"),
				p.objects("bare requests, no ref", wayBare, "-streams", bestStreams, "-without", b.small.layout), slow(p.buildkit()),
			},
			goals: []goal{{"larder", floor, 1.3}},
		},
	}
}

// larderObjects is "larder copy" with an object store.
func (p programs) larderObjects() peer {
	copies := p.larderCopy()
	copies.heap = maxObjectsHeap
	return copies
}

// objects moves objects in one of the ways.
func (p programs) objects(name, way string, options ...string) peer {
	return peer{name: name, args: func(from, to place) []string {
		return append([]string{p.self, peerCommand, peerObjects, from.String(), to.String(), "-way", way}, options...)
	}}
}

// rclone copies a directory that has the same files as the store has objects.
func (p programs) rclone(b *bench) peer {
	program, err := exec.LookPath("rclone")
	r := peer{name: "rclone", args: func(from, to place) []string {
		copies := []string{program, "copy"}
		if from.layout != "" {
			return append(copies, b.flat(from.layout), to.objects.rclone())
		}
		return append(copies, from.objects.rclone(), to.layout)
	}}
	if err != nil {
		r.absent = "not installed: apt-get install rclone"
	}
	return r
}

// flat is the directory of a layout's blobs under the names of objects.
func (b *bench) flat(layout string) string { return layout + "-flat" }

// linkFlat makes it.
func (b *bench) linkFlat(layout string) error {
	blobs, err := blobsOf(layout, "")
	if err != nil {
		return err
	}
	for _, d := range blobs {
		to := filepath.Join(b.flat(layout), filepath.FromSlash(blobKey(d.Digest.String())))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Link(blobPath(layout, d.Digest), to); err != nil {
			return err
		}
	}
	return nil
}

// seedObjects makes an object store have the small cache.
func (b *bench) seedObjects(ctx context.Context, to place) error {
	_, err := runMeasured(ctx, b.programs.larderCopy().args(b.small, to))
	return err
}

// objectStore is a running server.
type objectStore struct {
	*harness.TestbedServer

	name string
	at   objects // the bucket, without a prefix
}

// source is where the cache of a name is copied from.
func (s *objectStore) source(name string) objects { return s.below("source-" + name) }

func (s *objectStore) below(name string) objects {
	at := s.at
	at.prefix = name + "/"
	return at
}

// destination is a new place in the store.
func (s *objectStore) destination(n int) place {
	return place{objects: s.below("to-" + strconv.Itoa(n))}
}

// restart starts a store anew, with nothing in it.
func (b *bench) restart(ctx context.Context, s *objectStore) error {
	old := s.TestbedServer
	if err := old.Close(); err != nil {
		return err
	}
	srv, err := harness.StartTestbed(ctx, b.log, s.name, storeVariable(s.name))
	if err != nil {
		return err
	}
	s.TestbedServer, s.at.addr = srv, srv.Addr
	for _, p := range b.proxies {
		p.move(old.Addr, srv.Addr)
	}
	return makeBucket(ctx, s.at)
}

// startStores starts the object stores, each with the bulk cache.
func (b *bench) startStores(ctx context.Context) error {
	for _, layout := range []string{b.bulk.layout, b.small.layout} {
		if err := b.linkFlat(layout); err != nil {
			return err
		}
	}
	for _, at := range stores() {
		srv, err := harness.StartTestbed(ctx, b.log, at.addr, storeVariable(at.addr))
		if err != nil {
			return err
		}
		s := &objectStore{TestbedServer: srv, name: at.addr, at: objects{kind: at.kind, addr: srv.Addr, bucket: "bench"}}
		b.stores = append(b.stores, s)
		if err := makeBucket(ctx, s.at); err != nil {
			return err
		}
		if _, err := runMeasured(ctx, b.programs.larderCopy().args(b.bulk, place{objects: s.source("bulk")})); err != nil {
			return err
		}
	}
	return nil
}
