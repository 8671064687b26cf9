//go:build !linux

package local

import (
	"errors"
	"os"
)

// clone says that files cannot share blocks here.
func clone(_, _ *os.File) error { return errors.ErrUnsupported }
