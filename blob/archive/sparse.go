package archive

import (
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
