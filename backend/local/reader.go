package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// copyStep is how many bytes WriteTo moves before it looks at its context.
const copyStep = 8 << 20

// Open returns a reader of a range of a blob's file.
//
// The reader also implements [io.WriterTo] such that [io.Copy] to a file or a
// TCP connection leaves the copying to the kernel, and has a method
//
//	File() (f *os.File, n int64)
//
// for receivers that do so themselves: it returns the open file, positioned at
// the next byte, and how many bytes are left to be read from there. Both last
// until the reader is closed, and reading is then the receiver's business,
// including the context.
func (b *Backend) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	r, err := b.openRange(ctx, d.Digest, off, n)
	if err != nil {
		return nil, fail("open", calls.DigestKey(d.Digest), err)
	}
	return r, nil
}

func (b *Backend) openRange(ctx context.Context, d blob.Digest, off, n int64) (*reader, error) {
	if err := blob.CheckDigest(d); err != nil {
		return nil, err
	}
	// Asking first keeps os.Open from waiting for the other end of a pipe.
	info, err := b.stat(ctx, d)
	if err != nil {
		return nil, err
	}
	if off < 0 || off > info.Size {
		return nil, fmt.Errorf("%w: offset %d, want 0 to %d", backend.ErrInvalid, off, info.Size)
	}
	if n < 0 || n > info.Size-off {
		n = info.Size - off
	}
	f, err := os.Open(b.blobPath(d))
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r := &reader{ctx: ctx, b: b, key: d.String(), file: f, left: io.LimitedReader{R: f, N: n}}
	return r, b.track(r)
}

// track remembers an open reader for Close.
func (b *Backend) track(r *reader) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errors.Join(fs.ErrClosed, r.file.Close())
	}
	b.open[r] = struct{}{}
	return nil
}

// reader reads a part of a blob's file.
type reader struct {
	ctx  context.Context
	b    *Backend
	key  string
	file *os.File
	left io.LimitedReader
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	if err := r.b.begin(r.ctx); err != nil {
		return 0, fail("read", r.key, err)
	}
	n, err := r.left.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fail("read", r.key, err)
	}
	return n, err
}

// WriteTo implements [io.WriterTo].
func (r *reader) WriteTo(w io.Writer) (written int64, err error) {
	buf := getBuffer()
	defer buffers.Put(buf)
	for r.left.N > 0 {
		if err := r.b.begin(r.ctx); err != nil {
			return written, fail("read", r.key, err)
		}
		step := io.LimitedReader{R: r.file, N: min(r.left.N, copyStep)}
		n, err := io.CopyBuffer(w, &step, *buf)
		written += n
		r.left.N -= n
		if err != nil {
			return written, fail("read", r.key, err)
		}
		if n == 0 { // The file is shorter than it was.
			break
		}
	}
	return written, nil
}

// File implements what [Backend.Open] promises.
func (r *reader) File() (f *os.File, n int64) { return r.file, r.left.N }

// Close closes the file.
func (r *reader) Close() error {
	r.b.mu.Lock()
	_, isOpen := r.b.open[r]
	delete(r.b.open, r)
	r.b.mu.Unlock()
	if !isOpen { // Closed before, here or by the backend.
		return nil
	}
	return fail("close", r.key, r.file.Close())
}
