package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

const (
	// statStreams and statBatch bound how many files are asked for at a time:
	// one after the other on a local disk would do, but not on a network's.
	statStreams = 8
	statBatch   = 64
	// listBatch is how many names are read from the directory at a time.
	listBatch = 512
)

// Stat asks the file system for each blob. What is not a regular file, or a
// symbolic link to one, is no blob.
func (b *Backend) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	if err := b.begin(ctx); err != nil {
		return nil, fail("stat", "", err)
	}
	if key, err := checkDigests(digests); err != nil {
		return nil, fail("stat", key, err)
	}
	var mu sync.Mutex
	found := make(map[blob.Digest]backend.BlobInfo, len(digests))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(statStreams)
	for batch := range slices.Chunk(digests, statBatch) {
		group.Go(func() error {
			for _, d := range batch {
				info, err := b.stat(ctx, d)
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					return fail("stat", d.String(), err)
				}
				mu.Lock()
				found[d] = info
				mu.Unlock()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return found, nil
}

// checkDigests returns the first malformed digest, and what is wrong with it.
func checkDigests(digests []blob.Digest) (key string, err error) {
	for _, d := range digests {
		if err := blob.CheckDigest(d); err != nil {
			return calls.DigestKey(d), err
		}
	}
	return "", nil
}

// stat describes a blob.
func (b *Backend) stat(ctx context.Context, d blob.Digest) (backend.BlobInfo, error) {
	if err := b.begin(ctx); err != nil {
		return backend.BlobInfo{}, err
	}
	info, err := os.Stat(b.blobPath(d))
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return backend.BlobInfo{}, err
	}
	return backend.BlobInfo{Digest: d, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// Delete removes the files of blobs.
func (b *Backend) Delete(ctx context.Context, digests ...blob.Digest) error {
	if key, err := checkDigests(digests); err != nil {
		return fail("delete", key, err)
	}
	for _, d := range digests {
		err := b.begin(ctx)
		if err == nil {
			err = retry(ctx, func() error { return os.Remove(b.blobPath(d)) })
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fail("delete", d.String(), err)
		}
	}
	return fail("delete", "", b.begin(ctx))
}

// List reads the directory of the blobs. Files whose name is no digest are
// passed over.
func (b *Backend) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return func(yield func(backend.BlobInfo, error) bool) {
		err := b.list(ctx, func(info backend.BlobInfo) bool { return yield(info, nil) })
		if err != nil {
			yield(backend.BlobInfo{}, fail("list", "", err))
		}
	}
}

func (b *Backend) list(ctx context.Context, yield func(backend.BlobInfo) bool) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	dir, err := os.Open(b.blobs())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	for {
		names, err := dir.Readdirnames(listBatch)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if more, err := b.listNames(ctx, names, yield); err != nil || !more {
			return err
		}
	}
}

// listNames yields the blobs among the files with the given names.
func (b *Backend) listNames(ctx context.Context, names []string, yield func(backend.BlobInfo) bool) (more bool, err error) {
	for _, name := range names {
		d := blob.Digest("sha256:" + name)
		if blob.CheckDigest(d) != nil {
			continue
		}
		info, err := b.stat(ctx, d)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		if !yield(info) {
			return false, nil
		}
	}
	return true, nil
}
