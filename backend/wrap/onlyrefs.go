package wrap

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// OnlyRefs returns b for writing no refs but the named ones: PutRef and DeleteRef
// of others, and Delete, which may take from others what they rely on, return an
// error matching [backend.ErrReadOnly] before anything is sent. It cannot be
// bypassed, see [ReadOnly].
func OnlyRefs(b backend.Backend, names ...string) backend.Backend {
	info := b.Info()
	info.Capabilities.DeleteBlobs = false
	return &onlyRefs{passing: passing{b}, names: names, info: info}
}

type onlyRefs struct {
	passing
	names []string
	info  backend.Info
}

func (r *onlyRefs) Info() backend.Info        { return r.info }
func (r *onlyRefs) readable() backend.Backend { return r.Backend }

func (r *onlyRefs) Delete(_ context.Context, digests ...blob.Digest) error {
	return fail(r.Backend, opDelete, keyOf(digests), backend.ErrReadOnly, nil)
}

func (r *onlyRefs) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	if !slices.Contains(r.names, name) {
		return "", fail(r.Backend, opPutRef, name, backend.ErrReadOnly, nil)
	}
	return r.Backend.PutRef(ctx, name, doc, cond)
}

func (r *onlyRefs) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	if !slices.Contains(r.names, name) {
		return fail(r.Backend, opDeleteRef, name, backend.ErrReadOnly, nil)
	}
	return r.Backend.DeleteRef(ctx, name, cond)
}

// WriteOnly returns b for writing: no layer can be opened, which returns an error
// matching [backend.ErrDenied]. Refs and the documents that they consist of can
// be read, because who adds to a ref has to know it. What is no layer's media
// type passes for a document. It cannot be bypassed, see [ReadOnly].
func WriteOnly(b backend.Backend) backend.Backend { return &writeOnly{passing{b}} }

type writeOnly struct{ passing }

// allow refuses layers, and what does not say that it is none.
func (w *writeOnly) allow(d blob.Descriptor) error {
	for _, layer := range []string{"layer", "rootfs.diff"} {
		if d.MediaType == "" || strings.Contains(d.MediaType, layer) {
			return fail(w.Backend, opOpen, string(d.Digest), backend.ErrDenied, nil)
		}
	}
	return nil
}

func (w *writeOnly) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	if err := w.allow(d); err != nil {
		return nil, err
	}
	return w.Backend.Open(ctx, d, off, n)
}

// OpenRaw opens a document without verification.
func (w *writeOnly) OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	if err := w.allow(d); err != nil {
		return nil, err
	}
	return w.passing.OpenRaw(ctx, d, off, n)
}

// passing passes all on, and does not let backend.As behind it.
type passing struct{ backend.Backend }

var (
	_ backend.RawOpener = passing{}
	_ backend.Copier    = passing{}
	_ readable          = (*onlyRefs)(nil)
)

// OpenRaw opens a blob without verification.
func (p passing) OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	return rawOpener(p.Backend)(ctx, d, off, n)
}

// CopyFrom takes a blob over.
func (p passing) CopyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	return copyFrom(ctx, p.Backend, src, d)
}
