package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/larder-build/larder/backend"
)

var _ backend.Diagnoser = (*Backend)(nil)

// Diagnose looks at the directory, the file system that it is on, what is in it,
// and whether locks exclude each other there.
func (b *Backend) Diagnose(ctx context.Context, o backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	return func(yield func(backend.Finding) bool) {
		checks := []func(context.Context) backend.Finding{b.findFileSystem, b.findLayout}
		place := b.findPlace(ctx)
		switch {
		case !yield(place), place.Status == backend.FindingFailed:
			return
		case !exists(b.dir) && o.ReadOnly:
			checks = checks[:1]
		case !exists(b.dir):
			checks[1] = b.findParent
		case !o.ReadOnly:
			checks = append(checks, b.findLocks)
		}
		for _, check := range checks {
			if f := check(ctx); ctx.Err() != nil || !yield(f) {
				return
			}
		}
	}
}

func found(status backend.FindingStatus, check, remedy, format string, args ...any) backend.Finding {
	return backend.Finding{Check: check, Status: status, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// findPlace looks whether the directory is there, can be entered, and holds
// nothing that is no cache.
func (b *Backend) findPlace(ctx context.Context) backend.Finding {
	const check = backend.CheckEndpoint
	if err := b.begin(ctx); err != nil {
		return found(backend.FindingFailed, check, "", "%v", err)
	}
	info, err := os.Stat(b.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found(backend.FindingNote, check, "", "%s does not exist yet: the first export creates it", b.dir)
	case err != nil:
		return found(backend.FindingFailed, check, "let this user into the directories above", "%v", err)
	}
	if _, err := os.ReadDir(b.dir); err != nil {
		return found(backend.FindingFailed, check, "give this user the right to read and enter the directory", "%v", err)
	}
	isLayout, err := b.isLayout()
	if err == nil && !isLayout {
		err = b.checkParts()
	}
	if err != nil {
		return found(backend.FindingFailed, check, "name an empty directory, or one that larder or BuildKit has made", "%v", err)
	}
	return found(backend.FindingOK, check, "", "%s, %s", b.dir, info.Mode())
}

// lowSpace is how much free space is little for a cache, in bytes.
const lowSpace = 1 << 30

// findFileSystem looks at what the directory, or the nearest one above it that
// exists, is on.
func (b *Backend) findFileSystem(context.Context) backend.Finding {
	const check = "file system"
	dir := nearest(b.dir)
	v, err := volumeOf(dir)
	if err != nil {
		return found(backend.FindingSkipped, check, "", "the system does not tell: %v", err)
	}
	detail := fmt.Sprintf("%s, %d MiB free", v.kind, v.free>>20)
	switch {
	case v.readOnly:
		return found(backend.FindingWarning, check, "mount it for writing, unless caches are only imported from here", "%s, mounted read-only", detail)
	case v.free < lowSpace:
		return found(backend.FindingWarning, check, "make room: an export that finds none fails", "%s", detail)
	case v.inMemory:
		return found(backend.FindingWarning, check, "choose a directory on a disk, unless the cache need not survive a restart", "%s: it is memory", detail)
	case v.network:
		return found(backend.FindingNote, check, "", "%s: a network file system, where locks among machines depend on its server", detail)
	default:
		return found(backend.FindingOK, check, "", "%s", detail)
	}
}

// volume is what a system tells of a file system.
type volume struct {
	kind                        string
	free                        uint64 // bytes that this user may use
	readOnly, inMemory, network bool
}

// nearest returns the directory, or the nearest one above it that exists.
func nearest(dir string) string {
	for !exists(dir) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
	}
	return dir
}

// findParent looks whether the directory could be created. That settles writing:
// a trial would create it.
func (b *Backend) findParent(context.Context) backend.Finding {
	parent := nearest(b.dir)
	if err := mayWrite(parent); err != nil {
		return found(backend.FindingFailed, backend.CheckWrite, "give this user the right to write there, or name another directory", "%s cannot be created in %s: %v", b.dir, parent, err)
	}
	return found(backend.FindingSkipped, backend.CheckWrite, "", "%s may be written to; a trial would create the directory", parent)
}

// findLayout looks at the index that BuildKit reads too.
func (b *Backend) findLayout(ctx context.Context) backend.Finding {
	const check = "layout"
	if isLayout, err := b.isLayout(); err != nil || !isLayout {
		return found(backend.FindingNote, check, "", "the directory is empty: the first that writes, be it by way of trial, makes an OCI image layout of it")
	}
	x, _, err := b.readIndex(ctx)
	if err != nil {
		return found(backend.FindingFailed, check, "restore index.json, or start with an empty directory", "%v", err)
	}
	return found(backend.FindingOK, check, "", "an OCI image layout with %d entries, which BuildKit's type=local reads", len(x.entries))
}

// findLocks looks whether a second lock of a file is refused, as it is not on
// some network file systems.
func (b *Backend) findLocks(ctx context.Context) backend.Finding {
	const check = "locks"
	const remedy = "use a file system with locks, or let no two programs write at the same time"
	if err := b.prepare(ctx); err != nil {
		return found(backend.FindingSkipped, check, "", "the directory cannot be written to: %v", err)
	}
	f, err := os.CreateTemp(b.path(privateDir), tempPrefix)
	if err != nil {
		return found(backend.FindingSkipped, check, "", "the directory cannot be written to: %v", err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name()) // or the next export does, a day later
	}()
	first, second := flock.New(f.Name()), flock.New(f.Name())
	defer release(first)
	defer release(second)
	if got, err := first.TryLock(); err != nil || !got {
		return found(backend.FindingFailed, check, remedy, "a file cannot be locked: %v", err)
	}
	if got, err := second.TryLock(); got || err != nil {
		return found(backend.FindingFailed, check, remedy, "two locks of one file do not exclude each other")
	}
	return found(backend.FindingOK, check, "", "a second lock of a file is refused")
}
