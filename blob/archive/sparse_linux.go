package archive

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// segments returns where a file has data.
func segments(f *os.File, size int64) ([]segment, error) {
	var data []segment
	for at := int64(0); at < size; {
		start, err := f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // nothing but a hole follows
		}
		if err != nil {
			return nil, err
		}
		end, err := f.Seek(start, unix.SEEK_HOLE)
		if err != nil {
			return nil, err
		}
		data = append(data, segment{start, min(end, size) - start})
		at = end
	}
	_, err := f.Seek(0, 0)
	return data, err
}
