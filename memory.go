package larder

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"github.com/larder-build/larder/blob/archive"
)

// memory is the file in which the state of a directory is remembered: what was
// last saved from it to a store, or restored to it from one. It says nothing
// that a look at the files would not, so that whatever is wrong with it means
// that there is none.
type memory struct{ path string }

// memoryOf returns the memory of a directory and a store. The key does not
// matter: under whichever it was, the directory is in one state.
func memoryOf(dir, location, path string) memory {
	if dir == "" {
		return memory{}
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	sum := sha256.Sum256([]byte(location + "\x00" + path))
	return memory{filepath.Join(dir, hex.EncodeToString(sum[:]))}
}

// load returns the snapshot, or nil if there is none to be relied on.
func (m memory) load() *archive.Snapshot {
	if m.path == "" {
		return nil
	}
	info, err := os.Lstat(m.path)
	if err != nil || !info.Mode().IsRegular() || !ownFile(info) {
		return nil
	}
	data, err := os.ReadFile(m.path)
	if err != nil {
		return nil
	}
	snapshot, err := archive.DecodeSnapshot(data)
	if err != nil {
		return nil
	}
	return snapshot
}

// store replaces what is remembered.
func (m memory) store(s *archive.Snapshot) error {
	if m.path == "" {
		return nil
	}
	data, err := s.Encode()
	if err != nil {
		return err
	}
	dir, name := filepath.Split(m.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, name+"-") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), m.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
