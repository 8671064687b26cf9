package compress_test

import (
	"archive/tar"
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"errors"
	"io"
	"strconv"
	"testing"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"go.uber.org/goleak"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
)

// tarOf returns an archive of one file with data, padded as GNU tar does.
func tarOf(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: "dir/file", Mode: 0o644, Size: int64(len(data))}); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	const record = 10240
	return append(buf.Bytes(), make([]byte, record-buf.Len()%record)...)
}

// written returns data compressed by a writer in writes of step bytes.
func written(tb testing.TB, c compress.Compression, data []byte, step int, opts compress.WriterOptions) ([]byte, compress.Layer) {
	tb.Helper()
	var out bytes.Buffer
	w, err := compress.NewWriter(&out, c, opts)
	if err != nil {
		tb.Fatal(err)
	}
	for rest := data; len(rest) > 0; {
		n, err := w.Write(rest[:min(step, len(rest))])
		if err != nil {
			tb.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes(), w.Layer()
}

var compressions = []compress.Compression{compress.Uncompressed, compress.Gzip, compress.Zstd, compress.EStargz}

func TestWriterWritesWhatReadersRead(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, c := range compressions {
		for _, size := range []int{0, 1, 5_000, 1 << 20, 4<<20 + 7} {
			data := tarOf(t, text(size))
			out, layer := written(t, c, data, 1<<20, compress.WriterOptions{})
			if want := blob.Describe(c.MediaType(), out); layer.MediaType != want.MediaType || layer.Digest != want.Digest || layer.Size != want.Size {
				t.Errorf("%s of %d bytes: Layer() = %v, want %v", c, size, layer.Descriptor, want)
			}
			diffID, n, err := compress.DiffID(bytes.NewReader(out), compress.Options{MaxExpansion: -1})
			if err != nil || diffID != layer.DiffID || n != layer.UncompressedSize {
				t.Errorf("%s of %d bytes: reads as %s, %d, %v, want %s, %d", c, size, diffID, n, err, layer.DiffID, layer.UncompressedSize)
			}
			if c != compress.EStargz && diffID != digest.FromBytes(data) {
				t.Errorf("%s of %d bytes: diffID is %s, want that of the content", c, size, diffID)
			}
		}
	}
}

func TestWriterOfNothingWritesAStream(t *testing.T) {
	readers := map[compress.Compression]func(io.Reader) (io.Reader, error){
		compress.Gzip: func(r io.Reader) (io.Reader, error) { return stdgzip.NewReader(r) },
		compress.Zstd: func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) },
	}
	for c, open := range readers {
		for _, serial := range []bool{false, true} {
			out, _ := written(t, c, nil, 1, compress.WriterOptions{Serial: serial})
			r, err := open(bytes.NewReader(out))
			if err != nil || len(out) == 0 {
				t.Fatalf("%s of nothing has %d bytes, %v", c, len(out), err)
			}
			if got, err := io.ReadAll(r); err != nil || len(got) != 0 {
				t.Errorf("%s of nothing reads as %d bytes, %v", c, len(got), err)
			}
		}
	}
}

func TestWriterIsDeterministic(t *testing.T) {
	data := tarOf(t, text(4<<20+5))
	for _, c := range compressions {
		for _, serial := range []bool{false, true} {
			want, layer := written(t, c, data, len(data), compress.WriterOptions{Concurrency: 1, Serial: serial})
			if got, _ := written(t, c, data, 77_777, compress.WriterOptions{Concurrency: 7, Serial: serial}); !bytes.Equal(got, want) {
				t.Errorf("%s, serial %t: output differs from that of one write on one processor", c, serial)
			}
			if diffID, _, err := compress.DiffID(bytes.NewReader(want), compress.Options{MaxExpansion: -1}); err != nil || diffID != layer.DiffID {
				t.Errorf("%s, serial %t: reads as %s, %v, want %s", c, serial, diffID, err, layer.DiffID)
			}
		}
	}
}

// TestSerialWriterSavesBytes compresses what repeats itself over the bounds of
// parts.
func TestSerialWriterSavesBytes(t *testing.T) {
	block := text(512 << 10)
	data := bytes.Repeat(block, 20)
	for _, c := range []compress.Compression{compress.Gzip, compress.Zstd} {
		parts, _ := written(t, c, data, 1<<20, compress.WriterOptions{})
		whole, _ := written(t, c, data, 1<<20, compress.WriterOptions{Serial: true})
		if len(whole) >= len(parts) {
			t.Errorf("%s: %d bytes as one, want fewer than the %d in parts", c, len(whole), len(parts))
		}
	}
}

func TestWriterPartsCostLittle(t *testing.T) {
	data := text(8 << 20)
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for c, whole := range map[compress.Compression]int{compress.Gzip: len(gzipOf(t, data)), compress.Zstd: len(z.EncodeAll(data, nil))} {
		if out, _ := written(t, c, data, 1<<20, compress.WriterOptions{}); len(out) > whole+whole/100 {
			t.Errorf("%s: %d bytes in parts, %d as one", c, len(out), whole)
		}
	}
}

func TestWriterLevels(t *testing.T) {
	data := tarOf(t, text(300_000))
	for c, levels := range map[compress.Compression][2]int{compress.Gzip: {1, 9}, compress.EStargz: {1, 9}, compress.Zstd: {1, 19}} {
		fast, _ := written(t, c, data, 1<<20, compress.WriterOptions{Level: levels[0]})
		best, _ := written(t, c, data, 1<<20, compress.WriterOptions{Level: levels[1]})
		if len(best) >= len(fast) {
			t.Errorf("%s: level %d has %d bytes, level %d has %d", c, levels[1], len(best), levels[0], len(fast))
		}
	}
	tests := []struct {
		name  string
		c     compress.Compression
		level int
	}{
		{"unknown", "brotli", 0},
		{"none", "", 0},
		{"negative", compress.Gzip, -1},
		{"gzip too high", compress.Gzip, 10},
		{"estargz too high", compress.EStargz, 10},
		{"zstd too high", compress.Zstd, 23},
		{"uncompressed", compress.Uncompressed, 1},
	}
	for _, tt := range tests {
		if _, err := compress.NewWriter(io.Discard, tt.c, compress.WriterOptions{Level: tt.level}); !errors.Is(err, blob.ErrInvalid) {
			t.Errorf("%s: NewWriter(%s, %d) = %v, want %v", tt.name, tt.c, tt.level, err, blob.ErrInvalid)
		}
	}
}

func TestEStargzHasAnIndex(t *testing.T) {
	data := text(100_000)
	out, layer := written(t, compress.EStargz, tarOf(t, data), 1000, compress.WriterOptions{})
	r, err := estargz.Open(io.NewSectionReader(bytes.NewReader(out), 0, int64(len(out))))
	if err != nil {
		t.Fatal(err)
	}
	toc, err := digest.Parse(layer.Annotations[estargz.TOCJSONDigestAnnotation])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.VerifyTOC(toc); err != nil {
		t.Errorf("VerifyTOC() = %v", err)
	}
	file, err := r.OpenFile("dir/file")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(io.NewSectionReader(file, 0, file.Size())); err != nil || !bytes.Equal(got, data) {
		t.Errorf("file reads as %d bytes, %v", len(got), err)
	}
	if got, want := layer.Annotations[estargz.StoreUncompressedSizeAnnotation], strconv.Itoa(len(tarOf(t, data))); got != want {
		t.Errorf("uncompressed size is %s, want %s", got, want)
	}
}

func TestEStargzRefusesWhatIsNoTar(t *testing.T) {
	defer goleak.VerifyNone(t)
	w, err := compress.NewWriter(io.Discard, compress.EStargz, compress.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(text(100_000))
	if closeErr := w.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		t.Error("Close() = nil, want an error")
	}
}

// failing accepts n bytes.
type failing struct {
	n   int
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func TestWriterPassesErrorsOn(t *testing.T) {
	defer goleak.VerifyNone(t)
	full := errors.New("disk full")
	data := tarOf(t, text(6<<20))
	for _, c := range compressions {
		for _, n := range []int{0, 1, 1 << 20, 1<<20 + 1} {
			w, err := compress.NewWriter(&failing{n, full}, c, compress.WriterOptions{Serial: n&1 == 1})
			if err != nil {
				t.Fatal(err)
			}
			for rest := data; err == nil && len(rest) > 0; rest = rest[min(1<<20, len(rest)):] {
				_, err = w.Write(rest[:min(1<<20, len(rest))])
			}
			if err != nil && !errors.Is(err, full) {
				t.Errorf("%s: Write() = %v, want %v", c, err, full)
			}
			for range 2 {
				if err := w.Close(); !errors.Is(err, full) {
					t.Errorf("%s: Close() = %v, want %v", c, err, full)
				}
			}
			w.Abort()
		}
	}
}

func TestAbortReleasesTheWriter(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, c := range compressions {
		for _, size := range []int{0, 1, 5 << 20, 5<<20 + 1} {
			w, err := compress.NewWriter(io.Discard, c, compress.WriterOptions{Serial: size&1 == 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(tarOf(t, text(size))); err != nil {
				t.Fatal(err)
			}
			w.Abort()
			if _, err := w.Write([]byte("x")); err == nil {
				t.Errorf("%s: Write() after Abort() = nil, want an error", c)
			}
			if err := w.Close(); err == nil {
				t.Errorf("%s: Close() after Abort() = nil, want an error", c)
			}
		}
	}
}

func TestRecompressKeepsTheDiffID(t *testing.T) {
	data := tarOf(t, text(2<<20))
	for _, from := range compressions[:3] {
		in, layer := written(t, from, data, 1<<20, compress.WriterOptions{})
		for _, to := range compressions[:3] {
			var out bytes.Buffer
			got, err := compress.Recompress(t.Context(), &out, bytes.NewReader(in), to, compress.Options{}, compress.WriterOptions{})
			if err != nil || got.DiffID != layer.DiffID || got.MediaType != to.MediaType() || got.Digest != digest.FromBytes(out.Bytes()) {
				t.Errorf("Recompress(%s to %s) = %+v, %v, want diffID %s", from, to, got, err, layer.DiffID)
			}
		}
	}
}

func TestRecompressOfAnEStargzLayerDropsTheOldIndexOnlyAsGzip(t *testing.T) {
	in, layer := written(t, compress.EStargz, tarOf(t, text(1000)), 1<<20, compress.WriterOptions{})
	got, err := compress.Recompress(t.Context(), io.Discard, bytes.NewReader(in), compress.Zstd, compress.Options{}, compress.WriterOptions{})
	if err != nil || got.DiffID != layer.DiffID || got.Annotations != nil {
		t.Errorf("Recompress() = %+v, %v, want the tar with its index", got, err)
	}
}

func TestRecompressFails(t *testing.T) {
	defer goleak.VerifyNone(t)
	data := tarOf(t, text(2<<20))
	in := gzipOf(t, data)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	flipped := bytes.Clone(in)
	flipped[len(in)-3] ^= 1
	desc := blob.Describe("", append(bytes.Clone(in), "tail"...))
	verified := blob.NewReader(io.NopCloser(bytes.NewReader(append(bytes.Clone(in), "tale"...))), desc)
	tests := []struct {
		name string
		ctx  context.Context
		src  io.Reader
		opts compress.Options
		want error
	}{
		{"context ended", ended, bytes.NewReader(in), compress.Options{}, context.Canceled},
		{"damaged", t.Context(), bytes.NewReader(flipped), compress.Options{}, blob.ErrCorrupt},
		{"damaged behind the stream", t.Context(), verified, compress.Options{}, blob.ErrCorrupt},
		{"too large", t.Context(), bytes.NewReader(in), compress.Options{MaxSize: 1000}, blob.ErrTooLarge},
	}
	for _, tt := range tests {
		for _, c := range compressions {
			if _, err := compress.Recompress(tt.ctx, io.Discard, tt.src, c, tt.opts, compress.WriterOptions{}); !errors.Is(err, tt.want) {
				t.Errorf("%s: Recompress(%s) = %v, want %v", tt.name, c, err, tt.want)
			}
			if s, ok := tt.src.(io.Seeker); ok {
				if _, err := s.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
			} else {
				break
			}
		}
	}
}

func FuzzWriter(f *testing.F) {
	f.Add([]byte("some content"), 3)
	f.Add([]byte(nil), 1)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		for _, c := range compressions[:3] {
			out, layer := written(t, c, data, max(step, 1), compress.WriterOptions{Concurrency: 2})
			if diffID, _, err := compress.DiffID(bytes.NewReader(out), compress.Options{MaxExpansion: -1}); c != compress.Uncompressed && (err != nil || diffID != layer.DiffID) {
				t.Errorf("%s: DiffID() = %s, %v, want %s", c, diffID, err, layer.DiffID)
			}
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	data := text(32 << 20)
	for _, c := range compressions[:3] {
		b.Run(string(c), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				written(b, c, data, 1<<20, compress.WriterOptions{})
			}
		})
	}
	b.Run("gzip, one stream", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			z := gzip.NewWriter(io.Discard)
			if _, err := z.Write(data); err != nil {
				b.Fatal(err)
			}
			if err := z.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestResetBeginsAnew has one writer write several layers, one of which it gives
// up: each is what a new writer would have written.
func TestResetBeginsAnew(t *testing.T) {
	defer goleak.VerifyNone(t)
	for n := range 2 * len(compressions) {
		c, serial := compressions[n/2], n%2 == 1
		w, err := compress.NewWriter(io.Discard, c, compress.WriterOptions{Concurrency: 2, Serial: serial})
		if err != nil {
			t.Fatal(err)
		}
		for i, size := range []int{5 << 20, 100, 2 << 20, 0} {
			data := tarOf(t, text(size))
			var out bytes.Buffer
			if err := w.Reset(&out, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
			if i == 2 {
				continue // given up by the next Reset
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			want, layer := written(t, c, data, 1<<20, compress.WriterOptions{Serial: serial})
			if !bytes.Equal(out.Bytes(), want) || w.Layer().Digest != layer.Digest || w.Layer().DiffID != layer.DiffID {
				t.Errorf("%s, layer %d: %s of %d bytes, want %s of %d", c, i, w.Layer().Digest, out.Len(), layer.Digest, len(want))
			}
		}
		if err := w.Reset(io.Discard, []byte("note")); (err == nil) != (c == compress.Zstd) {
			t.Errorf("%s: Reset(note) = %v, want an error unless it is zstd", c, err)
		}
		w.Abort()
		if _, err := w.Write([]byte("late")); err == nil {
			t.Errorf("%s: Write() after Abort = nil, want an error", c)
		}
	}
}
