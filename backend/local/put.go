package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// bufferSize is how much of a source is read, hashed and written at a time.
// It fits a core's second-level cache, so that hashing finds the bytes there.
const bufferSize = 256 << 10

// buffers keeps them between uses.
var buffers sync.Pool

func getBuffer() *[]byte {
	if buf, ok := buffers.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, bufferSize)
	return &buf
}

// Put writes the content to a file that nobody sees, hashing it on the way, and
// gives it the blob's name when all of it is on disk.
func (b *Backend) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	err := b.begin(ctx)
	if err == nil {
		err = blob.CheckDescriptor(d)
	}
	if err == nil {
		err = b.put(ctx, d, src)
	}
	return fail("put", calls.DigestKey(d.Digest), err)
}

func (b *Backend) put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	present, err := b.renew(ctx, d)
	if present || err != nil {
		return err
	}
	return b.receive(ctx, d, func(t *temp) error { return fill(ctx, t, d, src) })
}

// renew starts the age of a blob anew if it is there with the right size. Only
// the owner of a file can do so: a blob of somebody else is reported as absent,
// so that it is replaced by one of our own.
func (b *Backend) renew(ctx context.Context, d blob.Descriptor) (present bool, err error) {
	info, err := b.stat(ctx, d.Digest)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size != d.Size {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := b.opts.Now()
	err = os.Chtimes(b.blobPath(d.Digest), now, now)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// receive stores the blob that fill writes and has verified.
func (b *Backend) receive(ctx context.Context, d blob.Descriptor, fill func(*temp) error) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	t, err := b.temp(blobMode)
	if err != nil {
		return err
	}
	defer t.discard()
	if err := fill(t); err != nil {
		return err
	}
	return b.publish(ctx, d, t)
}

// publish gives a blob its name.
func (b *Backend) publish(ctx context.Context, d blob.Descriptor, t *temp) error {
	if err := t.finish(); err != nil {
		return err
	}
	now := b.opts.Now()
	if err := os.Chtimes(t.Name(), now, now); err != nil {
		return err
	}
	if err := b.begin(ctx); err != nil {
		return err
	}
	return replace(ctx, t.Name(), b.blobPath(d.Digest))
}

// fill copies the content of src to w, up to d.Size bytes, and verifies it.
func fill(ctx context.Context, w io.Writer, d blob.Descriptor, src blob.Source) error {
	r, err := src.Open(ctx)
	if err != nil {
		return fmt.Errorf("open the content: %w", err)
	}
	verified := blob.NewReader(r, d)
	// The content counts, and is verified: an error of Close changes nothing.
	defer func() { _ = verified.Close() }()
	buf := getBuffer()
	defer buffers.Put(buf)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := readFull(verified, *buf)
		if _, err := w.Write((*buf)[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the content: %w", err)
		}
	}
}

// readFull fills buf unless the reader ends before. Its error is the reader's,
// unlike that of [io.ReadFull].
func readFull(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		more, err = r.Read(buf[n:])
		n += more
	}
	return n, err
}
