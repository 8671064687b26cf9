package backend

import (
	"context"
	"io"
	"iter"

	"github.com/larder-build/larder/blob"
)

// Unimplemented answers every method of [Backend] but Info with
// [ErrUnsupported]; Close does nothing. Drivers embed it, so that they keep
// compiling when the interface grows.
type Unimplemented struct{}

var errUnimplemented = &Error{Op: "call", Backend: "unimplemented", Kind: ErrUnsupported}

// Stat returns ErrUnsupported.
func (Unimplemented) Stat(context.Context, ...blob.Digest) (map[blob.Digest]BlobInfo, error) {
	return nil, errUnimplemented
}

// Open returns ErrUnsupported.
func (Unimplemented) Open(context.Context, blob.Descriptor, int64, int64) (io.ReadCloser, error) {
	return nil, errUnimplemented
}

// Put returns ErrUnsupported.
func (Unimplemented) Put(context.Context, blob.Descriptor, blob.Source) error {
	return errUnimplemented
}

// Delete returns ErrUnsupported.
func (Unimplemented) Delete(context.Context, ...blob.Digest) error { return errUnimplemented }

// List yields ErrUnsupported.
func (Unimplemented) List(context.Context) iter.Seq2[BlobInfo, error] {
	return func(yield func(BlobInfo, error) bool) { yield(BlobInfo{}, errUnimplemented) }
}

// GetRef returns ErrUnsupported.
func (Unimplemented) GetRef(context.Context, string) (Ref, error) { return Ref{}, errUnimplemented }

// PutRef returns ErrUnsupported.
func (Unimplemented) PutRef(context.Context, string, Document, Condition) (Version, error) {
	return "", errUnimplemented
}

// DeleteRef returns ErrUnsupported.
func (Unimplemented) DeleteRef(context.Context, string, Condition) error { return errUnimplemented }

// ListRefs yields ErrUnsupported.
func (Unimplemented) ListRefs(context.Context) iter.Seq2[RefInfo, error] {
	return func(yield func(RefInfo, error) bool) { yield(RefInfo{}, errUnimplemented) }
}

// Close does nothing.
func (Unimplemented) Close() error { return nil }
