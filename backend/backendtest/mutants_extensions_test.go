package backendtest_test

import (
	"context"
	"io"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// extended is a backend with the optional interfaces, broken where a function
// is not nil.
type extended struct {
	*mutated

	copyFrom func(ctx context.Context, b, src backend.Backend, d blob.Descriptor) error
	openRaw  func(ctx context.Context, b backend.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error)
}

var (
	_ backend.Copier    = (*extended)(nil)
	_ backend.RawOpener = (*extended)(nil)
)

func (b *extended) CopyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	if b.copyFrom != nil {
		return b.copyFrom(ctx, b.mutated, src, d)
	}
	return b.Put(ctx, d, backend.SourceOf(src, d))
}

func (b *extended) OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	if b.openRaw != nil {
		return b.openRaw(ctx, b.mutated, d, off, n)
	}
	return b.Open(ctx, d, off, n)
}

func extensionMutants() []mutant {
	whole := func(*state) mutation { return mutation{} }
	return []mutant{
		{
			name: "says it has copied", caughtBy: "copier/copies or does nothing", mutate: whole,
			extend: func(b *mutated) backend.Backend {
				return &extended{mutated: b, copyFrom: func(context.Context, backend.Backend, backend.Backend, blob.Descriptor) error {
					return nil
				}}
			},
		},
		{
			name: "copies and says that it cannot", caughtBy: "copier/copies or does nothing", mutate: whole,
			extend: func(b *mutated) backend.Backend {
				return &extended{mutated: b, copyFrom: func(ctx context.Context, b, src backend.Backend, d blob.Descriptor) error {
					if err := b.Put(ctx, d, backend.SourceOf(src, d)); err != nil {
						return err
					}
					return backend.ErrUnsupported
				}}
			},
		},
		{
			name: "opens raw blobs whole", caughtBy: "raw opener/yields the same bytes", mutate: whole,
			extend: func(b *mutated) backend.Backend {
				return &extended{mutated: b, openRaw: func(ctx context.Context, b backend.Backend, d blob.Descriptor, _, _ int64) (io.ReadCloser, error) {
					return b.Open(ctx, d, 0, -1)
				}}
			},
		},
	}
}
