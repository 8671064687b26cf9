package larder

import (
	"bytes"
	"context"
	"io"
	"os"

	"github.com/larder-build/larder/blob"
)

// spoolMemory is the size of content, in bytes, up to which a layer is kept in
// memory until it is stored: somewhat more than the packs that Split makes.
const spoolMemory = 40 << 20

// spool holds a layer until it is stored, because a store wants to know its
// digest first: in memory, or if it is large in a temporary file.
type spool struct {
	dir    string
	limit  int64
	size   int64
	chunks [][]byte
	free   chunks
	file   *os.File
}

// chunks are pieces of memory, of chunkSize each, that wait to be used again. A
// layer is in many of them, because one that grows would have been copied, and
// would take up to twice what it holds. Nil keeps none.
type chunks chan []byte

const chunkSize = 1 << 20 // bytes

func (c chunks) take() []byte {
	select {
	case chunk := <-c:
		return chunk[:0]
	default:
		return make([]byte, 0, chunkSize)
	}
}

func (c chunks) give(chunk []byte) {
	select {
	case c <- chunk:
	default:
	}
}

// newSpool returns a spool for about size bytes, which goes over to a file in dir
// beyond limit.
func newSpool(dir string, size, limit int64, free chunks) (*spool, error) {
	s := &spool{dir: dir, limit: limit, free: free}
	if size <= limit {
		return s, nil
	}
	err := s.spill()
	return s, err
}

// spill goes over to a file.
func (s *spool) spill() (err error) {
	if s.file, err = os.CreateTemp(s.dir, "larder-layer-"); err != nil {
		return err
	}
	for _, chunk := range s.chunks {
		if _, err := s.file.Write(chunk); err != nil {
			return err
		}
	}
	s.release()
	return nil
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.size+int64(len(p)) > s.limit {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	if s.file != nil {
		return s.file.Write(p)
	}
	s.size += int64(len(p))
	for rest := p; len(rest) > 0; {
		last := len(s.chunks) - 1
		if last < 0 || len(s.chunks[last]) == chunkSize {
			s.chunks = append(s.chunks, s.free.take())
			last++
		}
		n := min(len(rest), chunkSize-len(s.chunks[last]))
		s.chunks[last] = append(s.chunks[last], rest[:n]...)
		rest = rest[n:]
	}
	return len(p), nil
}

// source returns what was written.
func (s *spool) source() blob.Source {
	if s.file != nil {
		return blob.File(s.file.Name())
	}
	return blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		parts := make([]io.Reader, len(s.chunks))
		for i, chunk := range s.chunks {
			parts[i] = bytes.NewReader(chunk)
		}
		return io.NopCloser(io.MultiReader(parts...)), nil
	})
}

// release gives the memory back.
func (s *spool) release() {
	for _, chunk := range s.chunks {
		s.free.give(chunk)
	}
	s.chunks = nil
}

// close removes what was written, of which nothing may be read any more.
func (s *spool) close() {
	s.release()
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}
