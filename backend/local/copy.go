package local

import (
	"context"
	"errors"
	"io"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

var _ backend.Copier = (*Backend)(nil)

// CopyFrom copies a blob from another directory by letting the two files share
// their blocks, which only some file systems can; the content is read once, to
// verify it. Hard links are not used: the two directories would share the age
// of the blob too, and any damage to it.
func (b *Backend) CopyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	err := b.begin(ctx)
	if err == nil {
		err = blob.CheckDescriptor(d)
	}
	if err == nil {
		err = b.copyFrom(ctx, src, d)
	}
	return fail("copy", calls.DigestKey(d.Digest), err)
}

func (b *Backend) copyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	from, ok := backend.As[*Backend](src)
	if !ok {
		return backend.ErrUnsupported
	}
	if present, err := b.renew(ctx, d); present || err != nil {
		return err
	}
	r, err := from.openRange(ctx, d.Digest, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return b.receive(ctx, d, func(t *temp) error { return b.share(ctx, t, r, d) })
}

// share makes t a clone of the file of r, and verifies that it is the blob d.
func (b *Backend) share(ctx context.Context, t *temp, r *reader, d blob.Descriptor) error {
	if err := b.clone(t.File, r.file); err != nil {
		return errors.Join(backend.ErrUnsupported, err)
	}
	section := io.NopCloser(io.NewSectionReader(t, 0, 1<<63-1))
	return fill(ctx, io.Discard, d, blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		return section, nil
	}))
}
