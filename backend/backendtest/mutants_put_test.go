package backendtest_test

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

// putMutant is a mutant that puts blobs in another way.
func putMutant(name, caughtBy string, put func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error) mutant {
	return mutant{name: name, caughtBy: caughtBy, mutate: func(*state) mutation { return mutation{put: put} }}
}

// slurp reads a source to its end and no further than a megabyte.
func slurp(ctx context.Context, src blob.Source) ([]byte, error) {
	r, err := src.Open(ctx)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, 1<<20))
	return data, errors.Join(err, r.Close())
}

// wrapSource has readers of a source pass through a function.
func wrapSource(src blob.Source, wrap func(io.ReadCloser) io.ReadCloser) blob.Source {
	return blob.SourceFunc(func(ctx context.Context) (io.ReadCloser, error) {
		r, err := src.Open(ctx)
		if err != nil {
			return nil, err
		}
		return wrap(r), nil
	})
}

type closer struct {
	io.Reader
	close func() error
}

func (c closer) Close() error { return c.close() }

func putMutants() []mutant {
	const refuses = "put/refuses content that does not match"
	return append(ageMutants(), []mutant{
		putMutant("trusts the digest", refuses, func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			data, err := slurp(ctx, src)
			if err != nil || int64(len(data)) != d.Size {
				return b.Put(ctx, d, src)
			}
			return b.Plant(d.Digest, data)
		}),
		putMutant("trusts the size", refuses, func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			if data, err := slurp(ctx, src); err == nil && d.Size >= 0 {
				d.Size = int64(len(data))
			}
			return b.Put(ctx, d, src)
		}),
		putMutant("ignores what is too much", refuses, func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			return b.Put(ctx, d, wrapSource(src, func(r io.ReadCloser) io.ReadCloser {
				return closer{io.LimitReader(r, d.Size), r.Close}
			}))
		}),
		putMutant("shows parts of blobs", "put/shows nothing before it succeeds", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			found, err := b.Stat(ctx, d.Digest)
			if err != nil || len(found) > 0 {
				return b.Put(ctx, d, src)
			}
			_ = b.Plant(d.Digest, []byte("part"))
			if err := b.Put(ctx, d, src); err != nil {
				return errors.Join(err, b.Delete(context.WithoutCancel(ctx), d.Digest))
			}
			return nil
		}),
		putMutant("leaves parts of blobs", "put/a failing source leaves nothing", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			err := b.Put(ctx, d, src)
			if data, failed := slurp(ctx, src); failed != nil && len(data) > 0 {
				_ = b.Plant(d.Digest, data)
			}
			return err
		}),
		putMutant("loses what was there", "put/bad content leaves what was there", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			err := b.Put(ctx, d, src)
			if errors.Is(err, backend.ErrCorrupt) {
				_ = b.Delete(ctx, d.Digest)
			}
			return err
		}),
		putMutant("hides why a source failed", "put/a source that does not open leaves nothing", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			err := b.Put(ctx, d, src)
			if err != nil && backend.Kind(err) == nil && ctx.Err() == nil {
				err = errors.New("upload failed")
			}
			return err
		}),
		putMutant("goes on after cancellation", "put/canceled while it reads leaves nothing", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return b.Put(context.WithoutCancel(ctx), d, src)
		}),
		putMutant("calls a cancellation by another name", "put/canceled while its source waits leaves nothing", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			err := b.Put(ctx, d, src)
			if errors.Is(err, context.Canceled) {
				err = backend.ErrUnavailable
			}
			return err
		}),
		putMutant("loses what was there when canceled", "put/canceled leaves what was there", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			found, err := b.Stat(ctx, d.Digest)
			if _, err := slurp(ctx, src); err == nil && ctx.Err() != nil && len(found) > 0 {
				_ = b.Delete(context.WithoutCancel(ctx), d.Digest)
			}
			return errors.Join(err, b.Put(ctx, d, src))
		}),
		putMutant("never closes what it reads", "put/closes every reader it opened", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			return b.Put(ctx, d, wrapSource(src, func(r io.ReadCloser) io.ReadCloser { return io.NopCloser(r) }))
		}),
		putMutant("closes what it reads twice", "put/closes every reader it opened", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			return b.Put(ctx, d, wrapSource(src, func(r io.ReadCloser) io.ReadCloser {
				return closer{r, func() error { return errors.Join(r.Close(), r.Close()) }}
			}))
		}),
		putMutant("fails if the blob is there", "put/again is a success", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			if found, err := b.Stat(ctx, d.Digest); err == nil && found[d.Digest].Size == d.Size && len(found) > 0 {
				return &backend.Error{Op: "put", Backend: "mem", Kind: backend.ErrExists}
			}
			return b.Put(ctx, d, src)
		}),
		putMutant("keeps a blob of another size", "put/replaces a blob of another size", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			if found, err := b.Stat(ctx, d.Digest); err == nil && len(found) > 0 {
				return nil
			}
			return b.Put(ctx, d, src)
		}),
		putMutant("does not store what is empty", "open/returns what was put", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			data, err := slurp(ctx, src)
			if err == nil && len(data) == 0 && d.Size == 0 {
				return nil
			}
			return b.Put(ctx, d, src)
		}),
		putMutant("takes blobs of negative size", "argument/malformed descriptors are invalid", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			if data, err := slurp(ctx, src); err == nil && d.Size < 0 {
				d.Size = int64(len(data))
			}
			return b.Put(ctx, d, src)
		}),
		{name: "admits one put of a blob at a time", caughtBy: "put/of one blob by many at once", mutate: func(s *state) mutation {
			return mutation{put: exclusive(s)}
		}},
	}...)
}

// exclusive refuses to put a blob that is being put.
func exclusive(s *state) func(context.Context, *mem.Backend, blob.Descriptor, blob.Source) error {
	busy := map[blob.Digest]bool{}
	return func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
		s.mu.Lock()
		taken := busy[d.Digest]
		busy[d.Digest] = true
		s.mu.Unlock()
		if taken {
			return backend.ErrConflict
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // It widens the window that the suite has to find.
		err := b.Put(ctx, d, src)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(busy, d.Digest)
		return err
	}
}

func ageMutants() []mutant {
	return []mutant{
		putMutant("does not renew ages", "age/put starts it anew", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
			if found, err := b.Stat(ctx, d.Digest); err == nil && len(found) > 0 && found[d.Digest].Size == d.Size {
				return nil
			}
			return b.Put(ctx, d, src)
		}),
		{name: "declares ages it has not", caughtBy: "age/every blob has one", options: mem.Options{Without: backend.Capabilities{BlobAges: true}}, mutate: func(*state) mutation {
			return mutation{info: func(b *mem.Backend) backend.Info {
				info := b.Info()
				info.Capabilities.BlobAges = true
				return info
			}}
		}},
		{name: "has ages it does not declare", caughtBy: "age/blobs have none unless declared", mutate: func(*state) mutation {
			return mutation{info: func(b *mem.Backend) backend.Info {
				info := b.Info()
				info.Capabilities.BlobAges = false
				return info
			}}
		}},
		deleteMutant("fails to delete what is not there", "delete/what is not there is a success", func(ctx context.Context, b *mem.Backend, digests []blob.Digest) error {
			found, err := b.Stat(ctx, digests...)
			if err == nil && len(digests) > 0 && len(found) == 0 {
				return backend.ErrNotFound
			}
			return b.Delete(ctx, digests...)
		}),
		deleteMutant("deletes a thousand blobs at most", "delete/takes any number of digests", func(ctx context.Context, b *mem.Backend, digests []blob.Digest) error {
			return b.Delete(ctx, digests[:min(1000, len(digests))]...)
		}),
		deleteMutant("deletes nothing", "delete/removes blobs", func(context.Context, *mem.Backend, []blob.Digest) error { return nil }),
		deleteMutant("deletes up to a malformed digest", "argument/malformed digests are invalid and have no effect", func(ctx context.Context, b *mem.Backend, digests []blob.Digest) error {
			for _, d := range digests {
				if err := b.Delete(ctx, d); err != nil {
					return err
				}
			}
			return ctx.Err()
		}),
	}
}

func deleteMutant(name, caughtBy string, remove func(context.Context, *mem.Backend, []blob.Digest) error) mutant {
	return mutant{name: name, caughtBy: caughtBy, mutate: func(*state) mutation { return mutation{delete: remove} }}
}
