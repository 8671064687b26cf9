package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

const (
	// tornFirst and tornLast are the first and last pause before index.json is
	// read again, each twice as long as the one before: half a second in all.
	tornFirst = time.Millisecond
	tornLast  = 256 * time.Millisecond

	// maxIndexSize bounds what is read of index.json, in bytes.
	maxIndexSize = 64 << 20
)

func (b *Backend) indexPath() string { return b.path(ocispec.ImageIndexFile) }

// readIndex returns index.json, parsed and as it is. No lock is taken, so that
// a reader never makes BuildKit's TryLock fail. BuildKit writes the file in
// place: what cannot be parsed may be half written and is read again.
func (b *Backend) readIndex(ctx context.Context) (x index, data []byte, err error) {
	for wait := tornFirst; ; wait *= 2 {
		if err := b.begin(ctx); err != nil {
			return index{}, nil, err
		}
		if data, err = b.readIndexFile(); err != nil {
			return index{}, nil, err
		}
		if x, err = parseIndex(data); err == nil || wait > tornLast {
			return x, data, err
		}
		if err := calls.Pause(ctx, wait); err != nil {
			return index{}, nil, err
		}
	}
}

// readIndexFile returns the bytes of index.json: none if there is no such file.
func (b *Backend) readIndexFile() ([]byte, error) {
	f, err := os.Open(b.indexPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, b.checkNoIndex()
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxIndexSize+1))
	if err == nil && len(data) > maxIndexSize {
		err = fmt.Errorf("%w: index.json has more than %d bytes", backend.ErrTooLarge, maxIndexSize)
	}
	return data, err
}

// checkNoIndex returns nil if index.json may be missing: in a new layout, or
// where nothing is yet.
func (b *Backend) checkNoIndex() error {
	isLayout, err := b.isLayout()
	if isLayout || err != nil {
		return err
	}
	return b.checkParts()
}

// update publishes what edit makes of the index. Whoever edits holds larder's
// lock; BuildKit may write meanwhile, and then edit is called again for what
// BuildKit wrote. When update returns, the index is on disk.
func (b *Backend) update(ctx context.Context, edit func(*index) (changed bool, err error)) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for {
		x, old, err := b.readIndex(ctx)
		if err != nil {
			return err
		}
		changed, err := edit(&x)
		if err != nil {
			return err
		}
		if !changed {
			return b.syncIndex()
		}
		swapped, err := b.swapIndex(ctx, old, x.encode())
		if err != nil {
			return err
		}
		if swapped {
			return b.syncDir(b.dir)
		}
	}
}

// swapIndex replaces index.json if it still has the bytes that old has. The new
// file is complete and on disk before BuildKit's lock is taken.
//
// BuildKit opens, reads and writes index.json under its lock, so while that is
// ours the file that we replace is not one that BuildKit is about to write to.
func (b *Backend) swapIndex(ctx context.Context, old, next []byte) (swapped bool, err error) {
	t, err := b.temp(0o644)
	if err != nil {
		return false, err
	}
	defer t.discard()
	if _, err := t.Write(next); err != nil {
		return false, err
	}
	if info, err := os.Stat(b.indexPath()); err == nil {
		keepOwner(t.File, info)
	}
	if err := t.finish(); err != nil {
		return false, err
	}
	return b.rename(ctx, t, old)
}

// rename is the part of swapIndex that needs BuildKit's lock.
func (b *Backend) rename(ctx context.Context, t *temp, old []byte) (swapped bool, err error) {
	l, err := acquire(ctx, b.path(buildkitLock))
	if err != nil {
		return false, err
	}
	defer release(l)
	if err := b.begin(ctx); err != nil {
		return false, err
	}
	now, err := b.readIndexFile()
	if err != nil || !bytes.Equal(now, old) {
		return false, err
	}
	// BuildKit removes the lock file a moment after it has unlocked it, perhaps
	// only now that it is ours. Then it excludes nobody any more.
	if !isAt(l, b.path(buildkitLock)) {
		return false, nil
	}
	return true, replace(ctx, t.Name(), b.indexPath())
}

// syncIndex makes an index durable that is as it should be, but that BuildKit,
// which does not sync it, may have written.
func (b *Backend) syncIndex() error {
	if b.opts.NoSync {
		return nil
	}
	f, err := os.OpenFile(b.indexPath(), os.O_RDWR, 0)
	if err != nil {
		return ignoreMissing(err)
	}
	return errors.Join(f.Sync(), f.Close(), b.syncDir(b.dir))
}

// ignoreMissing returns nil if err says that a file is not there.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
