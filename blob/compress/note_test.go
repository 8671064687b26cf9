package compress_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
)

func TestNotes(t *testing.T) {
	data, note := text(100_000), []byte("what is in the layer")
	out, layer := written(t, compress.Zstd, data, 1000, compress.WriterOptions{Note: note})
	if got, err := compress.ReadNote(bytes.NewReader(out), 100); err != nil || !bytes.Equal(got, note) {
		t.Errorf("ReadNote() = %q, %v, want %q", got, err, note)
	}
	if layer.DiffID != digest.FromBytes(data) || layer.Digest != digest.FromBytes(out) {
		t.Errorf("Layer() = %v, want the digests of content and output", layer)
	}
	if diffID, _, err := compress.DiffID(bytes.NewReader(out), compress.Options{}); err != nil || diffID != layer.DiffID {
		t.Errorf("DiffID() = %s, %v, want %s", diffID, err, layer.DiffID)
	}
	if _, err := compress.NewWriter(io.Discard, compress.Gzip, compress.WriterOptions{Note: note}); !errors.Is(err, blob.ErrInvalid) {
		t.Errorf("NewWriter(gzip with a note) = %v, want %v", err, blob.ErrInvalid)
	}
}

func TestReadNoteOfLayersWithoutAndDamaged(t *testing.T) {
	out, _ := written(t, compress.Zstd, text(1000), 1000, compress.WriterOptions{Note: []byte("note")})
	broken := errors.New("cable cut")
	tests := []struct {
		name string
		src  io.Reader
		want error
	}{
		{"empty", bytes.NewReader(nil), nil},
		{"short", bytes.NewReader(out[:5]), nil},
		{"gzip", bytes.NewReader(gzipOf(t, text(1000))), nil},
		{"zstd", bytes.NewReader(zstdOf(t, text(1000))), nil},
		{"cut", bytes.NewReader(out[:10]), blob.ErrCorrupt},
		{"too long", bytes.NewReader([]byte{0x5c, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff}), blob.ErrTooLarge},
		{"failing", iotest.ErrReader(broken), broken},
		{"failing inside", io.MultiReader(bytes.NewReader(out[:10]), iotest.ErrReader(broken)), broken},
	}
	for _, tt := range tests {
		if got, err := compress.ReadNote(tt.src, 100); !errors.Is(err, tt.want) || got != nil {
			t.Errorf("%s: ReadNote() = %q, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

// TestRecompressKeepsNotes takes the note of a zstd layer along, whatever its
// beginning looks like.
func TestRecompressKeepsNotes(t *testing.T) {
	data, note := text(10_000), []byte("what is in the layer")
	for _, note := range [][]byte{note, nil} {
		out, layer := written(t, compress.Zstd, data, 1000, compress.WriterOptions{Note: note})
		var again bytes.Buffer
		got, err := compress.Recompress(t.Context(), &again, bytes.NewReader(out), compress.Zstd, compress.Options{}, compress.WriterOptions{Level: 19})
		if err != nil || got.DiffID != layer.DiffID || got.TarDiffID() != layer.DiffID {
			t.Fatalf("Recompress() = %+v, %v, want the diffID %s", got, err, layer.DiffID)
		}
		if kept, err := compress.ReadNote(bytes.NewReader(again.Bytes()), 100); err != nil || !bytes.Equal(kept, note) {
			t.Errorf("ReadNote() = %q, %v, want %q", kept, err, note)
		}
	}
	for _, short := range []string{"", "tar"} {
		if _, err := compress.Recompress(t.Context(), io.Discard, strings.NewReader(short), compress.Zstd, compress.Options{}, compress.WriterOptions{}); err != nil {
			t.Errorf("Recompress(%q) = %v", short, err)
		}
	}
	broken := errors.New("cable cut")
	if _, err := compress.Recompress(t.Context(), io.Discard, iotest.ErrReader(broken), compress.Zstd, compress.Options{}, compress.WriterOptions{}); !errors.Is(err, broken) {
		t.Errorf("Recompress() = %v, want %v", err, broken)
	}
}
