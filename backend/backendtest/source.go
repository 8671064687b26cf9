package backendtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/larder-build/larder/blob"
)

// errSource is what the failing sources of the suite fail with.
var errSource = errors.New("the source failed")

// source is a source that keeps account of its readers.
type source struct {
	// reader returns a new reader of the content, or an error.
	reader func(ctx context.Context) (io.Reader, error)

	mu      sync.Mutex
	readers []*sourceReader
}

// sourceOf returns a source of data.
func sourceOf(data []byte) *source {
	return &source{reader: func(context.Context) (io.Reader, error) { return bytes.NewReader(data), nil }}
}

// sourceThen returns a source that yields data and then what next reads.
func sourceThen(data []byte, next func(ctx context.Context, p []byte) (int, error)) *source {
	return &source{reader: func(ctx context.Context) (io.Reader, error) {
		rest := readerFunc(func(p []byte) (int, error) { return next(ctx, p) })
		return io.MultiReader(bytes.NewReader(data), rest), nil
	}}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

var _ blob.Source = (*source)(nil)

// Open returns a reader that the account knows of.
func (s *source) Open(ctx context.Context) (io.ReadCloser, error) {
	r, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	counted := &sourceReader{r: r}
	s.readers = append(s.readers, counted)
	return counted, nil
}

// check fails unless each reader was closed once and not read thereafter.
func (s *source) check(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range s.readers {
		r.mu.Lock()
		if r.closed != 1 {
			t.Errorf("Put(source) closed reader %d of %d %d times, want once", i+1, len(s.readers), r.closed)
		}
		if r.readLate {
			t.Errorf("Put(source) read reader %d of %d after closing it, want no such call", i+1, len(s.readers))
		}
		r.mu.Unlock()
	}
}

// sourceReader is a reader that knows whether it was closed.
type sourceReader struct {
	r io.Reader

	mu       sync.Mutex
	closed   int
	readLate bool
}

func (r *sourceReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	if r.closed > 0 {
		r.readLate = true
	}
	r.mu.Unlock()
	return r.r.Read(p)
}

func (r *sourceReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed++
	return nil
}
