package wrap

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"sync/atomic"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Check returns b with the rules of [backend.Backend] that hold for every store
// enforced before the store is asked, so that drivers behind it need not: a
// closed backend, an ended context, malformed arguments and what the
// capabilities do not declare are refused with the errors that the interface
// promises, in this order. Digests that are asked for twice travel once, and a
// batch of none does not travel at all.
//
// It cannot be bypassed: b is not to be found behind it by [backend.As].
func Check(b backend.Backend) backend.Backend { return &check{next: b, info: b.Info()} }

type check struct {
	next   backend.Backend
	info   backend.Info
	closed atomic.Bool
}

var (
	_ backend.Backend   = (*check)(nil)
	_ backend.RawOpener = (*check)(nil)
	_ backend.Copier    = (*check)(nil)
	_ backend.Diagnoser = (*check)(nil)
	_ readable          = (*check)(nil)
)

// allow returns the error of a call that must not reach the store.
func (c *check) allow(ctx context.Context, op, key string, problems ...error) error {
	if c.closed.Load() {
		return fail(c.next, op, key, nil, fs.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, problem := range problems {
		if problem != nil {
			return fail(c.next, op, key, backend.Kind(problem), problem)
		}
	}
	return nil
}

// need returns an error unless a capability is declared.
func need(declared bool, name string) error {
	if declared {
		return nil
	}
	return fmt.Errorf("%w: the store has not the capability %s", backend.ErrUnsupported, name)
}

// invalid returns an error if something is wrong.
func invalid(wrong bool, format string, args ...any) error {
	if !wrong {
		return nil
	}
	return fmt.Errorf("%w: %s", backend.ErrInvalid, fmt.Sprintf(format, args...))
}

func (c *check) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	distinct, problem := checkDigests(digests)
	if err := c.allow(ctx, opStat, keyOf(digests), problem); err != nil {
		return nil, err
	}
	if len(distinct) == 0 {
		return map[blob.Digest]backend.BlobInfo{}, nil
	}
	return c.next.Stat(ctx, distinct...)
}

// checkDigests returns digests without those that are repeated.
func checkDigests(digests []blob.Digest) (distinct []blob.Digest, err error) {
	seen := make(map[blob.Digest]bool, len(digests))
	for _, d := range digests {
		if err := blob.CheckDigest(d); err != nil {
			return nil, err
		}
		if !seen[d] {
			distinct = append(distinct, d)
			seen[d] = true
		}
	}
	return distinct, nil
}

func (c *check) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	if err := c.allow(ctx, opOpen, string(d.Digest), checkRange(d, off)); err != nil {
		return nil, err
	}
	return c.next.Open(ctx, d, off, n)
}

// OpenRaw opens a blob without verification.
func (c *check) OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	if err := c.allow(ctx, opOpen, string(d.Digest), checkRange(d, off)); err != nil {
		return nil, err
	}
	return rawOpener(c.next)(ctx, d, off, n)
}

func checkRange(d blob.Descriptor, off int64) error {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return err
	}
	if err := invalid(d.Size < -1, "size %d, want at least 0, or -1 for one that is not known", d.Size); err != nil {
		return err
	}
	return invalid(off < 0 || d.Size >= 0 && off > d.Size, "offset %d, want 0 to the size %d", off, d.Size)
}

func (c *check) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	missing := invalid(src == nil, "source is nil")
	if err := c.allow(ctx, opPut, string(d.Digest), blob.CheckDescriptor(d), missing); err != nil {
		return err
	}
	return c.next.Put(ctx, d, src)
}

// CopyFrom takes a blob over from another backend, if the store can.
func (c *check) CopyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	missing := invalid(src == nil, "source is nil")
	if err := c.allow(ctx, opCopy, string(d.Digest), blob.CheckDescriptor(d), missing); err != nil {
		return err
	}
	return copyFrom(ctx, c.next, src, d)
}

func (c *check) Delete(ctx context.Context, digests ...blob.Digest) error {
	distinct, problem := checkDigests(digests)
	lacking := need(c.info.Capabilities.DeleteBlobs, "DeleteBlobs")
	if err := c.allow(ctx, opDelete, keyOf(digests), problem, lacking); err != nil || len(distinct) == 0 {
		return err
	}
	return c.next.Delete(ctx, distinct...)
}

func (c *check) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	lacking := need(c.info.Capabilities.ListBlobs, "ListBlobs")
	return checkedList(ctx, c, opList, lacking, c.next.List)
}

func (c *check) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	lacking := need(c.info.Capabilities.ListRefs, "ListRefs")
	return checkedList(ctx, c, opListRefs, lacking, c.next.ListRefs)
}

// checkedList checks at the start of each range over the sequence.
func checkedList[T any](
	ctx context.Context, c *check, op string, lacking error, list func(context.Context) iter.Seq2[T, error],
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := c.allow(ctx, op, "", lacking); err != nil {
			var none T
			yield(none, err)
			return
		}
		list(ctx)(yield)
	}
}

// Diagnose passes on what the store finds about itself.
func (c *check) Diagnose(ctx context.Context, o backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	return diagnose(ctx, c.next, o)
}

func (c *check) Info() backend.Info { return c.info }

func (c *check) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.next.Close()
}

func (c *check) readable() backend.Backend { return c.next }
