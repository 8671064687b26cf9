package compress

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/larder-build/larder/blob"
)

// DiffID reads a layer to its end and returns the digest and the size in bytes
// of what it decompresses to. The source is read to its end even if it is
// damaged: a source that verifies itself then has the last word on what is
// wrong with it.
func DiffID(src io.Reader, opts Options) (diffID blob.Digest, size int64, err error) {
	r, err := NewReader(src, opts)
	if err != nil {
		return "", 0, lastWord(err, func() error { _, err := io.Copy(io.Discard, src); return err })
	}
	defer r.Close()
	hash := sha256.New()
	if _, err = io.Copy(hash, r); errors.Is(err, blob.ErrTooLarge) {
		return "", r.Size(), err
	}
	if err := lastWord(err, r.Drain); err != nil {
		return "", r.Size(), err
	}
	return blob.Digest("sha256:" + hex.EncodeToString(hash.Sum(nil))), r.Size(), nil
}

// lastWord returns the error of drain if there is one, and else err.
func lastWord(err error, drain func() error) error {
	if final := drain(); final != nil {
		return final
	}
	return err
}
