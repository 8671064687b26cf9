package archive

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"
)

// xattrPrefix is that of the records which hold extended attributes, for star,
// GNU tar, bsdtar and BuildKit alike.
const xattrPrefix = "SCHILY.xattr."

// addXattrs adds the extended attributes of a file to its header.
func addXattrs(h *header, name string) error {
	names, err := readXattr(func(buf []byte) (int, error) { return unix.Llistxattr(name, buf) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return err
	}
	for attr := range bytes.SplitSeq(names, []byte{0}) {
		if len(attr) == 0 {
			continue
		}
		value, err := readXattr(func(buf []byte) (int, error) { return unix.Lgetxattr(name, string(attr), buf) })
		if errors.Is(err, unix.ENODATA) {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
		h.record(xattrPrefix+string(attr), string(value))
	}
	return nil
}

// readXattr calls read with a buffer that is large enough.
func readXattr(read func([]byte) (int, error)) ([]byte, error) {
	for {
		size, err := read(nil)
		if err != nil || size == 0 {
			return nil, err
		}
		buf := make([]byte, size)
		n, err := read(buf)
		if !errors.Is(err, unix.ERANGE) { // it grew meanwhile
			return buf[:max(n, 0)], err
		}
	}
}
