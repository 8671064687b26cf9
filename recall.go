package larder

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"runtime"
	"slices"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/blob/compress"
)

// recall finds out which layers' content the directory has: from memory, or
// else by reading its files.
func (u *unpacking) recall(ctx context.Context) error {
	now, err := archive.Walk(ctx, u.Path, archive.WalkOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var whole []bool
	if !u.opts.Check {
		u.before = u.memory.load()
	}
	if u.before != nil {
		whole = u.before.Intact(now, u.extends(ctx))
	} else if whole, err = u.examine(ctx, now); err != nil {
		return err
	}
	u.position = make(map[blob.Digest]int)
	for i, l := range u.before.Layers {
		if whole[i] {
			u.position[l.Digest] = i
		}
	}
	return nil
}

// extends reports whether the stack that is to be restored has the remembered
// deltas below its further ones, so that what they have replaced stays replaced.
// Remembered ones may be missing if the further ones replace all that they had.
func (u *unpacking) extends(ctx context.Context) bool {
	all := u.dir.digests()
	if distinct := len(slices.Compact(slices.Sorted(slices.Values(all)))) == len(all); !distinct {
		return false
	}
	deltas := all[len(all)-u.dir.deltas:]
	var kept []blob.Digest
	var left []int
	for i, l := range u.before.Layers {
		switch {
		case l.Delta && slices.Contains(deltas, l.Digest):
			kept = append(kept, l.Digest)
		case l.Delta:
			left = append(left, i)
		}
	}
	if len(kept) > len(deltas) || !slices.Equal(kept, deltas[:len(kept)]) {
		return false
	}
	return len(left) == 0 || u.replaced(ctx, left, len(all)-len(deltas)+len(kept))
}

// replaced reports whether the layers from a position of the stack on replace all
// that the tree has of some remembered layers. What does not say what it has, or
// cannot be read now, replaces nothing.
func (u *unpacking) replaced(ctx context.Context, left []int, from int) bool {
	dirs := make(map[string]bool) // by path: whether it is a directory now
	for _, l := range u.dir.layers[from:] {
		entries, err := u.list(ctx, l.Descriptor())
		if err != nil {
			return false
		}
		for i := range entries {
			dirs[entries[i].Path] = !entries[i].Removed && entries[i].Mode.IsDir()
		}
	}
	for _, i := range left {
		for _, e := range u.before.Names(i) {
			// A directory in place of a file would show again what is below it
			// in the layers under the file.
			isDir, ok := dirs[e.Path]
			if !ok || isDir && !e.Mode.IsDir() {
				return false
			}
		}
	}
	return true
}

// noteSize is how much of a layer is read to find the list of what it holds, in
// bytes: that of a pack of small files takes a few dozen kilobytes.
const noteSize = 1 << 20

// examine compares the directory with the layers: with the lists that they
// begin with, and where these agree, with their content. It makes a snapshot of
// what it finds.
func (u *unpacking) examine(ctx context.Context, now []archive.Entry) ([]bool, error) {
	here := make(map[string]*archive.Entry, len(now))
	for i := range now {
		here[now[i].Path] = &now[i]
	}
	found := make([][]archive.Entry, len(u.dir.layers))
	if len(now) > 1 {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(2 * runtime.GOMAXPROCS(0))
		for i := range u.dir.layers {
			group.Go(func() error {
				found[i] = u.compare(ctx, i, here)
				return ctx.Err()
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
	}
	u.before = &archive.Snapshot{}
	whole := make([]bool, len(u.dir.layers))
	for i, l := range u.dir.layers {
		layer := archive.StackLayer{Digest: l.Digest, DiffID: l.DiffID, MediaType: l.MediaType, Size: l.Size, Annotations: l.Annotations, Delta: u.isDelta(i)}
		for _, e := range found[i] {
			if e.Removed {
				layer.Removed = append(layer.Removed, e.Path)
			} else {
				layer.Entries++
			}
		}
		whole[i] = len(found[i]) > 0
		u.before.Layers = append(u.before.Layers, layer)
	}
	u.before.Entries, u.before.Of = owners(now, found)
	return whole, nil
}

// owners returns those of the listed entries that are in layers, the uppermost
// of which is whose they are.
func owners(now []archive.Entry, layers [][]archive.Entry) (entries []archive.Entry, of []int) {
	owner := make(map[string]int)
	for i, layer := range layers {
		for j := range layer {
			owner[layer[j].Path] = i
		}
	}
	for i := range now {
		if layer, ok := owner[now[i].Path]; ok {
			entries, of = append(entries, now[i]), append(of, layer)
		}
	}
	return entries, of
}

// compare returns what a layer has if the directory has just that, else nothing:
// it is fetched then, and whatever is wrong with it is found out.
func (u *unpacking) compare(ctx context.Context, i int, here map[string]*archive.Entry) []archive.Entry {
	l := u.dir.layers[i]
	entries, err := u.list(ctx, l.Descriptor())
	if err != nil || len(entries) == 0 {
		return nil
	}
	local := make([]archive.Entry, len(entries))
	for j := range entries {
		local[j] = entries[j]
		if entries[j].Removed {
			continue
		}
		e, ok := here[entries[j].Path]
		if !ok || !alike(e, &entries[j]) {
			return nil
		}
		local[j].Stat, local[j].UID, local[j].GID = e.Stat, e.UID, e.GID
	}
	hash := sha256.New()
	opts := archive.WriteOptions{Owners: u.opts.Extract.Owners, Xattrs: u.opts.Extract.Xattrs}
	if archive.Write(ctx, hash, u.Path, local, opts) != nil || digest.NewDigest(digest.SHA256, hash) != l.DiffID {
		return nil
	}
	return local
}

// alike reports whether a file may be what a list says.
func alike(e, listed *archive.Entry) bool {
	return e.Mode == listed.Mode && e.Size == listed.Size && e.Link == listed.Link && e.ModTime.Equal(listed.ModTime)
}

// list reads the list that a layer begins with.
func (u *unpacking) list(ctx context.Context, d blob.Descriptor) ([]archive.Entry, error) {
	r, err := u.target.Backend.Open(ctx, d, 0, min(d.Size, noteSize))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	note, err := compress.ReadNote(r, noteSize)
	if err != nil || note == nil {
		return nil, err
	}
	return archive.ParseList(note)
}
