package larder

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Content gives the bytes of blobs to an [Export]. The result of an [Import]
// is one.
type Content interface {
	// Source returns the source of a blob, or nil if there is none. Its content
	// need not be verified.
	Source(d blob.Descriptor) blob.Source
}

// ContentFunc is a function that serves as [Content].
type ContentFunc func(d blob.Descriptor) blob.Source

// Source calls f.
func (f ContentFunc) Source(d blob.Descriptor) blob.Source { return f(d) }

// ContentOf returns the blobs of a backend as content.
func ContentOf(b backend.Backend) Content { return backendContent{b} }

type backendContent struct{ backend backend.Backend }

func (c backendContent) Source(d blob.Descriptor) blob.Source {
	return backend.RawSourceOf(c.backend, d)
}

// origins implements originer.
func (c backendContent) origins(blob.Digest) []backend.Backend {
	return []backend.Backend{c.backend}
}

// originer is content that knows in which backends a blob is, so that a store
// may take it over from there by itself.
type originer interface {
	origins(d blob.Digest) []backend.Backend
}

// metered is a source that reports what is read from it, and remembers whether
// it was to blame for a failure.
type metered struct {
	blob.Source
	moved func(n int64)
	// asFile lets files pass unmetered, for a store that sends them by the
	// operating system's fast paths.
	asFile bool

	opened atomic.Bool
	passed atomic.Bool // a file, unmetered
	mu     sync.Mutex
	err    error
}

// Open starts another reading.
func (m *metered) Open(ctx context.Context) (io.ReadCloser, error) {
	m.opened.Store(true)
	r, err := m.Source.Open(ctx)
	if err != nil {
		return nil, m.note(ctx, err)
	}
	if m.asFile && isFile(r) {
		m.passed.Store(true)
		return r, nil
	}
	return &meteredReader{ReadCloser: r, ctx: ctx, of: m}, nil
}

// isFile reports whether a reader is a file, or a part of one as those of the
// local backend are.
func isFile(r io.Reader) bool {
	switch r.(type) {
	case *os.File, interface{ File() (*os.File, int64) }:
		return true
	default:
		return false
	}
}

// note remembers err as the source's fault, unless the reading was canceled by
// the store that asked for it.
func (m *metered) note(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
	return err
}

// fault returns the error for which the source is to blame, or nil.
func (m *metered) fault() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

type meteredReader struct {
	io.ReadCloser
	ctx  context.Context // as it was given to Open: it governs the reader
	of   *metered
	read int64
	done bool
}

func (r *meteredReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.read += int64(n)
	r.of.moved(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		r.done = true
	case err != nil:
		return n, r.of.note(r.ctx, err)
	}
	return n, err
}

// Close takes back what was read if it was not all: it will be read again.
func (r *meteredReader) Close() error {
	if !r.done {
		r.of.moved(-r.read)
		r.read = 0
	}
	return r.ReadCloser.Close()
}
