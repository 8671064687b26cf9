//go:build unix

package larder

import (
	"io/fs"
	"os"
	"syscall"
)

// ownFile reports whether a file is the user's own, and nobody else's to write.
func ownFile(info fs.FileInfo) bool {
	sys, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0
}
