package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// bench has what the tasks share.
type bench struct {
	options

	log      io.Writer
	dir      string // removed in the end
	programs programs
	// source has the tree, the peers' stores and copies of them; target is
	// restored to, and new for each run.
	source, target *disk
	original       string // the tree as it was made
	tree           string // where it is measured
	counted        counts
	peers          []peer
	// version counts the changes of the tree, and bases say which of them the
	// copies of the peers' stores have.
	version int
	bases   map[string]int
	// firstSave is how many bytes larder's store has after the first save.
	firstSave int64
	// stored are the keys under which @actions/cache has versions of the tree: its
	// entries cannot be replaced.
	stored map[string]string
}

// unique returns a key under which nothing is stored yet, for another key.
func (b *bench) unique(key string) string {
	b.stored[key] = rand.Text()
	return b.stored[key]
}

func newBench(ctx context.Context, o options, log io.Writer) (b *bench, err error) {
	b = &bench{options: o, log: log, stored: make(map[string]string)}
	if b.dir, err = os.MkdirTemp("", "larder-bench-"); err != nil {
		return b, err
	}
	mount := o.Full && mayMount()
	b.source, b.target = newDisk(b.dir, "source", mount), newDisk(b.dir, "target", mount)
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close(ctx))
		}
	}()
	if b.programs, err = b.build(ctx); err == nil {
		b.peers = b.allPeers()
	}
	return b, err
}

func (b *bench) close(ctx context.Context) error {
	return errors.Join(b.closeService(), b.source.remove(ctx), b.target.remove(ctx), os.RemoveAll(b.dir))
}

func (b *bench) closeService() error {
	if b.programs.service == nil {
		return nil
	}
	return b.programs.service.Close()
}

// site is where a peer works.
type site struct {
	// store is what it saves to, and state what it keeps beside.
	store, state string
	// parent has the directory of the name.
	parent, name string
}

func (b *bench) site(p peer) site {
	at := filepath.Join(b.source.dir, "stores", p.name)
	return site{filepath.Join(at, "store"), filepath.Join(at, "state"), filepath.Dir(b.tree), filepath.Base(b.tree)}
}

func (b *bench) base(p peer) string { return filepath.Join(b.source.dir, "bases", p.name) }

// keyOf is what the tree's version is saved under.
func keyOf(version int) string { return fmt.Sprint("version-", version) }

// clear makes a peer's store empty.
func (b *bench) clear(ctx context.Context, p peer) error {
	s := b.site(p)
	if err := errors.Join(os.RemoveAll(filepath.Dir(s.store)), os.MkdirAll(s.store, 0o755), os.MkdirAll(s.state, 0o755)); err != nil || p.init == nil {
		return err
	}
	return do(ctx, p.init(s))
}

// reset makes a peer's store what it was when the tree was saved last.
func (b *bench) reset(ctx context.Context, p peer) error {
	to := filepath.Dir(b.site(p).store)
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return copyTree(ctx, b.base(p), to)
}

// saved makes sure that the present version of the tree is in the store of a
// peer, on top of the versions before.
func (b *bench) saved(ctx context.Context, p peer) error {
	version, some := b.bases[p.name]
	switch {
	case p.save == nil || some && version == b.version:
		return nil
	case some:
		if err := b.reset(ctx, p); err != nil {
			return err
		}
	default:
		if err := b.clear(ctx, p); err != nil {
			return err
		}
	}
	s := b.site(p)
	if err := do(ctx, p.save(s, keyOf(b.version))); err != nil {
		return err
	}
	if p.name == larder && !some {
		c, err := count(s.store)
		if err != nil {
			return err
		}
		b.firstSave = c.bytes
	}
	b.bases[p.name] = b.version
	if err := os.RemoveAll(b.base(p)); err != nil {
		return err
	}
	return copyTree(ctx, filepath.Dir(s.store), b.base(p))
}

// allSaved does so for all peers of a task.
func (b *bench) allSaved(ctx context.Context, t task) error {
	for _, p := range t.peers {
		if err := b.saved(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// alter changes one in a hundred files of the tree, after all peers have saved
// it, and keeps a copy of what it was.
func (b *bench) alter(ctx context.Context, t task, scattered bool) error {
	if err := b.allSaved(ctx, t); err != nil {
		return err
	}
	if err := os.RemoveAll(b.old()); err != nil {
		return err
	}
	if err := copyTree(ctx, b.tree, b.old()); err != nil {
		return err
	}
	files, err := changed(b.tree, scattered, b.version)
	if err != nil {
		return err
	}
	b.version++
	return change(files, fmt.Sprintf("// version %d\n", b.version))
}

// old is the tree before the latest change.
func (b *bench) old() string { return filepath.Join(b.source.dir, "old", filepath.Base(b.tree)) }
