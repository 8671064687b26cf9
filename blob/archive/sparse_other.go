//go:build !linux

package archive

import "os"

// segments takes a file for one piece.
func segments(_ *os.File, size int64) ([]segment, error) { return []segment{{0, size}}, nil }
