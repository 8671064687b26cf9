// Package local keeps caches in a directory: an OCI image layout, exactly as
// BuildKit's type=local writes and reads it, so that both can use one directory
// at the same time.
//
// # What is where
//
//	oci-layout          {"imageLayoutVersion":"1.0.0"}
//	index.json          the refs: a descriptor of each document with its name
//	blobs/sha256/HEX    blobs and documents, read-only
//	ingest/             BuildKit's own; not touched
//	index.json.lock     BuildKit's lock of index.json
//	.larder/            a lock and unfinished files of this package
//
// The name of a ref is the annotation org.opencontainers.image.ref.name of its
// descriptor. As BuildKit does, a lookup first tries io.containerd.image.name,
// which entries of images have. Entries and fields that this package does not
// know are kept as they are. Whatever a ref refers to is reachable from
// index.json through its document, because BuildKit's reset=true deletes the
// rest.
//
// # Several writers
//
// Refs are compared and swapped under a lock of larder's own, so that no
// acknowledged write is lost however many processes write. BuildKit's lock is
// taken in addition, but only for the moment in which index.json is replaced:
// BuildKit does not wait for it, a build fails while somebody else holds it.
// Readers take no lock. BuildKit rewrites index.json in place, so they may find
// it half written and then read it again.
//
// # After a crash
//
// A blob is on disk before it gets its name, and has its name before index.json
// mentions it. What a killed process leaves in .larder is removed a day later.
package local

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
)

// Options change how a directory is used. The zero value is right for caches
// that are to survive a power failure.
type Options struct {
	// NoSync leaves it to the operating system when to write to the disk. After
	// a crash of the machine, not of a process, the directory may then be
	// broken. It is for directories that will not be needed after one, such as
	// those of tests.
	NoSync bool
	// Now is the clock that ages of blobs are taken from; nil means [time.Now].
	Now func() time.Time
	// Location is what Info reports; "" means a location made of the directory.
	Location string
}

// Backend is a directory that holds caches. It has every capability.
type Backend struct {
	backend.Unimplemented

	dir    string
	opts   Options
	turn   chan struct{} // held while this Backend waits for or has larder's lock
	sweep  sync.Once
	clone  func(dst, src *os.File) error
	mu     sync.Mutex
	closed bool
	open   map[*reader]struct{}
}

var _ backend.Backend = (*Backend)(nil)

// Open returns a backend that keeps caches in dir. The directory need not
// exist: nothing is there to be read then, and the first write creates it. A
// directory that holds other things and no image layout is never written to.
// Open fails with ErrInvalid if dir is empty or names something that is not a
// directory.
func Open(dir string, opts Options) (*Backend, error) {
	if dir == "" {
		return nil, fail("open", "", fmt.Errorf("%w: no directory is given", backend.ErrInvalid))
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fail("open", "", err)
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() {
		return nil, fail("open", "", fmt.Errorf("%w: %s is not a directory", backend.ErrInvalid, abs))
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Location == "" {
		opts.Location = place(abs).String()
	}
	return &Backend{
		dir:   abs,
		opts:  opts,
		turn:  make(chan struct{}, 1),
		clone: clone,
		open:  map[*reader]struct{}{},
	}, nil
}

// Dir returns the absolute path of the directory.
func (b *Backend) Dir() string { return b.dir }

// Info describes the backend.
func (b *Backend) Info() backend.Info {
	return backend.Info{
		Driver:    driverName,
		Location:  b.opts.Location,
		Directory: b.dir,
		Capabilities: backend.Capabilities{
			CreateRef: true, ReplaceRef: true,
			DeleteRef: true, ConditionalDeleteRef: true, ListRefs: true,
			DeleteBlobs: true, ListBlobs: true, BlobAges: true,
		},
		Encoding:  "oci-manifest",
		CheapStat: true,
	}
}

// Close ends the readers that are still open. The directory stays as it is.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for r := range b.open {
		// A reader of a file has nothing to lose on Close.
		_ = r.file.Close()
	}
	clear(b.open)
	return nil
}

// begin returns why a call cannot be made, or nil.
func (b *Backend) begin(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fs.ErrClosed
	}
	return ctx.Err()
}
