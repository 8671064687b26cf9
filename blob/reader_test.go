package blob_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/larder-build/larder/blob"
)

// closable counts how often it is closed.
type closable struct {
	io.Reader
	closed int
	err    error
}

func (c *closable) Close() error {
	c.closed++
	return c.err
}

// deliveries are the ways in which a reader may hand out the same bytes.
var deliveries = map[string]func(io.Reader) io.Reader{
	"at once":           func(r io.Reader) io.Reader { return r },
	"one byte a read":   iotest.OneByteReader,
	"half of each read": iotest.HalfReader,
	"end with the data": iotest.DataErrReader,
	"empty reads":       func(r io.Reader) io.Reader { return &hesitant{r: r} },
}

// hesitant returns no byte and no error at every other read.
type hesitant struct {
	r     io.Reader
	count int
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.count++; h.count%2 == 1 {
		return 0, nil
	}
	return h.r.Read(p)
}

// sized returns d, and d as it is when the size is not known.
func sized(d blob.Descriptor) map[string]blob.Descriptor {
	unsized := d
	unsized.Size = -1
	return map[string]blob.Descriptor{"sized": d, "unsized": unsized}
}

// readIn reads r to its end in buffers of the given size.
func readIn(r io.Reader, size int) (data []byte, err error) {
	buf := make([]byte, size)
	for err == nil {
		var n int
		n, err = r.Read(buf)
		data = append(data, buf[:n]...)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data, err
}

func TestReaderGood(t *testing.T) {
	for _, content := range []string{"", "x", "ab", "hello, world", strings.Repeat("0123456789", 1000)} {
		for kind, d := range sized(blob.Describe("", []byte(content))) {
			for delivery, deliver := range deliveries {
				for _, size := range []int{1, 2, 3, 7, len(content), len(content) + 1, 64 << 10} {
					name := fmt.Sprintf("%d bytes/%s/%s/buffer of %d", len(content), kind, delivery, size)
					r := blob.NewReader(io.NopCloser(deliver(strings.NewReader(content))), d)
					if got, err := readIn(r, max(size, 1)); string(got) != content || err != nil {
						t.Errorf("%s: read %d bytes, %v, want the content and nil", name, len(got), err)
					}
					if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
						t.Errorf("%s: Read after the end = %d, %v, want 0, EOF", name, n, err)
					}
				}
			}
		}
	}
}

func TestReaderConformsToIO(t *testing.T) {
	content := []byte(strings.Repeat("0123456789", 500))
	for kind, d := range sized(blob.Describe("", content)) {
		t.Run(kind, func(t *testing.T) {
			r := blob.NewReader(io.NopCloser(bytes.NewReader(content)), d)
			if err := iotest.TestReader(r, content); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReaderBad reads wrong content in every size of buffer: the last byte is
// never handed out, and the error is met again at the next read.
func TestReaderBad(t *testing.T) {
	const content = "0123456789abcdef"
	tests := []struct {
		name string
		want string // what the descriptor says
		got  string // what is read
	}{
		{"first byte", content, "X" + content[1:]},
		{"last byte", content, content[:15] + "X"},
		{"one byte short", content, content[:15]},
		{"one byte long", content, content + "X"},
		{"much too long", content, content + strings.Repeat("X", 100)},
		{"nothing", content, ""},
		{"something for nothing", "", "X"},
		{"one byte wrong", "a", "b"},
	}
	for _, test := range tests {
		for kind, d := range sized(blob.Describe("", []byte(test.want))) {
			t.Run(test.name+"/"+kind, func(t *testing.T) {
				for delivery, deliver := range deliveries {
					for size := 1; size <= 40; size++ {
						r := blob.NewReader(io.NopCloser(deliver(strings.NewReader(test.got))), d)
						got, err := readIn(r, size)
						if !errors.Is(err, blob.ErrCorrupt) {
							t.Fatalf("%s, buffer of %d: read %q, %v, want ErrCorrupt", delivery, size, got, err)
						}
						if limit := withheldFrom(d, test.got); len(got) > limit {
							t.Errorf("%s, buffer of %d: read %q, want at most %d bytes", delivery, size, got, limit)
						}
						if n, again := r.Read(make([]byte, size)); n != 0 || !errors.Is(again, err) {
							t.Errorf("%s, buffer of %d: Read after %v = %d, %v, want the same error", delivery, size, err, n, again)
						}
					}
				}
			})
		}
	}
}

// withheldFrom is how many bytes of bad content may be handed out.
func withheldFrom(d blob.Descriptor, got string) int {
	if d.Size >= 0 {
		return max(0, min(int(d.Size)-1, len(got)))
	}
	return max(0, len(got)-1)
}

func TestReaderKeepsErrors(t *testing.T) {
	broken := errors.New("connection reset")
	content := []byte("0123456789")
	for kind, d := range sized(blob.Describe("", content)) {
		for after := 0; after <= len(content); after++ {
			src := io.MultiReader(bytes.NewReader(content[:after]), iotest.ErrReader(broken))
			r := blob.NewReader(io.NopCloser(src), d)
			got, err := readIn(r, 4)
			if !errors.Is(err, broken) || errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("%s: read over an error after %d bytes = %v, want %v", kind, after, err, broken)
			}
			if len(got) == len(content) {
				t.Errorf("%s: read over an error after %d bytes = %q, want the last byte withheld", kind, after, got)
			}
			if _, again := r.Read(make([]byte, 4)); !errors.Is(again, broken) {
				t.Errorf("%s: the next Read = %v, want %v again", kind, again, broken)
			}
		}
	}
}

// TestReaderSaysWhat checks that the error names the blob and what is wrong.
func TestReaderSaysWhat(t *testing.T) {
	d := blob.Describe("", []byte("good"))
	tests := []struct{ name, got, want string }{
		{"short", "goo", "has 3 bytes, want 4"},
		{"long", "goods", "has more than the 4 bytes wanted"},
		{"other", "evil", "content has digest sha256:" + hexOf("evil")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := io.ReadAll(blob.NewReader(io.NopCloser(strings.NewReader(test.got)), d))
			if want := "blob " + d.Digest.String() + ": corrupt: " + test.want; err == nil || err.Error() != want {
				t.Errorf("ReadAll = %v, want %s", err, want)
			}
		})
	}
}

func TestReaderIsLazy(t *testing.T) {
	src := &closable{Reader: iotest.ErrReader(errors.New("touched"))}
	r := blob.NewReader(src, blob.Describe("", nil))
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("Read of no bytes = %d, %v, want 0, nil", n, err)
	}
	if err := r.Close(); err != nil || src.closed != 1 {
		t.Errorf("Close() = %v and closes %d times, want nil, once", err, src.closed)
	}
}

func TestReaderCloseError(t *testing.T) {
	broken := errors.New("close failed")
	r := blob.NewReader(&closable{Reader: strings.NewReader(""), err: broken}, blob.Describe("", nil))
	if err := r.Close(); !errors.Is(err, broken) {
		t.Errorf("Close() = %v, want %v", err, broken)
	}
}

// FuzzReader compares the reader with reading all and judging afterwards.
func FuzzReader(f *testing.F) {
	f.Add([]byte("hello"), []byte("hello"), int64(5), uint64(1))
	f.Add([]byte("hello"), []byte("hellO"), int64(5), uint64(2))
	f.Add([]byte(""), []byte("x"), int64(0), uint64(3))
	f.Add([]byte("hello"), []byte("hello"), int64(-1), uint64(4))
	f.Add([]byte("hello"), []byte("hello!"), int64(6), uint64(5))
	f.Fuzz(func(t *testing.T, want, got []byte, size int64, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		d := blob.Describe("", want)
		d.Size = max(size, -1)
		r := blob.NewReader(io.NopCloser(bytes.NewReader(got)), d)
		var read []byte
		var err error
		for err == nil {
			buf := make([]byte, 1+random.IntN(8))
			var n int
			n, err = r.Read(buf)
			read = append(read, buf[:n]...)
		}
		good := bytes.Equal(want, got) && (d.Size < 0 || d.Size == int64(len(got)))
		switch {
		case good && (!errors.Is(err, io.EOF) || !bytes.Equal(read, got)):
			t.Errorf("read %q, %v, want %q and EOF", read, err, got)
		case !good && !errors.Is(err, blob.ErrCorrupt):
			t.Errorf("read %q, %v, want ErrCorrupt", read, err)
		case !bytes.HasPrefix(got, read):
			t.Errorf("read %q, want a part of %q", read, got)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	content := make([]byte, 8<<20)
	buf := make([]byte, 64<<10)
	for kind, d := range sized(blob.Describe("", content)) {
		b.Run(kind, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				r := blob.NewReader(io.NopCloser(bytes.NewReader(content)), d)
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
