package local

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
)

// temp is a file that is being written and that nobody sees yet.
type temp struct {
	*os.File

	b *Backend
}

// temp creates one with the given mode, less the umask. It can be written
// whatever its mode.
func (b *Backend) temp(mode os.FileMode) (*temp, error) {
	path := b.path(privateDir, tempPrefix+rand.Text())
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	return &temp{File: f, b: b}, nil
}

func isTemp(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// finish closes the file once its content is on disk.
func (t *temp) finish() error {
	if !t.b.opts.NoSync {
		if err := t.Sync(); err != nil {
			return err
		}
	}
	return t.Close()
}

// discard removes the file. After a rename there is nothing left to remove.
func (t *temp) discard() {
	// The file may be closed, and is of no use to anybody.
	_ = t.Close()
	_ = os.Remove(t.Name())
}

// write replaces the file at path by one with the given content, durably but
// for its directory's entry.
func (b *Backend) write(ctx context.Context, path string, data []byte) error {
	t, err := b.temp(0o644)
	if err != nil {
		return err
	}
	defer t.discard()
	if _, err := t.Write(data); err != nil {
		return err
	}
	if err := t.finish(); err != nil {
		return err
	}
	return replace(ctx, t.Name(), path)
}

// syncDir makes the entries of a directory durable.
func (b *Backend) syncDir(dir string) error {
	if b.opts.NoSync {
		return nil
	}
	return syncDir(dir)
}
