package main

import (
	"context"
	"path/filepath"
)

// goals are those of the tasks for a tree.
type goals struct {
	cold, changed, restore, stale []goal
}

// The goals: on a tree of many small files, and on one of fewer and larger ones.
var (
	nodeGoals = goals{
		cold:    []goal{{than: tarZstd, atMost: 1.2}, {than: tarZstd, atMost: 1.15, bytes: true}, {than: actions, atMost: 0.8}, {than: restic, atMost: 0.33}, {than: borg, atMost: 0.33}},
		changed: []goal{{than: restic, atMost: 0.3}},
		restore: []goal{{than: tarZstd, atMost: 1.05}, {than: actions, atMost: 0.65}, {than: restic, atMost: 0.3}},
		stale:   []goal{{than: rsync, atMost: 1.1}},
	}
	goGoals = goals{
		cold:    []goal{{than: tarZstd, atMost: 1.2}, {than: tarZstd, atMost: 1.15, bytes: true}, {than: actions, atMost: 0.8}, {than: restic, atMost: 0.55}, {than: borg, atMost: 0.55}},
		changed: []goal{{than: restic, atMost: 0.3}},
		restore: []goal{{than: tarZstd, atMost: 1.25}, {than: actions, atMost: 0.65}, {than: restic, atMost: 0.45}},
		stale:   []goal{{than: rsync, atMost: 1.4}},
	}
)

// What larder may store of a change of one file in a hundred, as a part of what
// it has stored in all: by tenths.
const (
	clusteredTenths = 1
	scatteredTenths = 4
)

func (b *bench) tasks(t tree) []task {
	b.version, b.bases = 0, make(map[string]int)
	return []task{
		{
			title: "first save", peers: b.choose(larder, tarZstd, actions, restic, borg), goals: t.goals.cold,
			before: b.clear, command: b.save, after: b.total,
		},
		{
			title: "restore into an empty directory", peers: b.choose(larder, tarZstd, actions, restic, borg, rsync), goals: t.goals.restore,
			setup: b.allSaved, before: b.emptied, command: b.restore, after: b.fetched,
		},
		{
			title: "save with nothing changed", peers: b.choose(larder, find, restic, borg), goals: []goal{{than: find, atMost: 4}},
			setup: b.allSaved, before: b.again, command: b.saveAgain, after: b.grown,
			most: func() int64 { return 0 },
		},
		b.changedTask("1 % changed in one place", t, false, clusteredTenths),
		b.changedTask("1 % changed everywhere", t, true, scatteredTenths),
		b.staleTask("in one place", t, false),
		b.staleTask("everywhere", t, true),
	}
}

// again prepares a further save.
func (b *bench) again(ctx context.Context, p peer) error {
	if p.name == find {
		return nil
	}
	return b.reset(ctx, p)
}

func (b *bench) save(p peer) command { return p.save(b.site(p), keyOf(b.version)) }

// saveAgain saves under the same key, if the peer can.
func (b *bench) saveAgain(p peer) command {
	if p.name == larder {
		return b.save(p)
	}
	return p.save(b.site(p), keyOf(b.version)+"-again")
}

func (b *bench) restore(p peer) command {
	return p.restore(b.site(p), keyOf(b.version), b.target.dir)
}

// changedTask saves when one file in a hundred has changed.
func (b *bench) changedTask(title string, t tree, scattered bool, tenths int64) task {
	return task{
		title: "save with " + title, peers: b.choose(larder, tarZstd, restic, borg), goals: t.goals.changed,
		setup:  func(ctx context.Context, t task) error { return b.alter(ctx, t, scattered) },
		before: b.again, command: b.save, after: b.grown,
		most: func() int64 { return b.firstSave * tenths / 10 },
	}
}

// staleTask restores where the version before is.
func (b *bench) staleTask(where string, t tree, scattered bool) task {
	var stored int64 // for the new version
	return task{
		title: "restore over a tree of which 1 % is old, " + where, peers: b.choose(larder, tarZstd, rsync, restic, borg), goals: t.goals.stale,
		setup: func(ctx context.Context, t task) error {
			if err := b.alter(ctx, t, scattered); err != nil {
				return err
			}
			before, err := count(filepath.Join(b.base(t.peers[0]), "store"))
			if err != nil {
				return err
			}
			if err := b.allSaved(ctx, t); err != nil {
				return err
			}
			after, err := count(filepath.Join(b.base(t.peers[0]), "store"))
			stored = after.bytes - before.bytes
			return err
		},
		before: func(ctx context.Context, p peer) error {
			if err := b.emptied(ctx, p); err != nil {
				return err
			}
			return do(ctx, p.restore(b.site(p), keyOf(b.version-1), b.target.dir))
		},
		command: b.restore, after: b.fetched,
		most: func() int64 { return stored },
	}
}
