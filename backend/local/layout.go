package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

const (
	// privateDir holds what is this package's own: unfinished files, which must
	// be on the file system of the blobs, and the lock. It is not in ingest/,
	// where containerd's content store expects nothing but its own directories
	// and fails to list them if there is anything else, nor below blobs/, where
	// BuildKit's reset takes every file for a blob.
	privateDir = ".larder"
	lockFile   = "lock"
	tempPrefix = "tmp-"
	// staleAfter is how long an unfinished file has to be left alone before it
	// counts as left behind by a process that was killed.
	staleAfter = 24 * time.Hour

	// buildkitLock is the lock that BuildKit's client takes for index.json.
	// Source: moby/buildkit, client/ociindex/ociindex.go, lockFileSuffix.
	buildkitLock = ocispec.ImageIndexFile + ".lock"
)

// layoutContent is the file oci-layout as BuildKit writes it.
var layoutContent = []byte(`{"imageLayoutVersion":"` + ocispec.ImageLayoutVersion + `"}`)

// parts are the names in a directory that do not speak against its being a
// layout, or the beginning of one. An empty volume may have a lost+found.
var parts = map[string]bool{
	ocispec.ImageLayoutFile: true, ocispec.ImageIndexFile: true, ocispec.ImageBlobsDir: true,
	buildkitLock: true, privateDir: true, "ingest": true, "lost+found": true,
}

// probePrefix begins the name of a directory that BuildKit's client has in the
// directory for a moment when it opens it, perhaps while it is still empty: a
// probe for fs-verity. Source: containerd/containerd, package internal/fsverity.
const probePrefix = ".fsverity-check-"

// isPart reports whether a name does not speak against a layout.
func isPart(name string) bool { return parts[name] || strings.HasPrefix(name, probePrefix) }

func (b *Backend) path(name ...string) string {
	return filepath.Join(append([]string{b.dir}, name...)...)
}

// blobs is the directory of the blobs.
func (b *Backend) blobs() string { return b.path(ocispec.ImageBlobsDir, "sha256") }

// blobPath returns the file of a blob. The digest has passed
// [blob.CheckDigest], without which it must not become part of a path.
func (b *Backend) blobPath(d blob.Digest) string {
	return filepath.Join(b.blobs(), d.Encoded())
}

// prepare makes sure that the directory is a layout that can be written to.
func (b *Backend) prepare(ctx context.Context) error {
	isLayout, err := b.isLayout()
	if err == nil && !isLayout {
		err = b.checkParts()
	}
	if err != nil {
		return err
	}
	for _, dir := range []string{b.blobs(), b.path(privateDir)} {
		if err := b.mkdir(dir); err != nil {
			return err
		}
	}
	if !isLayout {
		if err := b.write(ctx, b.path(ocispec.ImageLayoutFile), layoutContent); err != nil {
			return err
		}
	}
	b.sweep.Do(b.removeStale)
	return nil
}

// isLayout reports whether the file oci-layout is there. One of another version
// is an error. BuildKit truncates the file before it writes it anew, so that a
// file without a version says nothing.
func (b *Backend) isLayout() (bool, error) {
	data, err := os.ReadFile(b.path(ocispec.ImageLayoutFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var layout ocispec.ImageLayout
	if json.Unmarshal(data, &layout) == nil && layout.Version != "" && layout.Version != ocispec.ImageLayoutVersion {
		return false, fmt.Errorf("%w: %s is an OCI image layout of version %s, want %s",
			backend.ErrInvalid, b.dir, blob.Quote(layout.Version), ocispec.ImageLayoutVersion)
	}
	return true, nil
}

// checkParts returns an error if the directory holds something that is no part
// of a layout: it is somebody's, and nothing is to be strewn into it.
func (b *Backend) checkParts() error {
	f, err := os.Open(b.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for {
		names, err := f.Readdirnames(len(parts) + 1)
		for _, name := range names {
			if !isPart(name) {
				return fmt.Errorf("%w: %s is not an OCI image layout: it has no file oci-layout, but holds %s",
					backend.ErrInvalid, b.dir, blob.Quote(name))
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// mkdir creates a directory with its parents, whose entries are on disk when it
// returns.
func (b *Backend) mkdir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := b.mkdir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return b.syncDir(parent)
}

// removeStale removes unfinished files that nobody has written to for long. It
// is a courtesy: what cannot be removed stays.
func (b *Backend) removeStale() {
	entries, err := os.ReadDir(b.path(privateDir))
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && isTemp(e.Name()) && b.opts.Now().Sub(info.ModTime()) > staleAfter {
			_ = os.Remove(b.path(privateDir, e.Name()))
		}
	}
}
