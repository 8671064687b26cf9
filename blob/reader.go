package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Reader yields the bytes of a blob and checks them on the way. The last byte
// is handed out only when all bytes are known to have the size and digest that
// the descriptor says, so a caller that has read that many bytes, or has seen
// [io.EOF], holds good content. Bad content ends in an error matching
// [ErrCorrupt]; an error of the underlying reader is passed on as it is. The
// size may be unknown, which is -1: then only the digest is checked.
//
// A Reader is for one goroutine.
type Reader struct {
	src  io.ReadCloser
	want Descriptor
	hash hash.Hash
	left int64 // of a known size
	last held  // of an unknown size
	err  error
}

// held is the last byte read so far, which may turn out to be the last of all.
type held struct {
	value, next [1]byte
	full        bool
}

// NewReader returns a verifying reader of src, which the Reader's Close closes.
// The content is expected to start at its first byte.
func NewReader(src io.ReadCloser, want Descriptor) *Reader {
	return &Reader{src: src, want: want, hash: sha256.New(), left: want.Size}
}

// Read implements [io.Reader] with the promise of [Reader].
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.want.Size < 0 {
		return r.readUnsized(p)
	}
	if r.left == 0 { // an empty blob
		r.err = r.finish()
		return 0, r.err
	}
	return r.readSized(p)
}

func (r *Reader) readSized(p []byte) (int, error) {
	n, err := r.src.Read(p[:min(int64(len(p)), r.left)])
	r.hash.Write(p[:n])
	r.left -= int64(n)
	switch {
	case r.left == 0:
		// The last byte is in p: judge the whole before it is handed out.
		if r.err = r.finish(); !errors.Is(r.err, io.EOF) {
			return 0, r.err
		}
		return n, nil
	case errors.Is(err, io.EOF):
		r.err = r.corrupt("has %d bytes, want %d", r.want.Size-r.left, r.want.Size)
		return n, r.err
	default:
		r.err = err
		return n, err
	}
}

// readUnsized is Read for a blob of unknown size. It fills p from its second byte on, behind the byte held back, and
// then holds back the last of what it has.
func (r *Reader) readUnsized(p []byte) (int, error) {
	if !r.last.full {
		n, err := io.ReadFull(r.src, r.last.value[:])
		r.hash.Write(r.last.value[:n])
		if r.err = err; errors.Is(err, io.EOF) {
			r.err = r.checkDigest()
		}
		if r.err != nil {
			return 0, r.err
		}
		r.last.full = true
	}
	rest := p[1:]
	if len(rest) == 0 {
		rest = r.last.next[:]
	}
	n, err := r.src.Read(rest)
	r.hash.Write(rest[:n])
	if n == 0 && errors.Is(err, io.EOF) {
		if r.err = r.checkDigest(); !errors.Is(r.err, io.EOF) {
			return 0, r.err
		}
		p[0] = r.last.value[0]
		return 1, nil
	}
	if !errors.Is(err, io.EOF) { // an end that came with bytes is met again
		r.err = err
	}
	if n == 0 {
		return 0, err
	}
	p[0], r.last.value[0] = r.last.value[0], rest[n-1]
	return n, r.err
}

// finish returns io.EOF if the source ends here and the digest is right.
func (r *Reader) finish() error {
	var extra [1]byte
	n, err := io.ReadFull(r.src, extra[:])
	if n > 0 {
		return r.corrupt("has more than the %d bytes wanted", r.want.Size)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return r.checkDigest()
}

// checkDigest returns io.EOF if the digest of what was read is right.
func (r *Reader) checkDigest() error {
	if got := "sha256:" + hex.EncodeToString(r.hash.Sum(nil)); got != string(r.want.Digest) {
		return r.corrupt("content has digest %s", got)
	}
	return io.EOF
}

func (r *Reader) corrupt(format string, args ...any) error {
	return fmt.Errorf("blob %s: %w: %s", r.want.Digest, ErrCorrupt, fmt.Sprintf(format, args...))
}

// Close closes the underlying reader.
func (r *Reader) Close() error { return r.src.Close() }
