package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/larder-build/larder/backend"
)

// digestPrefix is what the keys of all blobs have after their common prefix.
const digestPrefix = "sha256:"

// List yields the objects whose keys are those of blobs.
func (b *Backend) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return list(ctx, b, "list", b.opts.Keys.Blobs+digestPrefix, func(o Object) (string, backend.BlobInfo, bool) {
		d, ok := b.opts.Keys.digest(o.Key)
		info := b.describe(o)
		info.Digest = d
		return o.Key, info, ok
	})
}

// describe returns what is known of a blob but for its digest.
func (b *Backend) describe(o Object) backend.BlobInfo {
	info := backend.BlobInfo{Size: o.Size}
	if !b.features.NoAges {
		info.ModTime = o.ModTime
	}
	return info
}

// list yields what item makes of the objects below a prefix, those with the
// same key in a row once.
func list[T any](ctx context.Context, b *Backend, op, prefix string, item func(Object) (key string, t T, ok bool)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		last := ""
		err := b.pages(ctx, prefix, func(o Object) (stop bool) {
			key, t, ok := item(o)
			if !ok || key == last {
				return false
			}
			last = key
			return !yield(t, nil)
		})
		if err != nil {
			var zero T
			yield(zero, b.fail(op, "", err))
		}
	}
}

// pages calls visit for the objects below a prefix until it says stop.
func (b *Backend) pages(ctx context.Context, prefix string, visit func(Object) (stop bool)) error {
	merged, end, err := b.life.Begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if b.features.NoList {
		return fmt.Errorf("%w: this store does not list", backend.ErrUnsupported)
	}
	for token := ""; ; {
		page, err := b.store.List(merged, prefix, token)
		if err != nil {
			return b.life.Reason(ctx, err)
		}
		for _, o := range page.Objects {
			if err := b.life.Ended(ctx); err != nil {
				return err
			}
			if visit(o) {
				return nil
			}
		}
		if token = page.Next; token == "" {
			return nil
		}
	}
}

// isEnd reports whether an error is that of a call which was not to go on.
func isEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, fs.ErrClosed)
}
