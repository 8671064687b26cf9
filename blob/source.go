package blob

import (
	"bytes"
	"context"
	"io"
	"os"
)

// Source is content that can be read more than once: a store that must send a
// blob again, after a lost connection, opens it again. Each reader yields the
// same bytes from the start. Implementations must allow concurrent calls.
type Source interface {
	// Open returns a new reader of the whole content, which the caller closes.
	// The context governs the reader until then.
	Open(ctx context.Context) (io.ReadCloser, error)
}

// SourceFunc is a function that serves as a [Source].
type SourceFunc func(ctx context.Context) (io.ReadCloser, error)

// Open calls f.
func (f SourceFunc) Open(ctx context.Context) (io.ReadCloser, error) { return f(ctx) }

// Bytes returns a source of data, which must not change as long as the source
// is in use.
func Bytes(data []byte) Source { return bytesSource(data) }

type bytesSource []byte

func (b bytesSource) Open(ctx context.Context) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return bytesReader{bytes.NewReader(b)}, nil
}

// bytesReader keeps the other interfaces of [bytes.Reader] in reach, of which
// stores that send several parts at once use [io.ReaderAt].
type bytesReader struct{ *bytes.Reader }

func (bytesReader) Close() error { return nil }

// File returns a source of the file with the given path. Its readers are
// [*os.File], so that a store can use the operating system's fast paths.
func File(path string) Source { return fileSource(path) }

type fileSource string

func (f fileSource) Open(ctx context.Context) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := os.Open(string(f))
	if err != nil {
		return nil, err // not a nil *os.File, which is no nil reader
	}
	return file, nil
}
