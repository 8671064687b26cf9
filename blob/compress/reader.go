package compress

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/larder-build/larder/blob"
)

// Defaults of [Options].
const (
	DefaultMaxExpansion = 200
	DefaultMaxSize      = 64 << 30
)

// Options bound what a reader yields, because a few kilobytes can decompress to
// any size. The zero value has the defaults.
type Options struct {
	// MaxExpansion is how many times the size of what was read the content may
	// have, 1 MiB being always allowed. The default is DefaultMaxExpansion;
	// below zero there is no such bound.
	MaxExpansion int64
	// MaxSize is the largest content in bytes. The default is DefaultMaxSize;
	// below zero there is no such bound.
	MaxSize int64
}

func (o Options) withDefaults() Options {
	if o.MaxExpansion == 0 {
		o.MaxExpansion = DefaultMaxExpansion
	}
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	return o
}

// Buffers and windows, in bytes.
const (
	// inputBuffer is how much is read from the source at a time.
	inputBuffer = 64 << 10
	// maxWindow is the largest window of a zstd stream: that of "zstd
	// --long=27", the largest that the zstd command reads by default. The window
	// is what decompression takes in memory.
	maxWindow = 128 << 20
	// freeExpansion may come from any input.
	freeExpansion = 1 << 20
)

// Reader decompresses a layer. It is for one goroutine.
type Reader struct {
	input       *input
	content     io.Reader
	compression Compression
	opts        Options
	size        int64
	close       func()
}

// NewReader returns a reader of the decompressed content of src. Damaged data
// gives errors matching [blob.ErrCorrupt], content beyond the bounds of opts
// errors matching [blob.ErrTooLarge], and errors of src are passed on as they
// are. Whatever follows a complete gzip stream is ignored, as by other tools;
// Drain reads it. The caller closes the reader; src remains the caller's.
func NewReader(src io.Reader, opts Options) (*Reader, error) {
	in := &input{src: src}
	in.Reader = bufio.NewReaderSize(&in.counted, inputBuffer)
	in.counted.of = in
	r := &Reader{input: in, opts: opts.withDefaults(), close: func() {}}
	prefix, err := in.Peek(magicSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	r.compression = Detect(prefix)
	if err := r.open(); err != nil {
		return nil, r.judge(err)
	}
	return r, nil
}

func (r *Reader) open() error {
	switch r.compression {
	case Gzip:
		z, err := gzip.NewReader(r.input)
		if err != nil {
			return inHeader(err)
		}
		z.Multistream(false)
		r.content = &members{Reader: z, input: r.input}
	case Zstd:
		// With a concurrency of one the decoder starts no goroutine.
		z, err := zstd.NewReader(r.input, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		r.content, r.close = z, z.Close
	default:
		r.content = r.input
	}
	return nil
}

// Compression returns how the layer is compressed.
func (r *Reader) Compression() Compression { return r.compression }

// Size returns how many bytes of content were read.
func (r *Reader) Size() int64 { return r.size }

// Read implements [io.Reader].
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.content.Read(p)
	r.size += int64(n)
	if err := r.bound(); err != nil {
		return 0, err
	}
	return n, r.judge(err)
}

// bound checks that the content is not too large.
func (r *Reader) bound() error {
	o := r.opts
	if o.MaxSize >= 0 && r.size > o.MaxSize {
		return fmt.Errorf("%w: layer decompresses to more than %d bytes", blob.ErrTooLarge, o.MaxSize)
	}
	if o.MaxExpansion >= 0 && r.size > freeExpansion && r.size/o.MaxExpansion > r.input.counted.n {
		return fmt.Errorf("%w: layer decompresses to more than %d times its size", blob.ErrTooLarge, o.MaxExpansion)
	}
	return nil
}

// judge tells damaged data from a source that failed.
func (r *Reader) judge(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return err
	case r.input.counted.err != nil:
		return r.input.counted.err
	default:
		return fmt.Errorf("%s layer: %w: %w", r.compression, blob.ErrCorrupt, err)
	}
}

// Drain reads the source to its end, so that whatever verifies it comes to its
// verdict, and returns the source's error if there is one.
func (r *Reader) Drain() error {
	_, err := io.Copy(io.Discard, r.input.Reader)
	return err
}

// Close releases the decompressor. It always returns nil.
func (r *Reader) Close() error {
	r.close()
	return nil
}

// input is the source, buffered and counted.
type input struct {
	*bufio.Reader
	src     io.Reader
	counted counted
}

// counted counts what is read from a source and keeps its error.
type counted struct {
	of  *input
	n   int64
	err error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.of.src.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// members reads gzip members one after another, for as long as another one
// follows.
type members struct {
	*gzip.Reader
	input *input
}

func (m *members) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	next, peekErr := m.input.Peek(len(gzipMagic))
	switch {
	case peekErr != nil && !errors.Is(peekErr, io.EOF):
		return n, peekErr
	case !bytes.Equal(next, gzipMagic):
		return n, io.EOF
	}
	if err := m.Reset(m.input); err != nil {
		return n, inHeader(err)
	}
	m.Multistream(false)
	return n, nil
}

// inHeader returns the error of reading a gzip header of which the first bytes
// are there, so that its end is no end of the stream.
func inHeader(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
