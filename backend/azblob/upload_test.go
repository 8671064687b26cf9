package azblob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/azuretest"
)

// TestUploadInBlocks shows that large blobs go up in blocks, from streams and
// files alike, and come back.
func TestUploadInBlocks(t *testing.T) {
	data := content(1, 9500)
	file := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]blob.Source{"bytes": blob.Bytes(data), "stream": stream(data), "file": blob.File(file)} {
		t.Run(name, func(t *testing.T) {
			s, opts := fake(t, azuretest.Options{})
			opts.BlockSize = 1000
			b := open(t, opts)
			if err := b.Put(t.Context(), describe(data), src); err != nil {
				t.Fatalf("Put() = %v, want nil", err)
			}
			if diff := cmp.Diff(map[string]int{"Put Block": 10, "Put Block List": 1}, ops(s)); diff != "" {
				t.Errorf("Put() differs (-want +got):\n%s", diff)
			}
			if got, err := read(t.Context(), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
				t.Errorf("Open() = %d bytes, %v, want what was put", len(got), err)
			}
		})
	}
}

// TestUploadIsVerified shows that content which is not what it should be never
// becomes visible, however it goes up, and what was there remains.
func TestUploadIsVerified(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for _, size := range []int{500, 9500} {
		good := content(1, size)
		wrong := bytes.Clone(good)
		wrong[size-1]++
		for name, tt := range map[string]struct {
			src  blob.Source
			want error
		}{
			"another digest": {stream(wrong), backend.ErrCorrupt},
			"too short":      {stream(good[:size-1]), backend.ErrCorrupt},
			"too long":       {stream(append(bytes.Clone(good), 'x')), backend.ErrCorrupt},
			"broken source": {blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(bytes.NewReader(good[:size/2]), failingReader{broken})), nil
			}), broken},
		} {
			s, opts := fake(t, azuretest.Options{})
			opts.BlockSize = 1000
			b := open(t, opts)
			err := b.Put(t.Context(), describe(good), tt.src)
			if _, temporary := backend.Temporary(err); !errors.Is(err, tt.want) || temporary {
				t.Errorf("Put(%d bytes, %s) = %v, want %v for good", size, name, err, tt.want)
			}
			if got := s.Count("Put Block List"); got != 0 {
				t.Errorf("Put(%d bytes, %s) has committed, want no request for that", size, name)
			}
			if names := s.Names("cache"); len(names) > 0 {
				t.Errorf("Put(%d bytes, %s) leaves %q, want nothing", size, name, names)
			}
		}
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// TestUploadReplacesDamage puts a blob where one of another size is.
func TestUploadReplacesDamage(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	opts.BlockSize = 1000
	b := open(t, opts)
	for _, size := range []int{500, 9500} {
		data := content(1, size)
		key := "blobs/" + describe(data).Digest.String()
		s.Put("cache", key, []byte("damaged"))
		put(t, b, data)
		if got, _ := s.Get("cache", key); !bytes.Equal(got, data) {
			t.Errorf("Put(%d bytes over a damaged blob) stores %d bytes, want them all", size, len(got))
		}
	}
}

// TestCancellation ends an upload in its middle: nothing is to be seen.
func TestCancellation(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	opts.BlockSize = 1000
	b := open(t, opts)
	ctx, cancel := context.WithCancel(t.Context())
	s.After = func(op string) {
		if op == "Put Block" {
			cancel()
		}
	}
	data := content(1, 50_000)
	if err := b.Put(ctx, describe(data), stream(data)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put(canceled) = %v, want %v", err, context.Canceled)
	}
	if names := s.Names("cache"); len(names) > 0 {
		t.Errorf("Put(canceled) leaves %q, want nothing", names)
	}
}

// TestTooManyBlocks shows that blobs of many blocks get larger ones.
func TestTooManyBlocks(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	opts.BlockSize = 10
	b := open(t, opts)
	data := content(1, 600_000) // 60,000 blocks
	put(t, b, data)
	if got := s.Count("Put Block"); got > 50_000 {
		t.Errorf("Put() took %d blocks, want at most 50,000", got)
	}
}
