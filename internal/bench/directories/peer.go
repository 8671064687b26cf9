package main

import (
	"context"
	"path/filepath"

	"github.com/larder-build/larder/internal/bench/harness"
)

// The names of the peers.
const (
	larder  = "larder"
	tarZstd = "tar and zstd"
	actions = "@actions/cache"
	restic  = "restic"
	borg    = "borg"
	rsync   = "rsync -a"
	find    = "find -printf"
)

// peer is one of those that are compared. Each runs as a process of its own.
type peer struct {
	name string
	// absent says why the peer cannot run, or is empty.
	absent string
	// init makes an empty store; nil leaves it to save.
	init func(site) command
	// save stores the tree under a key, and restore brings it back into a
	// directory. What a peer cannot do is nil.
	save    func(s site, key string) command
	restore func(s site, key, into string) command
	// moved reads from what restore prints how many bytes it has fetched.
	moved func(output []byte) (int64, error)
}

// programs are the commands that are compared, "" where they are absent.
type programs struct {
	larder, restic, actions string
	service                 *harness.CacheService
}

// resticCommand is pinned in a module of its own.
var resticCommand = harness.Program{Dir: "restic", Package: "github.com/restic/restic/cmd/restic"}

// build makes what is pinned in this directory, unless it is left out.
func (b *bench) build(ctx context.Context) (p programs, err error) {
	p.larder = filepath.Join(b.dir, larder)
	if err := harness.LarderCommand.Build(ctx, p.larder); err != nil {
		return p, err
	}
	if !b.Without.MatchString(restic) {
		p.restic = filepath.Join(b.dir, restic)
		if err := resticCommand.Build(ctx, p.restic); err != nil {
			return p, err
		}
	}
	if b.Without.MatchString(actions) || installed("npm") == "" {
		return p, nil
	}
	p.actions = filepath.Join(b.dir, "actions")
	if err := copyTree(ctx, "directories/actions", p.actions); err != nil {
		return p, err
	}
	if err := npmInstall(ctx, p.actions); err != nil {
		return p, err
	}
	service := filepath.Join(b.dir, "ghaserver")
	if err := harness.CacheServiceCommand.Build(ctx, service); err != nil {
		return p, err
	}
	p.service, err = harness.StartCacheService(ctx, b.log, service)
	return p, err
}
