package wrap

import (
	"context"
	"io"
	"iter"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// The operations, as [backend.Error] and [backend.Trace] name them.
const (
	opStat      = "stat"
	opOpen      = "open"
	opPut       = "put"
	opDelete    = "delete"
	opList      = "list"
	opGetRef    = "get ref"
	opPutRef    = "put ref"
	opDeleteRef = "delete ref"
	opListRefs  = "list refs"
	opCopy      = "copy"
	opClose     = "close"
)

// opener is the Open or the OpenRaw of a backend.
type opener func(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error)

// rawOpener returns the OpenRaw of b or, where nothing in its chain verifies,
// its Open.
func rawOpener(b backend.Backend) opener {
	if raw, ok := backend.As[backend.RawOpener](b); ok {
		return raw.OpenRaw
	}
	return b.Open
}

// copyFrom is the CopyFrom of b, or a refusal if it has none.
func copyFrom(ctx context.Context, b, src backend.Backend, d blob.Descriptor) error {
	if copier, ok := backend.As[backend.Copier](b); ok {
		return copier.CopyFrom(ctx, bare(src), d)
	}
	return fail(b, opCopy, string(d.Digest), backend.ErrUnsupported, nil)
}

// diagnose is the Diagnose of b, or nothing if it has none.
func diagnose(ctx context.Context, b backend.Backend, o backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	if d, ok := backend.As[backend.Diagnoser](b); ok {
		return d.Diagnose(ctx, o)
	}
	return func(func(backend.Finding) bool) {}
}

// readable is a wrapper that is opaque to [backend.As], but that a copier may
// look behind to find out where blobs come from.
type readable interface {
	readable() backend.Backend
}

// bare returns what the opaque wrappers of this package hide.
func bare(b backend.Backend) backend.Backend {
	for {
		policy, ok := backend.As[readable](b)
		if !ok {
			return b
		}
		b = policy.readable()
	}
}

// fail returns the error of a wrapper of b.
func fail(b backend.Backend, op, key string, kind, err error) error {
	return &backend.Error{Op: op, Backend: b.Info().Driver, Key: key, Kind: kind, Err: err}
}

// keyOf returns the digest that a batch of one is about, or "".
func keyOf(digests []blob.Digest) string {
	if len(digests) == 1 {
		return string(digests[0])
	}
	return ""
}
