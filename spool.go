package larder

import (
	"bytes"
	"io"
	"os"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
)

// spoolMemory is the size of files, in bytes, up to which their layer is kept in
// memory until it is stored: somewhat more than the packs that Split makes.
const spoolMemory = 40 << 20

// spool holds a layer until it is stored, because a store wants to know its
// digest first: in memory, or if its files are large in a temporary file.
type spool struct {
	io.Writer
	memory bytes.Buffer
	file   *os.File
}

func newSpool(dir string, entries []archive.Entry) (*spool, error) {
	var size int64
	for i := range entries {
		size += entries[i].Size
	}
	s := &spool{}
	if size <= spoolMemory {
		s.Writer = &s.memory
		return s, nil
	}
	file, err := os.CreateTemp(dir, "larder-layer-")
	s.Writer, s.file = file, file
	return s, err
}

// source returns what was written.
func (s *spool) source() blob.Source {
	if s.file == nil {
		return blob.Bytes(s.memory.Bytes())
	}
	return blob.File(s.file.Name())
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}
