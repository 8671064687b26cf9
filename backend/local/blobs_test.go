package local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// unread is a source that fails the test when it is read.
func unread(t *testing.T) blob.Source {
	t.Helper()
	return blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		t.Error("the source is opened, want it left alone")
		return nil, errors.New("unread")
	})
}

func put(t *testing.T, b *Backend, content string) {
	t.Helper()
	if err := b.Put(t.Context(), doc(content), blob.Bytes([]byte(content))); err != nil {
		t.Errorf("Put(%s) = %v, want nil", content, err)
	}
}

func wantContent(t *testing.T, b *Backend, content string) {
	t.Helper()
	r, err := b.Open(t.Context(), doc(content), 0, -1)
	if err != nil {
		t.Errorf("Open(%s) = %v, want nil", content, err)
		return
	}
	got, err := io.ReadAll(r)
	if string(got) != content || err != nil || r.Close() != nil {
		t.Errorf("Open(%s) yields %q, %v", content, got, err)
	}
}

func TestPathsAreNoDigests(t *testing.T) {
	b := testLayout(t, "{}")
	writeFile(t, b.path("blobs", "secret"), "secret")
	for _, d := range []blob.Digest{
		"sha256:../secret", "../secret", "sha256:", "", "sha256:" + blob.Digest(strings.Repeat("../", 21)) + "x",
		"sha512:" + blob.Digest(strings.Repeat("0", 128)), "sha256:" + blob.Digest(strings.Repeat("A", 64)),
	} {
		desc := blob.Descriptor{Digest: d, Size: 6}
		_, statErr := b.Stat(t.Context(), d)
		_, openErr := b.Open(t.Context(), desc, 0, -1)
		putErr := b.Put(t.Context(), desc, unread(t))
		deleteErr := b.Delete(t.Context(), d)
		copyErr := b.CopyFrom(t.Context(), b, desc)
		for op, err := range map[string]error{"Stat": statErr, "Open": openErr, "Put": putErr, "Delete": deleteErr, "CopyFrom": copyErr} {
			if !errors.Is(err, backend.ErrInvalid) {
				t.Errorf("%s(%q) = %v, want %v", op, d, err, backend.ErrInvalid)
			}
		}
	}
}

func TestIndexWithPathsAsDigests(t *testing.T) {
	b := testLayout(t, `{"manifests":[{"mediaType":"m","digest":"sha256:../secret","size":6,"annotations":{"org.opencontainers.image.ref.name":"main"}}]}`)
	writeFile(t, b.path("blobs", "secret"), "secret")
	if r, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("GetRef(main) = %q, %v, want %v", r.Data, err, backend.ErrInvalid)
	}
	if err := putOne(t, b); err != nil {
		t.Errorf("PutRef(main) = %v, want the bad ref to be replaced", err)
	}
}

func TestPutReplacesWhatIsNoBlob(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	const content = "content"
	for _, test := range []struct {
		name    string
		prepare func(path, dir string) error
	}{
		{"shorter", func(path, _ string) error { return os.WriteFile(path, []byte("c"), 0o444) }},
		{"longer", func(path, _ string) error { return os.WriteFile(path, []byte("content!"), 0o444) }},
		{"empty", func(path, _ string) error { return os.WriteFile(path, nil, 0o444) }},
		{"dangling link", func(path, dir string) error { return os.Symlink(filepath.Join(dir, "none"), path) }},
		{"link to a shorter file", func(path, dir string) error {
			target := filepath.Join(dir, "shorter")
			return errors.Join(os.WriteFile(target, []byte("c"), 0o644), os.Symlink(target, path))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := testLayout(t, "{}")
			dir := t.TempDir()
			path := b.blobPath(doc(content).Digest)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), test.prepare(path, dir)); err != nil {
				t.Fatal(err)
			}
			put(t, b, content)
			wantContent(t, b, content)
			if shorter, err := os.ReadFile(filepath.Join(dir, "shorter")); err == nil && string(shorter) != "c" {
				t.Errorf("the link's target = %q, want it untouched", shorter)
			}
		})
	}
}

func TestLinkedBlobIsABlob(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	b := testLayout(t, "{}")
	target := filepath.Join(t.TempDir(), "target")
	writeFile(t, target, "content")
	writeFile(t, b.blobPath(doc("other").Digest), "other")
	if err := os.Symlink(target, b.blobPath(doc("content").Digest)); err != nil {
		t.Fatal(err)
	}
	wantContent(t, b, "content")
	if err := b.Put(t.Context(), doc("content"), unread(t)); err != nil {
		t.Errorf("Put(content) = %v, want nil", err)
	}
	if found, err := b.Stat(t.Context(), doc("content").Digest); err != nil || found[doc("content").Digest].Size != 7 {
		t.Errorf("Stat(content) = %v, %v, want 7 bytes", found, err)
	}
	if err := b.Delete(t.Context(), doc("content").Digest); err != nil {
		t.Errorf("Delete(content) = %v, want nil", err)
	}
	if got := readFile(t, target); got != "content" {
		t.Errorf("the link's target = %q, want it untouched", got)
	}
}

func TestDirectoryIsNoBlob(t *testing.T) {
	b := testLayout(t, "{}")
	d := doc("content")
	if err := os.MkdirAll(b.blobPath(d.Digest), 0o755); err != nil {
		t.Fatal(err)
	}
	if found, err := b.Stat(t.Context(), d.Digest); err != nil || len(found) > 0 {
		t.Errorf("Stat(directory) = %v, %v, want nothing", found, err)
	}
	if _, err := b.Open(t.Context(), d, 0, -1); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Open(directory) = %v, want %v", err, backend.ErrNotFound)
	}
	if err := b.Put(t.Context(), d, blob.Bytes([]byte("content"))); err == nil {
		t.Error("Put(over a directory) = nil, want an error")
	}
	wantNoTemps(t, b)
	for info, err := range b.List(t.Context()) {
		t.Errorf("List() yields %v, %v, want nothing", info, err)
	}
}

func TestListSpansManyBatches(t *testing.T) {
	b := testLayout(t, "{}")
	const count = 2*listBatch + 3
	var digests []blob.Digest
	for i := range count {
		content := strings.Repeat("x", i)
		writeFile(t, b.blobPath(doc(content).Digest), content)
		digests = append(digests, doc(content).Digest)
	}
	seen := map[blob.Digest]int{}
	for info, err := range b.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		seen[info.Digest]++
	}
	found, err := b.Stat(t.Context(), digests...)
	if len(seen) != count || len(found) != count || err != nil {
		t.Errorf("List() and Stat() have %d and %d blobs, %v, want %d", len(seen), len(found), err, count)
	}
}

func TestAgesAreOfTheClock(t *testing.T) {
	now := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	b, err := Open(t.TempDir(), Options{NoSync: true, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		put(t, b, "content")
		if err := putOne(t, b); err != nil {
			t.Fatal(err)
		}
		if r, err := b.GetRef(t.Context(), "main"); err != nil || !r.ModTime.Equal(now) {
			t.Errorf("GetRef(main) has the time %v, %v, want %v", r.ModTime, err, now)
		}
		found, err := b.Stat(t.Context(), doc("content").Digest)
		if got := found[doc("content").Digest].ModTime; err != nil || !got.Equal(now) {
			t.Errorf("Stat() has the time %v, %v, want %v", got, err, now)
		}
		now = now.Add(time.Hour)
	}
}

func TestReaderLeavesCopyingToOthers(t *testing.T) {
	b := testLayout(t, "{}")
	content := strings.Repeat("0123456789", 100)
	put(t, b, content)
	for _, test := range []struct {
		name   string
		off, n int64
		want   string
	}{
		{"whole", 0, -1, content},
		{"part", 5, 20, content[5:25]},
		{"nothing", 1000, -1, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := b.Open(t.Context(), doc(content), test.off, test.n)
			if err != nil {
				t.Fatal(err)
			}
			f, n := readerOf(t, r).File()
			at, err := f.Seek(0, io.SeekCurrent)
			if at != test.off || n != int64(len(test.want)) || err != nil {
				t.Errorf("File() is at %d with %d bytes left, %v, want %d, %d", at, n, err, test.off, len(test.want))
			}
			var out bytes.Buffer
			if n, err := readerOf(t, r).WriteTo(&out); out.String() != test.want || n != int64(len(test.want)) || err != nil {
				t.Errorf("WriteTo() = %d, %v with %q, want %q", n, err, out.String(), test.want)
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("Read() after WriteTo = %d, %v, want %v", n, err, io.EOF)
			}
			if err := errors.Join(r.Close(), r.Close()); err != nil {
				t.Errorf("Close() twice = %v, want nil", err)
			}
		})
	}
}

// fastReader is what the readers of this package are beside io.ReadCloser.
type fastReader interface {
	io.WriterTo
	File() (f *os.File, n int64)
}

func readerOf(t *testing.T, r io.Reader) fastReader {
	t.Helper()
	fast, ok := r.(fastReader)
	if !ok {
		t.Fatalf("Open() returns %T, want WriteTo and File", r)
	}
	return fast
}

func TestWriteToObeysItsContext(t *testing.T) {
	b := testLayout(t, "{}")
	put(t, b, "content")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := b.Open(ctx, doc("content"), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	cancel()
	if n, err := readerOf(t, r).WriteTo(io.Discard); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("WriteTo() = %d, %v, want %v", n, err, context.Canceled)
	}
}

// copyClone stands in for a file system whose files can share blocks.
func copyClone(dst, src *os.File) error {
	_, err := io.Copy(io.NewOffsetWriter(dst, 0), io.NewSectionReader(src, 0, 1<<40))
	return err
}

func TestCopyFromClones(t *testing.T) {
	src, dst := testLayout(t, "{}"), testLayout(t, "{}")
	put(t, src, "content")
	dst.clone = copyClone
	if err := dst.CopyFrom(t.Context(), src, doc("content")); err != nil {
		t.Fatalf("CopyFrom(content) = %v, want nil", err)
	}
	wantContent(t, dst, "content")
	wantNoTemps(t, dst)
}

func TestCopyFromVerifies(t *testing.T) {
	for _, content := range []string{"CONTENT", "content!", "conten", ""} {
		src, dst := testLayout(t, "{}"), testLayout(t, "{}")
		writeFile(t, src.blobPath(doc("content").Digest), content)
		dst.clone = copyClone
		if err := dst.CopyFrom(t.Context(), src, doc("content")); !errors.Is(err, backend.ErrCorrupt) {
			t.Errorf("CopyFrom(%q) = %v, want %v", content, err, backend.ErrCorrupt)
		}
		if found, err := dst.Stat(t.Context(), doc("content").Digest); err != nil || len(found) > 0 {
			t.Errorf("Stat() after CopyFrom(%q) = %v, %v, want nothing", content, found, err)
		}
		wantNoTemps(t, dst)
	}
}

func TestCopyFromElsewhereIsUnsupported(t *testing.T) {
	src, dst := testLayout(t, "{}"), testLayout(t, "{}")
	put(t, src, "content")
	dst.clone = func(_, _ *os.File) error { return os.ErrInvalid }
	for name, from := range map[string]backend.Backend{"cannot clone": src, "no directory": struct{ backend.Backend }{src}} {
		if err := dst.CopyFrom(t.Context(), from, doc("content")); !errors.Is(err, backend.ErrUnsupported) {
			t.Errorf("CopyFrom(%s) = %v, want %v", name, err, backend.ErrUnsupported)
		}
	}
	wantNoTemps(t, dst)
	if err := dst.CopyFrom(t.Context(), src, doc("none")); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("CopyFrom(none) = %v, want %v", err, backend.ErrNotFound)
	}
}
