package local

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// nobody is a user without any rights of its own.
const nobody = 65534

// asNobody calls do with the access rights to files of an ordinary user, even
// if the test is run by root, to whom nothing is denied. The thread that lost
// its rights ends with the goroutine.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := errors.Join(unix.Setfsgid(nobody), unix.Setfsuid(nobody)); err != nil {
			t.Error(err)
			return
		}
		do()
	}()
	<-done
}

// reachable returns a temporary directory that every user can get to.
func reachable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func chmod(t *testing.T, mode os.FileMode, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(path, 0o755) })
	}
}

func TestDirectoryWithoutWriteAccess(t *testing.T) {
	b := testOpen(t, filepath.Join(reachable(t), "layout"))
	put(t, b, "content")
	if err := putOne(t, b); err != nil {
		t.Fatal(err)
	}
	chmod(t, 0o555, b.Dir(), b.blobs(), b.path(privateDir))
	asNobody(t, func() {
		wantContent(t, b, "content")
		if r, err := b.GetRef(t.Context(), "main"); err != nil || string(r.Data) != "1" {
			t.Errorf("GetRef(main) = %q, %v, want 1", r.Data, err)
		}
		for info, err := range b.ListRefs(t.Context()) {
			if info.Name != "main" || err != nil {
				t.Errorf("ListRefs() yields %v, %v, want main", info, err)
			}
		}
		wantWritesFail(t, b, backend.ErrDenied)
	})
}

// wantWritesFail tries everything that would change the directory.
func wantWritesFail(t *testing.T, b *Backend, want error) {
	t.Helper()
	_, putRefErr := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("2")}, backend.Always)
	for op, err := range map[string]error{
		"Put":       b.Put(t.Context(), doc("new"), blob.Bytes([]byte("new"))),
		"Delete":    b.Delete(t.Context(), doc("1").Digest),
		"PutRef":    putRefErr,
		"DeleteRef": b.DeleteRef(t.Context(), "main", backend.Always),
	} {
		if !errors.Is(err, want) {
			t.Errorf("%s() = %v, want %v", op, err, want)
		}
	}
	wantNoTemps(t, b)
}

func TestUnreadableDirectory(t *testing.T) {
	dir := filepath.Join(reachable(t), "layout")
	b := testOpen(t, dir)
	put(t, b, "content")
	chmod(t, 0, dir)
	asNobody(t, func() {
		_, getErr := b.GetRef(t.Context(), "main")
		_, openErr := b.Open(t.Context(), doc("content"), 0, -1)
		_, statErr := b.stat(t.Context(), doc("content").Digest)
		for op, err := range map[string]error{
			"GetRef": getErr, "Open": openErr, "Stat": fail("stat", "", statErr),
			"Put": b.Put(t.Context(), doc("content"), unread(t)),
		} {
			if !errors.Is(err, backend.ErrDenied) {
				t.Errorf("%s() = %v, want %v", op, err, backend.ErrDenied)
			}
		}
		for info, err := range b.List(t.Context()) {
			if !errors.Is(err, backend.ErrDenied) {
				t.Errorf("List() yields %v, %v, want %v", info, err, backend.ErrDenied)
			}
		}
	})
}

// TestBlobsOfOthersAreRenewed shows that the age of a blob starts anew although
// only the owner of a file may set its times: it is replaced.
func TestBlobsOfOthersAreRenewed(t *testing.T) {
	b := testOpen(t, filepath.Join(reachable(t), "layout"))
	put(t, b, "content")
	path := b.blobPath(doc("content").Digest)
	if err := os.Chtimes(path, b.opts.Now().AddDate(-1, 0, 0), b.opts.Now().AddDate(-1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	chmod(t, 0o777, b.blobs(), b.path(privateDir))
	start := b.opts.Now()
	asNobody(t, func() {
		put(t, b, "content")
		wantContent(t, b, "content")
	})
	info, err := os.Stat(path)
	if err != nil || info.ModTime().Before(start) {
		t.Errorf("time of the blob = %v, %v, want %v or later", info.ModTime(), err, start)
	}
}

// mount mounts a small file system of its own, or says why that is impossible.
func mount(t *testing.T, flags uintptr, options string) (dir string, err error) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("larder-test", dir, "tmpfs", flags, options); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, nil
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir, err := mount(t, 0, "size=1m")
	if err != nil {
		t.Skipf("mount: %v; TestKinds and TestDirectoryWithoutWriteAccess stand in", err)
	}
	b := testOpen(t, filepath.Join(dir, "layout"))
	put(t, b, "content")
	if err := putOne(t, b); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	wantContent(t, b, "content")
	if r, err := b.GetRef(t.Context(), "main"); err != nil || string(r.Data) != "1" {
		t.Errorf("GetRef(main) = %q, %v, want 1", r.Data, err)
	}
	wantWritesFail(t, b, backend.ErrReadOnly)
}

func TestFullDisk(t *testing.T) {
	dir, err := mount(t, 0, "size=16m")
	if err != nil {
		t.Skipf("mount: %v; TestFullDiskInjected stands in", err)
	}
	b := testOpen(t, filepath.Join(dir, "layout"))
	put(t, b, "content")
	if err := putOne(t, b); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 17<<20)
	if err := b.Put(t.Context(), doc(large), blob.Bytes([]byte(large))); !errors.Is(err, backend.ErrLimited) {
		t.Errorf("Put(17 MiB) = %v, want %v", err, backend.ErrLimited)
	}
	wantNothingOf(t, b, large)
	// Without a byte left, refs stay as they are.
	fillDisk(t, dir)
	wantFull(t, b)
	// The disk has space again, and everything works.
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	put(t, b, strings.Repeat("y", 1<<20))
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("2")}, backend.Always); err != nil {
		t.Errorf("PutRef(main) = %v, want nil", err)
	}
}

func wantFull(t *testing.T, b *Backend) {
	t.Helper()
	_, err := b.PutRef(t.Context(), "main", backend.Document{Data: make([]byte, 8192)}, backend.Always)
	if !errors.Is(err, backend.ErrLimited) {
		t.Errorf("PutRef(full) = %v, want %v", err, backend.ErrLimited)
	}
	if r, err := b.GetRef(t.Context(), "main"); err != nil || string(r.Data) != "1" {
		t.Errorf("GetRef(main) = %q, %v, want 1", r.Data, err)
	}
	wantNoTemps(t, b)
}

// fillDisk uses up all space of a file system.
func fillDisk(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk ends with %v, want %v", err, syscall.ENOSPC)
	}
}

// TestOpenDoesNotWaitForPipes would hang if it were broken.
func TestOpenDoesNotWaitForPipes(t *testing.T) {
	b := testLayout(t, "{}")
	put(t, b, "other")
	path := b.blobPath(doc("content").Digest)
	if err := unix.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(t.Context(), doc("content"), 0, -1); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Open(pipe) = %v, want %v", err, backend.ErrNotFound)
	}
	put(t, b, "content")
	wantContent(t, b, "content")
}

// TestRootKeepsTheOwnerOfTheIndex shows that a privileged writer does not lock
// BuildKit, which writes in place, out of the index of an ordinary user.
func TestRootKeepsTheOwnerOfTheIndex(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can write the files of another user as its own")
	}
	b := testLayout(t, "{}")
	if err := os.Chown(b.indexPath(), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if err := putOne(t, b); err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if err := unix.Stat(b.indexPath(), &stat); err != nil || stat.Uid != nobody {
		t.Errorf("owner of index.json = %d, %v, want %d", stat.Uid, err, nobody)
	}
}

// TestReaderUsesTheKernel shows that a copy to a file moves no byte through
// this process: the file's ReadFrom is called with a file it knows.
func TestReaderUsesTheKernel(t *testing.T) {
	b := testLayout(t, "{}")
	put(t, b, "content")
	r, err := b.Open(t.Context(), doc("content"), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var from io.Reader
	if _, err := io.Copy(readerFrom(func(r io.Reader) { from = r }), r); err != nil {
		t.Fatal(err)
	}
	limited, ok := from.(*io.LimitedReader)
	if !ok {
		t.Fatalf("ReadFrom is given %T, want *io.LimitedReader", from)
	}
	if _, ok := limited.R.(*os.File); !ok {
		t.Errorf("ReadFrom is given a limited %T, want *os.File", limited.R)
	}
}

type readerFrom func(io.Reader)

func (f readerFrom) Write(p []byte) (int, error) { return len(p), nil }

func (f readerFrom) ReadFrom(r io.Reader) (int64, error) {
	f(r)
	return io.Copy(io.Discard, r)
}
