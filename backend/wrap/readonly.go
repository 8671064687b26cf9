package wrap

import (
	"context"
	"io"
	"iter"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// ReadOnly returns b for reading: Put, Delete, PutRef, DeleteRef and CopyFrom
// return an error matching [backend.ErrReadOnly] before anything is sent, and
// the capabilities that need them are not declared. It cannot be bypassed: b is
// not to be found behind it by [backend.As].
func ReadOnly(b backend.Backend) backend.Backend {
	info := b.Info()
	info.Capabilities = backend.Capabilities{
		ListRefs:  info.Capabilities.ListRefs,
		ListBlobs: info.Capabilities.ListBlobs,
		BlobAges:  info.Capabilities.BlobAges,
	}
	return &readOnly{next: b, info: info}
}

type readOnly struct {
	next backend.Backend
	info backend.Info
}

var (
	_ backend.Backend   = (*readOnly)(nil)
	_ backend.RawOpener = (*readOnly)(nil)
	_ backend.Copier    = (*readOnly)(nil)
	_ backend.Diagnoser = (*readOnly)(nil)
	_ readable          = (*readOnly)(nil)
)

func (r *readOnly) refuse(op, key string) error {
	return fail(r.next, op, key, backend.ErrReadOnly, nil)
}

func (r *readOnly) Put(_ context.Context, d blob.Descriptor, _ blob.Source) error {
	return r.refuse(opPut, string(d.Digest))
}

func (r *readOnly) Delete(_ context.Context, digests ...blob.Digest) error {
	return r.refuse(opDelete, keyOf(digests))
}

func (r *readOnly) PutRef(_ context.Context, name string, _ backend.Document, _ backend.Condition) (backend.Version, error) {
	return "", r.refuse(opPutRef, name)
}

func (r *readOnly) DeleteRef(_ context.Context, name string, _ backend.Condition) error {
	return r.refuse(opDeleteRef, name)
}

// CopyFrom refuses, like Put.
func (r *readOnly) CopyFrom(_ context.Context, _ backend.Backend, d blob.Descriptor) error {
	return r.refuse(opCopy, string(d.Digest))
}

func (r *readOnly) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	return r.next.Stat(ctx, digests...)
}

func (r *readOnly) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return r.next.Open(ctx, d, off, n)
}

// OpenRaw opens a blob without verification.
func (r *readOnly) OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return rawOpener(r.next)(ctx, d, off, n)
}

func (r *readOnly) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return r.next.List(ctx)
}

func (r *readOnly) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	return r.next.GetRef(ctx, name)
}

func (r *readOnly) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	return r.next.ListRefs(ctx)
}

// Diagnose has the store look into itself without writing.
func (r *readOnly) Diagnose(ctx context.Context, o backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	o.ReadOnly = true
	return diagnose(ctx, r.next, o)
}

func (r *readOnly) Info() backend.Info        { return r.info }
func (r *readOnly) Close() error              { return r.next.Close() }
func (r *readOnly) readable() backend.Backend { return r.next }
