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
