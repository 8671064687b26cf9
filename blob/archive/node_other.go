//go:build !linux

package archive

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// makeNode makes nothing: only Linux is asked for pipes and device nodes.
func makeNode(_ *os.Root, e *Entry, _ string) error {
	return fmt.Errorf("%w: %s", errors.ErrUnsupported, e.Mode.Type())
}

// setLinkTime leaves a symbolic link the time at which it was made.
func setLinkTime(*os.Root, string, time.Time) error { return nil }

// setXattrs sets nothing: only Linux is asked for extended attributes.
func setXattrs(*os.Root, string, map[string]string) error { return nil }
