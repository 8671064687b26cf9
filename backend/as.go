package backend

import (
	"context"
	"io"

	"github.com/larder-build/larder/blob"
)

// Unwrapper is a wrapper that may be bypassed: doing so loses observation or
// comfort, but no promise. Wrappers that enforce a policy do not implement it.
type Unwrapper interface {
	// Unwrap returns the backend that is wrapped.
	Unwrap() Backend
}

// As finds the outermost backend in a chain of wrappers that is also a T, an
// optional interface such as [Copier]. It looks through wrappers that allow it
// and stops at those that do not.
func As[T any](b Backend) (found T, ok bool) {
	for b != nil {
		if found, ok = b.(T); ok {
			return found, true
		}
		u, isWrapper := b.(Unwrapper)
		if !isWrapper {
			break
		}
		b = u.Unwrap()
	}
	return found, false
}

// Copier is an optional interface of backends that can take a blob over from
// another backend without its bytes passing through the caller: a mount, a
// server-side copy. It makes copies faster and is never needed.
type Copier interface {
	// CopyFrom copies the blob d of src. It returns ErrUnsupported without any
	// effect if this pair of stores, or this blob, has to be copied the
	// ordinary way. Otherwise it keeps the promises of Blobs.Put.
	CopyFrom(ctx context.Context, src Backend, d blob.Descriptor) error
}

// RawOpener is an optional interface of wrappers that verify what is read.
// OpenRaw is Open without that, for a receiver that verifies by itself, as the
// Put of every backend does.
type RawOpener interface {
	OpenRaw(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error)
}
