package compress

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/larder-build/larder/blob"
)

// noteMagic begins the skippable frame (RFC 8878, 3.1.2) that a note is in, one
// of sixteen such numbers. Other tools use 0x184D2A50 (zstd:chunked).
const noteMagic = 0x184D2A5C

// noteHeader is the size of the magic number and of the length behind it.
const noteHeader = 8

func writeNote(dst io.Writer, note []byte) error {
	if int64(len(note)) > math.MaxUint32 {
		return fmt.Errorf("%w: a note of %d bytes, the limit is %d", blob.ErrTooLarge, len(note), uint32(math.MaxUint32))
	}
	frame := binary.LittleEndian.AppendUint32(nil, noteMagic)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(note)))
	_, err := dst.Write(append(frame, note...))
	return err
}

// maxNote is how long a note may be, in bytes, to be taken along when a layer is
// compressed anew.
const maxNote = 16 << 20

// takeNote reads the note of a layer and returns what follows.
func takeNote(src io.Reader) (rest io.Reader, note []byte, err error) {
	in := bufio.NewReader(src)
	header, err := in.Peek(noteHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	if len(header) < noteHeader || binary.LittleEndian.Uint32(header) != noteMagic || binary.LittleEndian.Uint32(header[4:]) > maxNote {
		return in, nil, nil
	}
	note, err = ReadNote(in, maxNote)
	return in, note, err
}

// ReadNote returns the note at the beginning of a layer, or nil if it has none.
// It reads no further. A note that is longer than limit bytes is an error
// matching [blob.ErrTooLarge], one that is cut off an error matching
// [blob.ErrCorrupt]; errors of src are passed on.
func ReadNote(src io.Reader, limit int64) ([]byte, error) {
	var header [noteHeader]byte
	_, err := io.ReadFull(src, header[:])
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil
	case err != nil:
		return nil, err
	case binary.LittleEndian.Uint32(header[:]) != noteMagic:
		return nil, nil
	}
	size := int64(binary.LittleEndian.Uint32(header[4:]))
	if size > limit {
		return nil, fmt.Errorf("%w: the layer's note has %d bytes, the limit is %d", blob.ErrTooLarge, size, limit)
	}
	note, err := io.ReadAll(io.LimitReader(src, size))
	if err != nil {
		return nil, err
	}
	if int64(len(note)) < size {
		return nil, fmt.Errorf("%w: the layer's note ends after %d of %d bytes", blob.ErrCorrupt, len(note), size)
	}
	return note, nil
}
