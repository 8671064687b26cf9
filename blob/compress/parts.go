package compress

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Sizes of the parts of a layer that are compressed on their own, in bytes. The
// output depends on them. A part begins without what the ones before it have
// taught the compressor, so that small parts cost bytes: at these sizes less
// than one in a hundred.
const (
	gzipPart = 1 << 20
	zstdPart = 4 << 20
)

// parts compresses a stream in parts of equal size, several at a time, and
// writes them in order. Gzip and zstd both define that streams written one
// after another are one stream (RFC 1952, 2.2; RFC 8878, 3).
type parts struct {
	compress func(dst, part []byte) ([]byte, error)
	size     int
	part     []byte
	any      bool
	free     chan []byte

	// queue has the outcomes of the parts in order. Its capacity is what bounds
	// how many are compressed at a time.
	queue chan (<-chan outcome)
	// failed is closed when writing has failed, and ended when it is over.
	failed chan struct{}
	ended  chan struct{}
	err    error
}

type outcome struct {
	data []byte
	err  error
}

func newParts(dst io.Writer, size int, compress func(dst, part []byte) ([]byte, error), concurrency int) *parts {
	return startParts(dst, &parts{compress: compress, size: size, free: make(chan []byte, 2*concurrency+2)}, concurrency)
}

func startParts(dst io.Writer, p *parts, concurrency int) *parts {
	p.queue, p.failed, p.ended = make(chan (<-chan outcome), concurrency-1), make(chan struct{}), make(chan struct{})
	go p.writeTo(dst)
	return p
}

// again returns parts for a further stream, with the buffers of one that has
// ended.
func (p *parts) again(dst io.Writer) encoder {
	if p.part != nil {
		p.recycle(p.part)
	}
	return startParts(dst, &parts{compress: p.compress, size: p.size, free: p.free}, cap(p.queue)+1)
}

// writeTo writes the parts in order. After an error it only waits for those
// that are under way.
func (p *parts) writeTo(dst io.Writer) {
	defer close(p.ended)
	for next := range p.queue {
		part := <-next
		if p.err == nil {
			if p.err = part.err; p.err == nil {
				_, p.err = dst.Write(part.data)
			}
			if p.err != nil {
				close(p.failed)
			}
		}
		p.recycle(part.data)
	}
}

func (p *parts) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		if p.part == nil {
			p.part = p.buffer()
		}
		n := min(len(b)-written, p.size-len(p.part))
		p.part = append(p.part, b[written:written+n]...)
		written += n
		if len(p.part) == p.size {
			if err := p.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// flush has the present part compressed.
func (p *parts) flush() error {
	done := make(chan outcome, 1)
	select {
	case <-p.failed:
		return p.err
	case p.queue <- done:
	}
	part := p.part
	p.part, p.any = nil, true
	go func() {
		data, err := p.compress(p.buffer(), part)
		p.recycle(part)
		done <- outcome{data, err}
	}()
	return nil
}

// finish also writes a part if there was no content at all, because nothing is
// no valid stream.
func (p *parts) finish() error {
	var err error
	if len(p.part) > 0 || !p.any {
		err = p.flush()
	}
	close(p.queue)
	<-p.ended
	if p.err != nil {
		return p.err
	}
	return err
}

func (p *parts) abort() {
	close(p.queue)
	<-p.ended
}

// buffer returns an empty slice, if possible one that has held a part before. What
// does not compress takes a little more than its size.
func (p *parts) buffer() []byte {
	select {
	case b := <-p.free:
		return b[:0]
	default:
		return make([]byte, 0, p.size+p.size/64)
	}
}

func (p *parts) recycle(b []byte) {
	select {
	case p.free <- b:
	default:
	}
}

// gzipMember returns a function that compresses a part into a gzip member.
func gzipMember(level int) func(dst, part []byte) ([]byte, error) {
	level = gzipLevel(level)
	return func(dst, part []byte) ([]byte, error) {
		out := bytes.NewBuffer(dst)
		z, err := gzip.NewWriterLevel(out, level)
		if err != nil {
			return nil, err
		}
		if _, err := z.Write(part); err != nil {
			return nil, err
		}
		err = z.Close()
		return out.Bytes(), err
	}
}

// zstdFrame returns a function that compresses a part into a zstd frame.
func zstdFrame(opts WriterOptions) (func(dst, part []byte) ([]byte, error), error) {
	z, err := zstd.NewWriter(nil, append(zstdOptions(opts.Level), zstd.WithEncoderConcurrency(opts.Concurrency), zstd.WithLowerEncoderMem(true))...)
	if err != nil {
		return nil, err
	}
	return func(dst, part []byte) ([]byte, error) { return z.EncodeAll(part, dst), nil }, nil
}
