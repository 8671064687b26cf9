package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// task is something to copy.
type task struct {
	title    string
	peers    []peer
	from     place
	toLayout bool
	// delayed puts a round trip between the peers and the registries.
	delayed bool
	// store has the destination, or the source if that is copied to a layout;
	// nil means a registry.
	store *objectStore
	// fresh has the store started anew for each peer.
	fresh bool
	// like has the blobs of a source that is an object store.
	like place
	// seed prepares the destination; nil leaves it empty.
	seed  func(ctx context.Context, to place) error
	goals []goal
}

// broken returns an error if a peer has exceeded one of its bounds.
func (t task) broken(r results) error {
	var all []error
	for _, p := range t.peers {
		if sent := total(r.requests[p.name]); p.requests > 0 && sent > p.requests {
			all = append(all, fmt.Errorf("%s: %s sends %d requests, want at most %d", t.title, p.name, sent, p.requests))
		}
		if heap := largest(r.samples[p.name], func(s sample) int64 { return s.heap }); p.heap > 0 && heap > p.heap {
			all = append(all, fmt.Errorf("%s: the heap of %s has %d bytes, want at most %d", t.title, p.name, heap, p.heap))
		}
	}
	return errors.Join(all...)
}

// serverCPU is the processor time that the object store has taken so far.
func (t task) serverCPU() time.Duration {
	if t.store == nil {
		return 0
	}
	return t.store.CPU()
}

// goal says how long a peer may take beside another one.
type goal struct {
	peer, than string
	atMost     float64
}

// The names of the floors.
const (
	floor       = "bare requests"
	floorHashed = "bare requests, hashed"
)

// What a push or pull takes beside the layers: the config, whose upload is two
// requests like theirs, and the manifest; a push reads the one before first.
const (
	config      = 1
	manifests   = 1
	perBlob     = 2
	sampled     = 64 // of the blobs, of which a registry is asked that has no such cache yet
	perManifest = 2
)

func (b *bench) tasks() []task {
	return slices.Concat(b.bulkTasks(), b.smallTasks(), b.objectTasks())
}

func (b *bench) bulkTasks() []task {
	p := b.programs
	what := fmt.Sprintf("%d MiB in %d layers", b.size.bulkBytes>>20, b.size.bulkLayers)
	n := b.size.bulkLayers
	pull, push := n+config+manifests, min(n, sampled)+perBlob*(n+config)+perManifest
	return []task{
		{
			title: what + ", registry to registry", from: b.source("bulk"),
			peers: []peer{
				within(p.larderCopy(), pull+push), p.bare(floor), p.bare(floorHashed, "-hash"),
				p.oras(orasDefault), p.craneCopy(), p.buildkit(), p.skopeoCopy(),
			},
			goals: []goal{{"larder", "oras-go", 1.1}, {"larder", "crane", 1 / 1.2}, {"larder", "skopeo", 0.5}},
		},
		{
			title: what + ", registry to directory", from: b.source("bulk"), toLayout: true,
			peers: []peer{within(p.larderCopy(), pull), p.bare(floor), p.oras(orasDefault), p.craneCopy(), p.skopeoCopy()},
			goals: []goal{{"larder", floor, 1.15}},
		},
		{
			title: what + ", directory to registry", from: b.bulk,
			peers: []peer{
				within(p.larderCopy(), push), p.bare(floor), p.bare(floorHashed, "-hash"),
				p.oras(orasDefault), p.craneCopy(), p.buildkit(), p.skopeoCopy(),
			},
			goals: []goal{{"larder", "crane", 1.05}},
		},
	}
}

// bestStreams is as many blobs at a time as larder moves, if they are small.
const bestStreams = "64"

func (b *bench) smallTasks() []task {
	p := b.programs
	what := fmt.Sprintf("%d layers of 4 to 64 KiB at %d ms", b.size.smallLayers, b.size.roundTrip.Milliseconds())
	n, changed := b.size.smallLayers, b.size.smallLayers/100
	wide := p.bare(floor, "-streams", bestStreams)
	known := p.bare(floor, "-streams", bestStreams, "-previous")
	orasBest := p.oras(bestStreams)
	copies, exports := p.larderCopy(), p.larderExport()
	first, delta := sampled+perBlob*(n+config)+perManifest, perBlob*(changed+config)+perManifest
	return []task{
		{
			title: what + ", push", from: b.small, delayed: true,
			peers: []peer{within(copies, first), within(exports, first), wide, orasBest, slow(p.oras(orasDefault)), slow(p.craneCopy()), slow(p.buildkit())},
			goals: []goal{{"larder", floor, 1.25}, {exports.name, floor, 1.25}},
		},
		{
			title: what + ", pull", from: b.source("small"), delayed: true, toLayout: true,
			peers: []peer{within(copies, n+config+manifests), wide, orasBest, slow(p.oras(orasDefault)), slow(p.craneCopy())},
			goals: []goal{{"larder", floor, 1.25}},
		},
		{
			title: what + ", push of what is there", from: b.small, delayed: true, seed: b.seedSmall,
			peers: []peer{within(copies, 1), within(exports, 1+config), known, p.oras(orasDefault), p.craneCopy(), slow(p.buildkit())},
		},
		{
			title: what + ", push with 1 % new", from: b.renewed, delayed: true, seed: b.seedSmall,
			peers: []peer{
				within(copies, delta), within(exports, delta+config), known, orasBest,
				slow(p.oras(orasDefault)), slow(p.craneCopy()), slow(p.buildkit()),
			},
			goals: []goal{{"larder", floor, 1.3}, {exports.name, floor, 1.3}},
		},
	}
}
