package larder

import (
	"bytes"
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
	memory bytes.Buffer
	file   *os.File
}

// newSpool returns a spool for about size bytes, which goes over to a file in dir
// beyond limit.
func newSpool(dir string, size, limit int64) (*spool, error) {
	s := &spool{dir: dir, limit: limit}
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
	_, err = s.memory.WriteTo(s.file)
	s.memory = bytes.Buffer{}
	return err
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && int64(s.memory.Len()+len(p)) > s.limit {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	if s.file != nil {
		return s.file.Write(p)
	}
	return s.memory.Write(p)
}

// source returns what was written.
func (s *spool) source() blob.Source {
	if s.file == nil {
		return blob.Bytes(s.memory.Bytes())
	}
	return blob.File(s.file.Name())
}

// close removes what was written.
func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}
