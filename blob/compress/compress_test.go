package compress_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
)

func gzipOf(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func zstdOf(tb testing.TB, data []byte) []byte {
	tb.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func text(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	out := make([]byte, 0, n+20)
	for len(out) < n {
		out = strconv.AppendUint(out, random.Uint64N(1_000_000), 10)
		out = append(out, " larder "...)
	}
	return out[:n]
}

func TestReaderDecompressesWhateverItIs(t *testing.T) {
	data := text(300_000)
	two := append(gzipOf(t, data[:1000]), gzipOf(t, data[1000:])...)
	skippable := append([]byte{0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'}, zstdOf(t, data)...)
	tests := []struct {
		name  string
		input []byte
		want  []byte
		how   compress.Compression
	}{
		{"plain", data, data, compress.Uncompressed},
		{"empty", nil, nil, compress.Uncompressed},
		{"one byte", []byte("x"), []byte("x"), compress.Uncompressed},
		{"gzip", gzipOf(t, data), data, compress.Gzip},
		{"gzip of nothing", gzipOf(t, nil), nil, compress.Gzip},
		{"gzip in members, as eStargz", two, data, compress.Gzip},
		{"gzip and an empty member", append(gzipOf(t, data), gzipOf(t, nil)...), data, compress.Gzip},
		{"gzip and something else", append(gzipOf(t, data), "garbage"...), data, compress.Gzip},
		{"gzip and half a magic number", append(gzipOf(t, data), 0x1f), data, compress.Gzip},
		{"zstd", zstdOf(t, data), data, compress.Zstd},
		{"zstd in frames", append(zstdOf(t, data[:7]), zstdOf(t, data[7:])...), data, compress.Zstd},
		{"zstd after a skippable frame", skippable, data, compress.Zstd},
	}
	for _, tt := range tests {
		for _, in := range []io.Reader{bytes.NewReader(tt.input), iotest.OneByteReader(bytes.NewReader(tt.input)), iotest.DataErrReader(bytes.NewReader(tt.input))} {
			r, err := compress.NewReader(in, compress.Options{})
			if err != nil {
				t.Errorf("%s: NewReader() = %v", tt.name, err)
				continue
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, tt.want) || r.Compression() != tt.how || r.Size() != int64(len(tt.want)) {
				t.Errorf("%s: read %d bytes (Size %d) of %s, %v, want %d of %s", tt.name, len(got), r.Size(), r.Compression(), err, len(tt.want), tt.how)
			}
			if err := r.Close(); err != nil {
				t.Errorf("%s: Close() = %v", tt.name, err)
			}
		}
	}
}

func TestReaderTellsDamageFromFailure(t *testing.T) {
	data := text(300_000)
	for name, whole := range map[string][]byte{"gzip": gzipOf(t, data), "zstd": zstdOf(t, data)} {
		flipped := bytes.Clone(whole)
		flipped[len(flipped)/2] ^= 0x40
		for how, input := range map[string][]byte{"cut": whole[:len(whole)-10], "header only": whole[:5], "flipped": flipped} {
			if _, _, err := compress.DiffID(bytes.NewReader(input), compress.Options{}); !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("%s, %s: DiffID() = %v, want %v", name, how, err, blob.ErrCorrupt)
			}
		}
		header := []byte("\x1f\x8b\b\x10000000") // cut before the comment that its flags announce
		for how, input := range map[string][]byte{"first header": header, "second header": append(gzipOf(t, data), header...)} {
			if _, _, err := compress.DiffID(bytes.NewReader(input), compress.Options{}); !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("gzip cut in the %s: DiffID() = %v, want %v", how, err, blob.ErrCorrupt)
			}
		}
		broken := errors.New("cable cut")
		src := io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), iotest.ErrReader(broken))
		if _, _, err := compress.DiffID(src, compress.Options{}); !errors.Is(err, broken) || errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("%s: DiffID() of a failing source = %v, want %v alone", name, err, broken)
		}
	}
}

func TestReaderBoundsWhatItYields(t *testing.T) {
	zeros := make([]byte, 8<<20)
	tests := []struct {
		name string
		opts compress.Options
		want error
	}{
		{"default ratio", compress.Options{}, blob.ErrTooLarge},
		{"high ratio", compress.Options{MaxExpansion: 100_000}, nil},
		{"no ratio", compress.Options{MaxExpansion: -1}, nil},
		{"size", compress.Options{MaxExpansion: -1, MaxSize: int64(len(zeros)) - 1}, blob.ErrTooLarge},
		{"just the size", compress.Options{MaxExpansion: -1, MaxSize: int64(len(zeros))}, nil},
		{"no bound", compress.Options{MaxExpansion: -1, MaxSize: -1}, nil},
	}
	for _, tt := range tests {
		for name, input := range map[string][]byte{"gzip": gzipOf(t, zeros), "zstd": zstdOf(t, zeros)} {
			r, err := compress.NewReader(bytes.NewReader(input), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, r)
			if !errors.Is(err, tt.want) {
				t.Errorf("%s, %s: read %d bytes, %v, want %v", tt.name, name, n, err, tt.want)
			}
			r.Close()
		}
	}
}

func TestReaderRefusesHugeWindows(t *testing.T) {
	// A frame header (RFC 8878, 3.1.1.1) that asks for a window of 2 GiB.
	header := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := compress.DiffID(bytes.NewReader(append(header, make([]byte, 100)...)), compress.Options{})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("DiffID() = %v, want %v", err, blob.ErrCorrupt)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("DiffID() of 106 bytes allocated %d bytes", got)
	}
}

func TestDiffIDIsThatOfTheContent(t *testing.T) {
	data := text(100_000)
	want := digest.FromBytes(data)
	for name, input := range map[string][]byte{"plain": data, "gzip": gzipOf(t, data), "zstd": zstdOf(t, data)} {
		got, size, err := compress.DiffID(bytes.NewReader(input), compress.Options{})
		if err != nil || got != want || size != int64(len(data)) {
			t.Errorf("%s: DiffID() = %s, %d, %v, want %s, %d", name, got, size, err, want, len(data))
		}
	}
}

func TestDiffIDLeavesTheVerdictToAVerifyingSource(t *testing.T) {
	data := text(100_000)
	whole := append(gzipOf(t, data), "trailing"...)
	desc := blob.Describe("", whole)
	verified := blob.NewReader(io.NopCloser(bytes.NewReader(whole)), desc)
	if _, _, err := compress.DiffID(verified, compress.Options{}); err != nil {
		t.Errorf("DiffID() with trailing bytes = %v", err)
	}
	altered := bytes.Clone(whole)
	altered[len(altered)-1] ^= 1
	verified = blob.NewReader(io.NopCloser(bytes.NewReader(altered)), desc)
	if _, _, err := compress.DiffID(verified, compress.Options{}); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("DiffID() with altered trailing bytes = %v, want %v", err, blob.ErrCorrupt)
	}
	altered = bytes.Clone(whole)
	altered[20] ^= 1
	verified = blob.NewReader(io.NopCloser(bytes.NewReader(altered)), desc)
	if _, _, err := compress.DiffID(verified, compress.Options{}); err == nil || !strings.Contains(err.Error(), "content has digest") {
		t.Errorf("DiffID() of altered data = %v, want the source's verdict", err)
	}
}

func TestMediaTypes(t *testing.T) {
	for _, c := range []compress.Compression{compress.Uncompressed, compress.Gzip, compress.Zstd} {
		for _, mediaType := range []string{c.MediaType(), c.DockerMediaType()} {
			if got, ok := compress.OfMediaType(mediaType); !ok || got != c {
				t.Errorf("OfMediaType(%q) = %s, %t, want %s", mediaType, got, ok, c)
			}
		}
	}
	tests := map[string]compress.Compression{
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": compress.Gzip,
		"application/vnd.oci.image.layer.nondistributable.v1.tar":      compress.Uncompressed,
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    compress.Gzip,
		"application/octet-stream":                                     "",
		"":                                                             "",
	}
	for mediaType, want := range tests {
		if got, ok := compress.OfMediaType(mediaType); got != want || ok != (want != "") {
			t.Errorf("OfMediaType(%q) = %q, %t, want %q", mediaType, got, ok, want)
		}
	}
}

func FuzzDiffID(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("plain"))
	f.Add(gzipOf(f, text(1000)))
	f.Add(zstdOf(f, text(1000)))
	f.Add(append(gzipOf(f, text(10)), gzipOf(f, text(10))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		opts := compress.Options{MaxSize: 1 << 20}
		d, size, err := compress.DiffID(bytes.NewReader(data), opts)
		switch {
		case err == nil && (blob.CheckDigest(d) != nil || size > opts.MaxSize):
			t.Errorf("DiffID() = %q, %d", d, size)
		case err != nil && !errors.Is(err, blob.ErrCorrupt) && !errors.Is(err, blob.ErrTooLarge):
			t.Errorf("DiffID() = %v, want a kind", err)
		}
	})
}

func BenchmarkDiffID(b *testing.B) {
	data := text(8 << 20)
	for name, input := range map[string][]byte{"plain": data, "gzip": gzipOf(b, data), "zstd": zstdOf(b, data)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := compress.DiffID(bytes.NewReader(input), compress.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleDiffID() {
	layer := []byte("a tar archive, were this a real layer")
	diffID, size, err := compress.DiffID(bytes.NewReader(layer), compress.Options{})
	fmt.Println(diffID[:19], size, err)
	// Output: sha256:c27974fb7ef7 37 <nil>
}
