package compress

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"

	"github.com/klauspost/compress/gzip"

	"github.com/larder-build/larder/blob"
)

// WriterOptions say how a layer is compressed. The zero value compresses with
// the default level on all processors.
type WriterOptions struct {
	// Level is the compression level: 1 to 9 for gzip and estargz, 1 to 22 for
	// zstd, whose levels stand for the nearest of the four that the encoder has.
	// 0 is the default of the compression: 6, and 3 for zstd. Uncompressed has
	// no level.
	Level int
	// Concurrency is how many parts of a layer are compressed at the same time;
	// 0 means as many as there are processors. It does not change the output.
	// Memory grows by about four parts with each; a part is 1 MiB for gzip and
	// 4 MiB for zstd. The parts of an eStargz layer, its files, are compressed one
	// after another.
	Concurrency int
	// Serial compresses a gzip or zstd layer from its first byte to its last
	// rather than in parts: it takes fewer bytes and less work, all of it on one
	// processor at a time, which is right where many layers are written at the same
	// time. The output is another one than that of parts. Concurrency does not
	// matter then.
	Serial bool
	// Note is put ahead of the data of a zstd layer, where [ReadNote] finds it
	// and decompressors pass over it. Other compressions have no such place.
	Note []byte
}

// Highest levels.
const (
	maxGzipLevel = gzip.BestCompression
	maxZstdLevel = 22
)

// CheckLevel returns an error matching [blob.ErrInvalid] unless c is a known
// compression that has this level.
func CheckLevel(c Compression, level int) error {
	limits := map[Compression]int{Uncompressed: 0, Gzip: maxGzipLevel, EStargz: maxGzipLevel, Zstd: maxZstdLevel}
	limit, ok := limits[c]
	switch {
	case !ok:
		return fmt.Errorf("%w: compression %s: want uncompressed, gzip, estargz or zstd", blob.ErrInvalid, blob.Quote(string(c)))
	case limit == 0 && level != 0:
		return fmt.Errorf("%w: compression level %d: %s has no levels", blob.ErrInvalid, level, c)
	case level < 0 || level > limit:
		return fmt.Errorf("%w: compression level %d: want 1 to %d for %s, or 0 for its default", blob.ErrInvalid, level, limit, c)
	}
	return nil
}

// Writer compresses a layer. It is for one goroutine. The same content and
// level give the same output, however it is cut into writes.
type Writer struct {
	compression Compression
	opts        WriterOptions
	encoder     encoder
	content     hash.Hash
	output      hash.Hash
	dst         io.Writer
	dstErr      error
	written     int64
	size        int64
	err         error
}

// encoder is what compresses. finish ends the stream; abort gives it up.
// Either is called once, and no goroutine of the encoder outlives it.
type encoder interface {
	io.Writer
	finish() error
	abort()
}

// reusable is an encoder that has ended and leaves its memory to another.
type reusable interface {
	again(dst io.Writer) encoder
}

// NewWriter returns a writer that compresses what is written to it into dst.
// The caller ends it with Close or Abort. Errors of dst are passed on as they
// are; an unknown compression or level gives an error matching
// [blob.ErrInvalid].
func NewWriter(dst io.Writer, c Compression, opts WriterOptions) (*Writer, error) {
	if err := CheckLevel(c, opts.Level); err != nil {
		return nil, err
	}
	if opts.Concurrency <= 0 {
		opts.Concurrency = runtime.GOMAXPROCS(0)
	}
	w := &Writer{compression: c, opts: opts, content: sha256.New(), output: sha256.New(), dst: dst}
	if err := w.note(opts.Note); err != nil {
		return nil, err
	}
	var err error
	if w.encoder, err = newEncoder(outputOf{w}, c, opts); err != nil {
		return nil, err
	}
	return w, nil
}

// note begins the output with a note, if there is one.
func (w *Writer) note(note []byte) error {
	switch {
	case len(note) == 0:
		return nil
	case w.compression != Zstd:
		return fmt.Errorf("%w: a note of %d bytes: a layer with compression %s has no place for one", blob.ErrInvalid, len(note), w.compression)
	default:
		return writeNote(outputOf{w}, note)
	}
}

// Reset begins another layer, with the same compression and with the memory of the
// one before, which has ended or is given up. After an error the writer has ended.
func (w *Writer) Reset(dst io.Writer, note []byte) (err error) {
	w.Abort()
	last := w.encoder
	*w = Writer{compression: w.compression, opts: w.opts, content: w.content, output: w.output, dst: dst, err: errEnded}
	w.content.Reset()
	w.output.Reset()
	if err := w.note(note); err != nil {
		return err
	}
	if r, ok := last.(reusable); ok {
		w.encoder = r.again(outputOf{w})
	} else if w.encoder, err = newEncoder(outputOf{w}, w.compression, w.opts); err != nil {
		return err
	}
	w.err = nil
	return nil
}

func newEncoder(dst io.Writer, c Compression, opts WriterOptions) (encoder, error) {
	if opts.Serial && (c == Gzip || c == Zstd) {
		return newSerial(dst, c, opts.Level)
	}
	switch c {
	case Gzip:
		return newParts(dst, gzipPart, gzipMember(opts.Level), opts.Concurrency), nil
	case Zstd:
		frame, err := zstdFrame(opts)
		if err != nil {
			return nil, err
		}
		return newParts(dst, zstdPart, frame, opts.Concurrency), nil
	case EStargz:
		return newEStargz(dst, opts), nil
	default:
		return plain{dst}, nil
	}
}

// errEnded is the error of a writer that was closed or given up.
var errEnded = errors.New("compress: the writer has ended")

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.encoder.Write(p)
	w.content.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		w.fail(err)
	}
	return n, w.err
}

func (w *Writer) fail(err error) {
	w.encoder.abort()
	w.err = w.cause(err)
}

// cause returns the error of dst if there is one, because not every encoder
// wraps it. It is called when the encoder has ended.
func (w *Writer) cause(err error) error {
	if w.dstErr != nil {
		return w.dstErr
	}
	return err
}

// Close writes what is left. It does not close dst. After an error of the
// writer it returns that error.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	w.err = errEnded
	if err := w.encoder.finish(); err != nil {
		w.err = w.cause(err)
		return w.err
	}
	return nil
}

// Abort gives the writer up and releases what it holds. After Close it does
// nothing.
func (w *Writer) Abort() {
	if w.err == nil {
		w.fail(errEnded)
	}
}

// Layer describes a layer that was written.
type Layer struct {
	// Descriptor is that of the compressed blob, with the annotations that
	// readers of its format need.
	blob.Descriptor
	// DiffID is the digest of the uncompressed tar.
	DiffID blob.Digest
	// UncompressedSize is the size of the uncompressed tar in bytes.
	UncompressedSize int64

	// tar is the digest of the tar that was written, if another one was made of
	// it.
	tar blob.Digest
}

// TarDiffID is the digest of the tar that was written. It is another one than
// DiffID if the layer is an eStargz layer, which has an index in its tar.
func (l Layer) TarDiffID() blob.Digest { return cmp.Or(l.tar, l.DiffID) }

// Layer returns what was written, after Close.
func (w *Writer) Layer() Layer {
	layer := Layer{
		Descriptor:       blob.Descriptor{MediaType: w.compression.MediaType(), Digest: sum(w.output), Size: w.written},
		DiffID:           sum(w.content),
		UncompressedSize: w.size,
	}
	if e, ok := w.encoder.(*eStargz); ok {
		e.describe(&layer)
	}
	return layer
}

func sum(h hash.Hash) blob.Digest {
	return blob.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// outputOf hashes and counts what an encoder yields on its way to dst.
type outputOf struct{ w *Writer }

func (o outputOf) Write(p []byte) (int, error) {
	n, err := o.w.dst.Write(p)
	o.w.output.Write(p[:n])
	o.w.written += int64(n)
	if err != nil {
		o.w.dstErr = err
	}
	return n, err
}

// plain is the encoder of Uncompressed.
type plain struct{ io.Writer }

func (plain) finish() error { return nil }
func (plain) abort()        {}
