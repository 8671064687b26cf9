package bucket

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// Stat asks for each blob by a request of its own, many at a time, or for many
// by listing what is there if that takes fewer requests.
func (b *Backend) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	unique, bad, err := calls.Distinct(digests)
	if err != nil {
		return nil, b.fail("stat", bad, err)
	}
	s := &survey{b: b, found: make(map[blob.Digest]backend.BlobInfo)}
	merged, end, err := b.life.Begin(ctx)
	if err != nil {
		return nil, b.fail("stat", "", err)
	}
	defer end()
	rest, err := s.list(merged, unique)
	if err != nil {
		return nil, b.fail("stat", "", b.life.Reason(ctx, err))
	}
	if err := b.each(ctx, "stat", rest, s.head); err != nil {
		return nil, err
	}
	return s.found, nil
}

// Delete removes blobs, as many in one request as the store allows.
func (b *Backend) Delete(ctx context.Context, digests ...blob.Digest) error {
	unique, bad, err := calls.Distinct(digests)
	if err != nil {
		return b.fail("delete", bad, err)
	}
	var batches [][]string
	for batch := range slices.Chunk(unique, b.features.DeleteBatch) {
		keys := make([]string, len(batch))
		for i, d := range batch {
			keys[i] = b.opts.Keys.blob(d)
		}
		batches = append(batches, keys)
	}
	return b.fail("delete", "", b.life.Call(ctx, func(ctx context.Context) error {
		if b.features.NoDelete {
			return fmt.Errorf("%w: this store does not delete", backend.ErrUnsupported)
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(max(calls.Parallel/b.features.DeleteBatch, 2))
		for _, keys := range batches {
			group.Go(func() error { return ignoreNotFound(b.store.Delete(ctx, keys)) })
		}
		return group.Wait()
	}))
}

// each does something for each blob, many at a time, until one fails.
func (b *Backend) each(ctx context.Context, op string, digests []blob.Digest, do func(context.Context, blob.Digest) error) error {
	return b.life.Each(ctx, digests, do, func(key string, err error) error { return b.fail(op, key, err) })
}

// survey finds out which blobs are there.
type survey struct {
	b *Backend

	mu    sync.Mutex
	found map[blob.Digest]backend.BlobInfo
}

// head asks for one blob.
func (s *survey) head(ctx context.Context, d blob.Digest) error {
	o, err := s.b.store.Head(ctx, s.b.opts.Keys.blob(d))
	if errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.add(d, o)
	return nil
}

func (s *survey) add(d blob.Digest, o Object) {
	info := s.b.describe(o)
	info.Digest = d
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found[d] = info
}
