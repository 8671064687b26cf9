package wrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Verify returns b with whole reads verified: a reader of all of a blob hands
// out the last byte only when the size and digest are right, and otherwise ends
// in an error matching [backend.ErrCorrupt]. If the descriptor does not know the
// size, the digest alone decides. Reads of a part are passed through, for a part
// has no digest. Documents that are asked for by digest are verified too.
//
// Put is left to the driver, which has to verify in any case. A receiver that
// verifies by itself reads through [backend.RawOpener].
func Verify(b backend.Backend) backend.Backend { return &verify{next: b} }

type verify struct{ next backend.Backend }

var (
	_ backend.Backend   = (*verify)(nil)
	_ backend.Unwrapper = (*verify)(nil)
	_ backend.RawOpener = (*verify)(nil)
)

func (v *verify) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	r, err := v.next.Open(ctx, d, off, n)
	if err != nil || !isWhole(d, off, n) {
		return r, err
	}
	return &verified{Reader: blob.NewReader(r, d), by: v, digest: d.Digest}, nil
}

// isWhole reports whether a range is known to be all of a blob.
func isWhole(d blob.Descriptor, off, n int64) bool {
	return off == 0 && (n < 0 || d.Size >= 0 && n >= d.Size)
}

// verified gives the errors of a verifying reader the form of a backend's.
type verified struct {
	*blob.Reader
	by     *verify
	digest blob.Digest
}

func (r *verified) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, blob.ErrCorrupt) {
		err = fail(r.by.next, opOpen, string(r.digest), backend.ErrCorrupt, err)
	}
	return n, err
}

// OpenRaw opens a blob without verification.
func (v *verify) OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return rawOpener(v.next)(ctx, d, off, n)
}

func (v *verify) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	ref, err := v.next.GetRef(ctx, name)
	if err != nil || !backend.IsDigest(name) {
		return ref, err
	}
	if got := digest.FromBytes(ref.Data); got != blob.Digest(name) {
		return backend.Ref{}, fail(v.next, opGetRef, name, backend.ErrCorrupt, fmt.Errorf("document has digest %s", got))
	}
	return ref, nil
}

func (v *verify) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	return v.next.Stat(ctx, digests...)
}

func (v *verify) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	return v.next.Put(ctx, d, src)
}

func (v *verify) Delete(ctx context.Context, digests ...blob.Digest) error {
	return v.next.Delete(ctx, digests...)
}

func (v *verify) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return v.next.List(ctx)
}

func (v *verify) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	return v.next.PutRef(ctx, name, doc, cond)
}

func (v *verify) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	return v.next.DeleteRef(ctx, name, cond)
}

func (v *verify) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	return v.next.ListRefs(ctx)
}

func (v *verify) Info() backend.Info      { return v.next.Info() }
func (v *verify) Close() error            { return v.next.Close() }
func (v *verify) Unwrap() backend.Backend { return v.next }
