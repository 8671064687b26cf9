//go:build !linux

package archive

import (
	"errors"
	"fmt"
	"time"
)

// makeNode makes nothing: only Linux is asked for pipes and device nodes.
func makeNode(_ *place, e *Entry, _ string) error {
	return fmt.Errorf("%w: %s", errors.ErrUnsupported, e.Mode.Type())
}

// setLinkTime leaves a symbolic link the time at which it was made.
func setLinkTime(*place, string, time.Time) error { return nil }

// setDirXattrs sets nothing: only Linux is asked for extended attributes.
func setDirXattrs(*place, string, map[string]string) error { return nil }
