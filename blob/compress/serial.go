package compress

import (
	"cmp"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// serial compresses a stream into one gzip member or zstd frame, in the
// goroutine that writes.
type serial struct {
	stream
}

// stream is what both libraries have.
type stream interface {
	io.WriteCloser
	Reset(dst io.Writer)
}

func newSerial(dst io.Writer, c Compression, level int) (encoder, error) {
	if c == Gzip {
		z, err := gzip.NewWriterLevel(dst, gzipLevel(level))
		return serial{z}, err
	}
	z, err := zstd.NewWriter(dst, append(zstdOptions(level), zstd.WithEncoderConcurrency(1))...)
	return serial{z}, err
}

func (s serial) finish() error { return s.Close() }

// abort has nothing to end: neither library starts a goroutine here.
func (s serial) abort() {}

// again returns an encoder with the memory of one that has ended.
func (s serial) again(dst io.Writer) encoder {
	s.Reset(dst)
	return s
}

// defaultZstdLevel is that of the zstd command.
const defaultZstdLevel = 3

// zstdOptions are those of all zstd layers. Frames have no checksum: what is
// stored by its digest has a better one.
func zstdOptions(level int) []zstd.EOption {
	return []zstd.EOption{
		zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(cmp.Or(level, defaultZstdLevel))),
		zstd.WithWindowSize(zstdPart),
		zstd.WithEncoderCRC(false),
		zstd.WithZeroFrames(true),
	}
}

// gzipLevel returns the library's number of a level.
func gzipLevel(level int) int { return cmp.Or(level, gzip.DefaultCompression) }
