package larder_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/blob/compress"
)

// torture makes a tree of everything that a file system of Linux holds, as far
// as the user may make it.
func torture(tb testing.TB) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "tree")
	for name, content := range map[string]string{
		"plain": "content", "empty": "", "block": strings.Repeat("b", 512), "large": strings.Repeat("large ", 100_000),
		"ünïcödé/文件": "UTF-8", "latin1-\xe4\xf6\xfc": "no UTF-8", "bytes-\x01\x7f\xff": "odd bytes", "new\nline\t ": "white", "a=b": "as in pax",
		"-rf": "", "..dots": "", "...": "", "~": "", "back\\slash": "", "quo\"te'": "", "*?[x]": "", " ": "a blank", ".hidden": "",
		strings.Repeat("n", 255):                                 "the longest name",
		strings.Repeat("深", 85):                                  "the longest name in UTF-8",
		strings.Repeat("deep/", 300) + "file":                    "a path of 1504 bytes",
		strings.Repeat("p", 99) + "/" + strings.Repeat("q", 100): "a path of 200",
	} {
		putFile(tb, dir, name, content)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.MkdirAll(at("emptydir/inner"), 0o700), os.Mkdir(at("sticky"), 0o777), os.Chmod(at("sticky"), os.ModeSticky|0o777),
		os.Symlink("plain", at("link")), os.Symlink("loop-b", at("loop-a")), os.Symlink("loop-a", at("loop-b")), os.Symlink(".", at("self")),
		os.Symlink("/nowhere/"+strings.Repeat("t", 400), at("dangling")), os.Symlink("latin1-\xe4\xf6\xfc", at("bytelink")), os.Symlink("../../..", at("up")),
		os.Link(at("plain"), at("zhard")), os.Link(at("plain"), at("emptydir/hard")), os.Link(at("large"), at("ünïcödé/large")),
		unix.Mkfifo(at("pipe"), 0o640),
		os.Chmod(at("block"), os.ModeSetuid|0o755), os.Chmod(at("a=b"), 0o400),
		hole(at("sparse"), 1<<20, 200_000), hole(at("sparse-end"), 1<<20, 1<<20-9), hole(at("all-hole"), 3<<20+1, -1),
		unix.Setxattr(at("plain"), "user.larder", []byte("value\x00\n"), 0), unix.Setxattr(at("emptydir"), "user.dir", nil, 0),
	} {
		if err != nil {
			tb.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		for _, err := range []error{
			unix.Mknod(at("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))), unix.Mknod(at("loop"), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 300))),
			os.Lchown(at("plain"), 1234, 5678), os.Lchown(at("link"), 3_000_000, 4_000_000), os.Lchown(at("emptydir"), 99, 98),
			unix.Setxattr(at("large"), "trusted.larder", []byte("of the superuser"), 0),
		} {
			if err != nil {
				tb.Fatal(err)
			}
		}
	}
	for name, when := range map[string]time.Time{
		"plain": time.Unix(1_700_000_000, 123_456_789), "empty": time.Unix(-3, 0), "large": time.Unix(1<<32, 1), "link": time.Unix(1_600_000_000, 7),
		"pipe": time.Unix(1_500_000_000, 999_999_999), "ünïcödé": time.Unix(1_400_000_000, 5), "emptydir": time.Unix(0, 0), ".": time.Unix(1_650_000_000, 100),
	} {
		spec := unix.NsecToTimespec(when.UnixNano())
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, at(name), []unix.Timespec{spec, spec}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// hole makes a file of holes with some data at one place, if that is not below
// zero.
func hole(name string, size, at int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if at >= 0 {
		_, writeErr := f.WriteAt([]byte("some data"), at)
		err = errors.Join(err, writeErr)
	}
	return errors.Join(err, f.Close())
}

// program returns the path of a program that a test needs.
func program(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("LARDER_TEST_REQUIRE") == "1" {
			tb.Fatalf("%v, and LARDER_TEST_REQUIRE asks for every test", err)
		}
		tb.Skip(err)
	}
	return path
}

// same lets rsync compare two trees: types, content, modes, owners, times to the
// nanosecond, hard links, devices and extended attributes.
func same(tb testing.TB, want, got string) {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), program(tb, "rsync"), "-n", "-c", "-aHAX", "--delete", "--modify-window=-1", "--itemize-changes", want+"/", got+"/").CombinedOutput()
	if err != nil || len(out) > 0 {
		tb.Errorf("rsync %s %s: %v\n%s", want, got, err, out)
	}
}

// TestTortureRoundTrip saves everything that a tree can hold, and restores it,
// as it was first and after changes, to empty directories and to older states.
func TestTortureRoundTrip(t *testing.T) {
	program(t, "rsync")
	dir := torture(t)
	b, over := newBed(t), t.TempDir()
	save := larder.SaveOptions{Keep: archive.WriteOptions{Owners: os.Geteuid() == 0, Xattrs: true}, PackSize: 20_000, Snapshots: b.snapshots}
	restore := larder.RestoreOptions{Exact: true, Extract: archive.ExtractOptions{Owners: os.Geteuid() == 0, Xattrs: true, SetID: true, Devices: true}}
	change := []func() error{
		func() error { return nil },
		func() error {
			return os.WriteFile(filepath.Join(dir, "ünïcödé", "文件"), []byte("changed"), 0o600)
		},
		func() error {
			return errors.Join(os.Remove(filepath.Join(dir, "plain")), os.Mkdir(filepath.Join(dir, "plain"), 0o711), os.RemoveAll(filepath.Join(dir, "deep")), os.WriteFile(filepath.Join(dir, "deep"), nil, 0o644))
		},
	}
	for i, change := range change {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprint("state ", i)
		if _, err := larder.Save(t.Context(), key, []larder.Directory{{Path: dir, Name: "tree"}}, []larder.Target{b.target}, save); err != nil {
			t.Fatal(err)
		}
		for _, snapshots := range []string{"", b.snapshots} {
			for _, into := range []string{t.TempDir(), over} {
				restore.Into, restore.Snapshots = into, snapshots
				if _, err := larder.Restore(t.Context(), key, []larder.Target{b.target}, restore); err != nil {
					t.Fatalf("Restore(%s) = %v", key, err)
				}
				same(t, dir, filepath.Join(into, "tree"))
			}
		}
	}
}

// TestOtherProgramsReadLayers lets independent programs extract layers as they
// are stored, in every compression.
func TestOtherProgramsReadLayers(t *testing.T) {
	dir := torture(t)
	commands := map[string][]string{
		"bsdtar": {program(t, "bsdtar"), "-xpf"},
		"tar":    {program(t, "tar"), "--xattrs", "--xattrs-include=*", "-xpf"},
	}
	program(t, "zstd") // which GNU tar runs
	for _, compression := range []string{"zstd", "gzip", "uncompressed"} {
		b := newBed(t)
		opts := larder.SaveOptions{Compression: compress.Compression(compression), Keep: archive.WriteOptions{Owners: os.Geteuid() == 0, Xattrs: true}, PackSize: 1 << 30}
		if _, err := larder.Save(t.Context(), "k", []larder.Directory{{Path: dir, Name: "tree"}}, []larder.Target{b.target}, opts); err != nil {
			t.Fatal(err)
		}
		layers := inspect(t, larder.Target{Backend: b.target.Backend, Ref: "main.dirs"}).Layers
		if len(layers) != 1 {
			t.Fatalf("%d layers, want one", len(layers))
		}
		file := filepath.Join(t.TempDir(), "layer")
		download(t, b.target, blob.Descriptor{Digest: layers[0].Digest, Size: layers[0].Size}, file)
		for name, command := range commands {
			into := t.TempDir()
			args := slices.Concat(command[1:], []string{file, "-C", into})
			if name == "tar" && compression != "uncompressed" {
				args = append([]string{"--" + compression}, args...)
			}
			if out, err := exec.CommandContext(t.Context(), command[0], args...).CombinedOutput(); err != nil {
				t.Errorf("%s %s: %v\n%s", name, compression, err, out)
			}
			// The time of the directory itself is not for bsdtar to set.
			if info, err := os.Stat(dir); err != nil || os.Chtimes(into, time.Time{}, info.ModTime()) != nil {
				t.Fatal(err)
			}
			same(t, dir, into)
		}
	}
}

func download(tb testing.TB, from larder.Target, d blob.Descriptor, to string) {
	tb.Helper()
	r, err := from.Backend.Open(tb.Context(), d, 0, -1)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close(), os.WriteFile(to, data, 0o600)); err != nil {
		tb.Fatal(err)
	}
}
