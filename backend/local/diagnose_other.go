//go:build !linux && !windows

package local

import "errors"

// volumeOf returns what the system tells of the file system at a path.
func volumeOf(string) (volume, error) { return volume{}, errors.ErrUnsupported }
