package archive

import (
	"archive/tar"
	"bytes"
	"io"
	"strconv"
)

// segment is a run of data in a file with holes.
type segment struct{ offset, length int64 }

// Records of a sparse file in GNU tar's format 1.0 ("Storing Sparse Files" in
// the manual of GNU tar): the map of its segments stands before the data.
const (
	sparseMajor = "GNU.sparse.major"
	sparseMinor = "GNU.sparse.minor"
	sparseName  = "GNU.sparse.name"
	sparseSize  = "GNU.sparse.realsize"
)

// maxSegments is how many segments the map of a file has at most: package tar, and
// with it most programs in Go, reads no map of more than 1 MiB, and a segment takes
// two numbers of up to 19 digits, each on a line of its own.
const maxSegments = (1<<20 - blockSize) / (2 * 20)

// fit joins the segments of a file over the smallest of its holes, for as long as
// there are too many.
func fit(data []segment) []segment {
	for hole := int64(holeSize); len(data) > maxSegments-1; hole *= 2 {
		data = join(data, hole)
	}
	return data
}

// join makes one segment of those that have no more than a hole of some size
// between them.
func join(data []segment, hole int64) []segment {
	joined := data[:1]
	for _, s := range data[1:] {
		last := &joined[len(joined)-1]
		if s.offset-(last.offset+last.length) <= hole {
			last.length = s.offset + s.length - last.offset
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}

// sparse makes h the header of a sparse file and returns the map, which is the
// first part of the body.
func (h *header) sparse(e *Entry, data []segment) []byte {
	h.record(sparseMajor, "1")
	h.record(sparseMinor, "0")
	h.record(sparseName, e.Path)
	h.record(sparseSize, strconv.FormatInt(e.Size, 10))
	h.path = "GNUSparseFile.0/" + shorten(e.Path)
	h.size = 0
	for _, s := range data {
		h.size += s.length
	}
	if n := len(data); n == 0 || data[n-1].offset+data[n-1].length < e.Size {
		data = append(data[:n:n], segment{e.Size, 0}) // says where the last hole ends
	}
	table := strconv.AppendInt(nil, int64(len(data)), 10)
	for _, s := range data {
		table = strconv.AppendInt(append(table, '\n'), s.offset, 10)
		table = strconv.AppendInt(append(table, '\n'), s.length, 10)
	}
	table = pad(append(table, '\n'))
	h.size += int64(len(table))
	return table
}

// isSparse reports whether a file was stored with its holes.
func isSparse(h *tar.Header) bool {
	_, pax := h.PAXRecords[sparseSize]
	return pax || h.Typeflag == tar.TypeGNUSparse
}

const (
	// sparseBuffer is how much of a file with holes is looked at at a time, in
	// bytes: package tar fills holes with zeros, which costs next to nothing if they
	// never leave the processor's nearest cache.
	sparseBuffer = 32 << 10
	// holeSize is the unit of holes in bytes, as most file systems have it.
	holeSize = 4 << 10
)

// zeros is what a hole reads as.
var zeros [holeSize]byte

// fillSparse writes the content of a file that was stored with its holes, and
// leaves holes where it has nothing but zeros.
func (u *unpacker) fillSparse(f *newFile, size int64, content *file) error {
	buf := u.buf[:sparseBuffer]
	var hole int64
	for rest := size; rest > 0; {
		if err := u.ctx.Err(); err != nil {
			return err
		}
		before := content.src.n
		n, err := io.ReadFull(content, buf[:min(rest, sparseBuffer)])
		if err != nil {
			return err
		}
		rest -= int64(n)
		if content.src.n == before { // nothing of it is in the tar
			hole += int64(n)
			continue
		}
		if hole, err = f.writeSparse(buf[:n], hole); err != nil {
			return err
		}
	}
	return f.truncate(size)
}

// writeSparse writes data behind a hole, and returns the size of the hole that
// the data ends with.
func (f *newFile) writeSparse(data []byte, hole int64) (int64, error) {
	for len(data) > 0 {
		n, empty := run(data)
		if empty {
			hole += int64(n)
		} else {
			if err := f.skip(hole); err != nil {
				return 0, err
			}
			if _, err := f.Write(data[:n]); err != nil {
				return 0, err
			}
			hole = 0
		}
		data = data[n:]
	}
	return hole, nil
}

// run returns how many bytes data begins with that are all empty, or all not, in
// units of holes.
func run(data []byte) (n int, empty bool) {
	for n < len(data) {
		unit := data[n:min(n+holeSize, len(data))]
		zero := bytes.Equal(unit, zeros[:len(unit)])
		if n > 0 && zero != empty {
			break
		}
		n, empty = n+len(unit), zero
	}
	return n, empty
}
