package compress

import (
	"context"
	"io"
)

// Recompress reads a layer in any compression from src and writes it with
// compression c to dst. The tar, and with it the diffID, stays as it is, but
// for EStargz. The note of a zstd layer stays too, if c is Zstd. Errors are those of [Reader] and [Writer]; the context ends it
// between two reads.
func Recompress(ctx context.Context, dst io.Writer, src io.Reader, c Compression, bounds Options, opts WriterOptions) (Layer, error) {
	if c == Zstd && opts.Note == nil {
		var err error
		if src, opts.Note, err = takeNote(src); err != nil {
			return Layer{}, err
		}
	}
	r, err := NewReader(src, bounds)
	if err != nil {
		return Layer{}, err
	}
	defer r.Close()
	w, err := NewWriter(dst, c, opts)
	if err != nil {
		return Layer{}, err
	}
	defer w.Abort()
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, contextReader{ctx, r}, make([]byte, 256<<10)); err != nil {
		return Layer{}, err
	}
	if err := r.Drain(); err != nil {
		return Layer{}, err
	}
	if err := w.Close(); err != nil {
		return Layer{}, err
	}
	return w.Layer(), nil
}

// contextReader fails when the context has ended.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
