package blob_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/larder-build/larder/blob"
)

// sources returns each kind of source with the given content.
func sources(t *testing.T, content string) map[string]blob.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]blob.Source{
		"Bytes": blob.Bytes([]byte(content)),
		"File":  blob.File(path),
		"SourceFunc": blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(content)), nil
		}),
	}
}

func TestSourcesOpenAnew(t *testing.T) {
	for name, src := range sources(t, "hello") {
		t.Run(name, func(t *testing.T) {
			first, err := src.Open(t.Context())
			if err != nil {
				t.Fatalf("Open() = %v, want nil", err)
			}
			if _, err := io.CopyN(io.Discard, first, 3); err != nil {
				t.Fatalf("CopyN = %v, want nil", err)
			}
			second, err := src.Open(t.Context())
			if err != nil {
				t.Fatalf("the second Open() = %v, want nil", err)
			}
			if got, err := io.ReadAll(second); string(got) != "hello" || err != nil {
				t.Errorf("ReadAll of the second = %q, %v, want hello", got, err)
			}
			if got, err := io.ReadAll(first); string(got) != "lo" || err != nil {
				t.Errorf("ReadAll of the rest of the first = %q, %v, want lo", got, err)
			}
			if err := errors.Join(first.Close(), second.Close()); err != nil {
				t.Errorf("Close() = %v, want nil", err)
			}
		})
	}
}

func TestSourcesAreConcurrent(t *testing.T) {
	d := blob.Describe("", []byte("hello"))
	for name, src := range sources(t, "hello") {
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if got, err := blob.ReadAll(t.Context(), d, src, 5); string(got) != "hello" || err != nil {
					t.Errorf("%s: ReadAll = %q, %v, want hello", name, got, err)
				}
			})
		}
		group.Wait()
	}
}

func TestSourcesObeyContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, src := range sources(t, "hello") {
		if name == "SourceFunc" {
			continue // obeys as its function does
		}
		if r, err := src.Open(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Open(canceled) = %v, %v, want context.Canceled", name, r, err)
		}
	}
}

// TestSourcesGiveRandomAccess is for stores that send several parts at once.
func TestSourcesGiveRandomAccess(t *testing.T) {
	for name, src := range sources(t, "hello") {
		if name == "SourceFunc" {
			continue
		}
		r, err := src.Open(t.Context())
		if err != nil {
			t.Fatalf("%s: Open() = %v, want nil", name, err)
		}
		at, ok := r.(io.ReaderAt)
		if !ok {
			t.Fatalf("%s: Open() yields %T, want an io.ReaderAt", name, r)
		}
		got := make([]byte, 3)
		if _, err := at.ReadAt(got, 1); string(got) != "ell" || err != nil {
			t.Errorf("%s: ReadAt(1) = %q, %v, want ell", name, got, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: Close() = %v, want nil", name, err)
		}
	}
}

func TestFileYieldsFiles(t *testing.T) {
	r, err := sources(t, "hello")["File"].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, ok := r.(*os.File); !ok {
		t.Errorf("File().Open() yields %T, want *os.File", r)
	}
}

func TestFileMissing(t *testing.T) {
	r, err := blob.File(filepath.Join(t.TempDir(), "none")).Open(t.Context())
	if !errors.Is(err, fs.ErrNotExist) || r != nil {
		t.Errorf("Open(missing) = %v, %v, want nil, fs.ErrNotExist", r, err)
	}
}

func TestReadAll(t *testing.T) {
	d := blob.Describe("", []byte("hello"))
	resized := func(size int64) blob.Descriptor {
		other := d
		other.Size = size
		return other
	}
	broken := errors.New("connection reset")
	tests := []struct {
		name    string
		d       blob.Descriptor
		content io.Reader
		limit   int64
		want    error
	}{
		{"good", d, strings.NewReader("hello"), 5, nil},
		{"below the limit", d, strings.NewReader("hello"), 1000, nil},
		{"above the limit", d, strings.NewReader("hello"), 4, blob.ErrTooLarge},
		{"corrupt", d, strings.NewReader("hellO"), 5, blob.ErrCorrupt},
		{"short", d, strings.NewReader("hell"), 5, blob.ErrCorrupt},
		{"long", d, strings.NewReader("hello!"), 100, blob.ErrCorrupt},
		{"size too small", resized(4), strings.NewReader("hello"), 5, blob.ErrCorrupt},
		{"size unknown", resized(-1), strings.NewReader("hello"), 5, blob.ErrInvalid},
		{"no digest", blob.Descriptor{Size: 5}, strings.NewReader("hello"), 5, blob.ErrInvalid},
		{"broken", d, iotest.ErrReader(broken), 5, broken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &closable{Reader: test.content}
			opened := 0
			src := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) { opened++; return r, nil })
			got, err := blob.ReadAll(t.Context(), test.d, src, test.limit)
			if !errors.Is(err, test.want) {
				t.Fatalf("ReadAll = %q, %v, want %v", got, err, test.want)
			}
			if want := map[bool]string{true: "hello"}[test.want == nil]; string(got) != want {
				t.Errorf("ReadAll = %q, want %q", got, want)
			}
			if r.closed != opened {
				t.Errorf("ReadAll opens %d readers and closes %d", opened, r.closed)
			}
			if refused := errors.Is(err, blob.ErrTooLarge) || errors.Is(err, blob.ErrInvalid); refused && opened > 0 {
				t.Errorf("ReadAll opens the source although it refuses: %v", err)
			}
		})
	}
}

func TestReadAllReportsOpenAndClose(t *testing.T) {
	broken := errors.New("broken")
	d := blob.Describe("", []byte("hello"))
	failOpen := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) { return nil, broken })
	failClose := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		return &closable{Reader: strings.NewReader("hello"), err: broken}, nil
	})
	for name, src := range map[string]blob.Source{"open": failOpen, "close": failClose} {
		if got, err := blob.ReadAll(t.Context(), d, src, 5); !errors.Is(err, broken) || got != nil {
			t.Errorf("ReadAll with a failing %s = %q, %v, want nil, %v", name, got, err, broken)
		}
	}
}
