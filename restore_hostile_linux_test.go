package larder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/internal/fixtures"
	"github.com/larder-build/larder/manifest"
)

// canary is what hostile layers of the fixtures try to write.
const canary = "/tmp/larder-escape-canary"

// hostile has, for each cache with a hostile layer, what restoring that layer
// comes to. Nil means that it is passed over.
var hostile = map[string]error{
	"tar-absolute-path":            blob.ErrInvalid,
	"tar-device-nodes":             blob.ErrInvalid,
	"tar-dot-dot":                  blob.ErrInvalid,
	"tar-expands":                  nil,
	"tar-hardlink-outside":         blob.ErrInvalid,
	"tar-hardlink-through-symlink": blob.ErrInvalid,
	"tar-not-tar":                  nil,
	"tar-symlink-absolute":         blob.ErrInvalid,
	"tar-symlink-relative":         blob.ErrInvalid,
	"tar-whiteout-outside":         blob.ErrInvalid,
	"tar-duplicate-entries":        blob.ErrInvalid, // its last entry leads through a link
}

func TestEveryHostileFixtureIsRestored(t *testing.T) {
	for _, name := range fixtures.Names("broken/buildkit/tar-") {
		if _, ok := hostile[filepath.Base(name)]; !ok {
			t.Errorf("nothing is known of %s", name)
		}
	}
}

// TestRestoreOfHostileLayers saves each layer of a cache under a key of its own,
// and restores them all. One of them is hostile.
func TestRestoreOfHostileLayers(t *testing.T) {
	for name, want := range hostile {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			putFile(t, parent, "witness", "w")
			host := links(t, "/etc/hostname")
			var misses int
			var failed error
			for _, err := range restoreLayers(t, "broken/buildkit/"+name, filepath.Join(parent, "into"), archive.ExtractOptions{}) {
				if errors.Is(err, errPassedOver) {
					misses++
				} else {
					failed = errors.Join(failed, err)
				}
			}
			if passed := misses == 1 && failed == nil; !errors.Is(failed, want) || passed != (want == nil) {
				t.Errorf("Restore() = %v, and %d layers were passed over; want %v, or one if that is nil", failed, misses, want)
			}
			if _, err := os.Lstat(canary); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v, want none", canary, err)
			}
			if got := links(t, "/etc/hostname"); got != host {
				t.Errorf("/etc/hostname has %d names, want %d", got, host)
			}
			if names, err := os.ReadDir(parent); err != nil || len(names) != 2 {
				t.Errorf("beside the directory are %v, %v, want the witness", names, err)
			}
		})
	}
}

// errPassedOver stands for a key that was there and not restored.
var errPassedOver = errors.New("passed over")

// restoreLayers returns the errors of restoring each layer of a fixture.
func restoreLayers(tb testing.TB, name, into string, opts archive.ExtractOptions) []error {
	tb.Helper()
	source := fixture(tb, name, "latest")
	cache, _, err := larder.Import(tb.Context(), []larder.Target{source}, larder.ImportOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	b, digests := manifest.NewBuilder(), map[blob.Digest]bool{}
	for _, l := range cache.Manifest.Layers {
		digests[l.Digest] = true
		b.Chain(b.Record("dir", manifest.AnyOf(b.Record(string(l.Digest)))), epoch, b.Layer(l.Descriptor(), l.DiffID, epoch, manifest.LayerHandle{}))
	}
	m, err := b.Manifest()
	if err != nil {
		tb.Fatal(err)
	}
	to := larder.Target{Backend: mem.New(), Ref: "main.dirs"}
	defer to.Backend.Close()
	if _, err := larder.Export(tb.Context(), m, larder.ContentOf(source.Backend), []larder.Target{to}, larder.ExportOptions{}); err != nil {
		tb.Fatal(err)
	}
	var failed []error
	for d := range digests {
		restored, err := larder.Restore(tb.Context(), string(d), []larder.Target{to}, larder.RestoreOptions{Into: into, Extract: opts})
		if err == nil && !restored.Hit {
			if got := degradations(restored.Report); !slices.Equal(got, []larder.DegradationKind{larder.BlobLost}) || restored.Degradations[0].Blob != d {
				tb.Errorf("Restore(%s) is a miss: %+v, want one %s of it", d, restored.Degradations, larder.BlobLost)
			}
			err = errPassedOver
		}
		failed = append(failed, err)
	}
	return failed
}

func TestDevicesAreRestoredWhenAskedFor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("devices take root")
	}
	into := t.TempDir()
	for _, err := range restoreLayers(t, "broken/buildkit/tar-device-nodes", into, archive.ExtractOptions{Devices: true}) {
		if err != nil {
			t.Error(err)
		}
	}
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(into, "dir", "dev", "null2"), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
		t.Errorf("Lstat(null2) = mode %o, device %d, %v", st.Mode, st.Rdev, err)
	}
}

func links(tb testing.TB, name string) uint64 {
	tb.Helper()
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		tb.Fatal(err)
	}
	return uint64(st.Nlink) //nolint:unconvert // not everywhere a uint64
}

// TestRestoreOfWhatCompressesWell restores files that expand a thousandfold,
// which only a layer that declares its size may do.
func TestRestoreOfWhatCompressesWell(t *testing.T) {
	b, dir, into := newBed(t), t.TempDir(), t.TempDir()
	putFile(t, dir, "zeros", string(make([]byte, 40<<20)))
	b.save(t, "zeros", dir)
	b.restore(t, "zeros", into)
	trees(t, dir, filepath.Join(into, "node_modules"))
}

// TestRestoreOfMoreThanTheDefaultBound saves files of more than
// compress.DefaultMaxSize together, nearly all of it holes.
func TestRestoreOfMoreThanTheDefaultBound(t *testing.T) {
	b, dir, into := newBed(t), t.TempDir(), t.TempDir()
	for _, name := range []string{"one", "two"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		_, writeErr := f.WriteAt([]byte(name), 45<<30)
		if err := errors.Join(writeErr, f.Truncate(50<<30), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	saved := b.save(t, "huge", dir).Directories[0]
	if saved.Bytes != 100<<30 || saved.Written.Bytes > 10<<10 {
		t.Errorf("saved %+v, want 100 GiB in a few KiB", saved)
	}
	if got := b.restore(t, "huge", into); !got.Hit || got.Directories[0].Bytes != saved.Bytes {
		t.Fatalf("restored %+v of %+v, want %d bytes", got.Directories, got.Degradations, saved.Bytes)
	}
	for _, name := range []string{"one", "two"} {
		f, err := os.Open(filepath.Join(into, "node_modules", name))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(name))
		_, readErr := f.ReadAt(got, 45<<30)
		info, statErr := f.Stat()
		if err := errors.Join(readErr, statErr, f.Close()); err != nil || string(got) != name || info.Size() != 50<<30 {
			t.Errorf("%s reads as %q, %v, in a file of %d bytes", name, got, err, info.Size())
		}
	}
}
