package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/larder-build/larder/internal/bench/harness"
)

// peer is one of those that are compared. Each runs as a process of its own.
type peer struct {
	name string
	// args are the command line for a copy from one place to another.
	args func(from, to place) []string
	// before prepares a run; nil does nothing.
	before func() error
	// absent says why the peer cannot run, or is empty.
	absent string
	// once says that it takes so long that one round has to do.
	once bool
	// heap bounds what it may use, in bytes; 0 is no bound.
	heap int64
	// requests bounds how many it may send; 0 is no bound.
	requests int
}

// maxHeap is what larder promises, whatever is copied.
const maxHeap = 64 << 20

// programs are the commands that are compared.
type programs struct {
	self, larder, crane string
	gha                 string // GitHub's cache service
	skopeo              string // empty if it is not installed
}

// build makes those programs that are pinned in this module's go.mod.
func build(ctx context.Context, dir string) (programs, error) {
	self, err := os.Executable()
	if err != nil {
		return programs{}, err
	}
	p := programs{self: self, larder: filepath.Join(dir, "larder"), crane: filepath.Join(dir, "crane"), gha: filepath.Join(dir, "gha")}
	p.skopeo, _ = exec.LookPath("skopeo") // it is left out then
	for out, program := range map[string]harness.Program{
		p.larder: harness.LarderCommand,
		p.gha:    harness.CacheServiceCommand,
		p.crane:  {Dir: ".", Package: "github.com/google/go-containerregistry/cmd/crane"},
	} {
		if err := program.Build(ctx, out); err != nil {
			return programs{}, err
		}
	}
	return p, nil
}

// larderCopy is the command "larder copy".
func (p programs) larderCopy() peer {
	return peer{name: "larder", heap: maxHeap, args: func(from, to place) []string {
		return []string{p.larder, "copy", "-q", "--from", from.larder(), "--to", to.larder()}
	}}
}

// larderExport adds to what the ref has, as an export at the end of a build does.
func (p programs) larderExport() peer {
	return peer{name: "larder --merge", heap: maxHeap, args: func(from, to place) []string {
		return []string{p.larder, "copy", "--merge", "-q", "--from", from.larder(), "--to", to.larder()}
	}}
}

// bare is the floor: so many streams, and what else is said.
func (p programs) bare(name string, options ...string) peer {
	return peer{name: name, args: func(from, to place) []string {
		return append([]string{p.self, peerCommand, peerBare, from.String(), to.String()}, options...)
	}}
}

// oras is the library oras-go with a number of streams. Its default is 3.
func (p programs) oras(streams string) peer {
	name := "oras-go"
	if streams != orasDefault {
		name += ", " + streams + " streams"
	}
	return peer{name: name, args: func(from, to place) []string {
		return []string{p.self, peerCommand, peerORAS, from.String(), to.String(), streams}
	}}
}

// buildkit is BuildKit's cache exporter, or, between registries, its package
// contentutil.
func (p programs) buildkit() peer {
	return peer{name: "BuildKit", args: func(from, to place) []string {
		return []string{p.self, peerCommand, peerBuildKit, from.String(), to.String()}
	}}
}

func (p programs) craneCopy() peer {
	return peer{name: "crane", args: func(from, to place) []string {
		switch {
		case from.repo != "" && to.repo != "":
			return []string{p.crane, "copy", "--insecure", from.image(), to.image()}
		case to.repo != "":
			return []string{p.crane, "push", "--insecure", from.layout, to.image()}
		default:
			return []string{p.crane, "pull", "--insecure", "--format", "oci", from.image(), to.layout}
		}
	}}
}

func (p programs) skopeoCopy() peer {
	s := peer{name: "skopeo", before: forgetBlobs, args: func(from, to place) []string {
		return []string{
			p.skopeo, "copy", "-q", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false",
			from.skopeo(), to.skopeo(),
		}
	}}
	if p.skopeo == "" {
		s.absent = "not installed: apt-get install skopeo"
	}
	return s
}

// slow marks a peer that runs once only.
func slow(p peer) peer {
	p.once = true
	return p
}

// within bounds the requests that a peer may send.
func within(p peer, requests int) peer {
	p.requests = requests
	return p
}

// forgetBlobs removes skopeo's memory of where blobs are, by which it would
// mount them from a repository that an earlier round has written. Only that of
// the superuser is a file in a known place.
func forgetBlobs() error {
	err := os.Remove("/var/lib/containers/cache/blob-info-cache-v1.boltdb")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
