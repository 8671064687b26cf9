package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// task is something that is done by several peers.
type task struct {
	title string
	peers []peer
	// setup is done once.
	setup func(ctx context.Context, t task) error
	// before prepares a run, and command is what is measured.
	before  func(ctx context.Context, p peer) error
	command func(p peer) command
	// after checks what a run has done, and says how many bytes it has moved.
	after func(ctx context.Context, p peer, output []byte) (int64, error)
	goals []goal
	// most is how many bytes larder may move; nil means any number.
	most func() int64
}

// goal says how much time, or how many bytes, larder may take beside a peer.
type goal struct {
	than   string
	atMost float64
	bytes  bool
}

// broken returns an error if larder has moved more than it may.
func (t task) broken(title string, r results) error {
	if t.most == nil {
		return nil
	}
	most := t.most()
	var errs []error
	for _, s := range r[larder] {
		if s.bytes > most {
			errs = append(errs, fmt.Errorf("%s: larder moves %d bytes, want at most %d", title, s.bytes, most))
		}
	}
	return errors.Join(errs...)
}

// choose returns the peers with these names.
func (b *bench) choose(names ...string) []peer {
	return slices.DeleteFunc(slices.Clone(b.peers), func(p peer) bool { return !slices.Contains(names, p.name) })
}

// results are the samples of each peer, by its name.
type results map[string][]sample

// measure runs all peers of a task in turns.
func (b *bench) measure(ctx context.Context, t task) (results, error) {
	fmt.Fprintf(b.log, "%s: %s\n", time.Now().Format(time.TimeOnly), t.title)
	r := results{}
	present := slices.DeleteFunc(slices.Clone(t.peers), func(p peer) bool { return p.absent != "" })
	t.peers = present
	if t.setup != nil {
		if err := t.setup(ctx, t); err != nil {
			return r, err
		}
	}
	for i := range b.Rounds {
		// The first in a round has an advantage or a disadvantage: take turns.
		for j := range present {
			p := present[(i+j)%len(present)]
			s, err := b.round(ctx, t, p)
			if err != nil {
				return r, fmt.Errorf("%s: %w", p.name, err)
			}
			r[p.name] = append(r[p.name], s)
		}
	}
	return r, nil
}

// round runs a peer once.
func (b *bench) round(ctx context.Context, t task, p peer) (sample, error) {
	if err := t.before(ctx, p); err != nil {
		return sample{}, err
	}
	// What was written before is not to be written meanwhile.
	for _, d := range []*disk{b.source, b.target} {
		if d.mounted {
			if err := do(ctx, command{args: []string{"sync", "-f", d.dir}}); err != nil {
				return sample{}, err
			}
		}
	}
	// borg has the kernel forget what it has read: the next peer would have to read
	// the tree from the disk.
	if err := read(b.tree); err != nil {
		return sample{}, err
	}
	s, output, err := t.command(p).run(ctx)
	if err != nil {
		return s, err
	}
	s.bytes, err = t.after(ctx, p, output)
	return s, err
}

// grown returns by how many bytes a peer's store has grown since it was copied.
func (b *bench) grown(_ context.Context, p peer, _ []byte) (int64, error) {
	if p.name == find || p.name == actions { // no store, or one that is not seen
		return -1, nil
	}
	after, err := count(b.site(p).store)
	if err != nil {
		return 0, err
	}
	before, err := count(filepath.Join(b.base(p), "store"))
	return after.bytes - before.bytes, err
}

// total returns how many bytes a peer's store has.
func (b *bench) total(_ context.Context, p peer, _ []byte) (int64, error) {
	if p.name == actions {
		return -1, nil
	}
	c, err := count(b.site(p).store)
	return c.bytes, err
}

// fetched checks a restored tree, and says how many bytes were fetched for it.
func (b *bench) fetched(ctx context.Context, p peer, output []byte) (int64, error) {
	restored := filepath.Join(b.target.dir, filepath.Base(b.tree))
	_, differences, err := command{args: []string{"rsync", "-rlpt", "-n", "--omit-dir-times", "--delete", "--itemize-changes", b.tree + "/", restored + "/"}}.run(ctx)
	if err == nil && len(differences) > 0 {
		err = fmt.Errorf("what was restored differs:\n%.500s", differences)
	}
	if err != nil || p.moved == nil {
		return -1, err
	}
	return p.moved(output)
}

// emptied makes the target new, and the peer's store what was saved last.
func (b *bench) emptied(ctx context.Context, p peer) error {
	if err := errors.Join(b.target.renew(ctx), os.MkdirAll(b.site(p).state, 0o755)); err != nil || p.save == nil {
		return err
	}
	return b.reset(ctx, p)
}
