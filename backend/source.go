package backend

import (
	"context"
	"io"

	"github.com/larder-build/larder/blob"
)

// SourceOf returns the blob d of a backend as a source, for Put to another one.
// What it yields is as verified as what b yields.
func SourceOf(b Blobs, d blob.Descriptor) blob.Source {
	return blob.SourceFunc(func(ctx context.Context) (io.ReadCloser, error) {
		return b.Open(ctx, d, 0, -1)
	})
}

// RawSourceOf is SourceOf for a receiver that verifies by itself: nothing is
// hashed twice, and files are handed over as files.
func RawSourceOf(b Backend, d blob.Descriptor) blob.Source {
	raw, ok := As[RawOpener](b)
	if !ok {
		return SourceOf(b, d)
	}
	return blob.SourceFunc(func(ctx context.Context) (io.ReadCloser, error) {
		return raw.OpenRaw(ctx, d, 0, -1)
	})
}
