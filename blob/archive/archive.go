// Package archive turns a directory into layers and layers into a directory.
//
// A directory is listed by [Walk], cut into packs by [Split] and written, a tar
// for each pack, by [Write]. The cuts depend on the names in the tree and
// little else, so that a change of a few files changes the layers of those
// files and no others. [Extract] applies a stack of such layers, or of any other
// OCI layers, to a directory and writes nothing outside of it.
//
// The tars are POSIX ones (pax): every tar reads them. They keep times to the
// nanosecond, names of any bytes, symbolic and hard links, empty directories
// and, as GNU tar does, holes in files.
package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/larder-build/larder/blob"
)

// ErrChanged means that a file is not, or not any more, what it was when the
// directory was listed.
var ErrChanged = errors.New("file changed while it was read")

// Entry is one name in a tree.
type Entry struct {
	// Path is relative to the directory, with slashes; "." is the directory
	// itself. It may hold any bytes but NUL.
	Path string
	// Mode has the type and the permission bits, set-ID and sticky bits.
	Mode fs.FileMode
	// Size is the size of a regular file in bytes, holes included.
	Size int64
	// ModTime is when the content was last changed.
	ModTime time.Time
	// Link is the target of a symbolic link, or, for another name of a file
	// that the tree has already, the path of that one.
	Link string
	// UID and GID are the owner. They are written only on request.
	UID, GID int
	// Major and Minor are the numbers of a device.
	Major, Minor uint32
	// Removed says that a delta removes the path, see [Plan].
	Removed bool
	// Stat identifies the state of the file, for noticing changes.
	Stat Stat
}

// Stat is what tells a changed file from an unchanged one beside its entry. It
// is zero where the system has no such thing.
type Stat struct {
	// ChangeTime is when anything about the file was last changed, in
	// nanoseconds since 1970.
	ChangeTime int64
	// Inode and Device identify the file, Links is how many names it has.
	Inode, Device, Links uint64
	// Blocks is how many blocks of 512 bytes it takes. Fewer than its size
	// suggests mean that it has holes.
	Blocks int64
}

// IsHardLink reports whether the entry is another name of an earlier entry.
func (e *Entry) IsHardLink() bool { return e.Mode.IsRegular() && e.Link != "" }

// sparse reports whether a file has holes worth looking for.
func (e *Entry) sparse() bool {
	return e.Mode.IsRegular() && e.Link == "" && e.Stat != Stat{} && e.Stat.Blocks*blockSize < e.Size
}

const blockSize = 512

// Same reports whether two entries, listed at different times, are the same
// state of the same file. How many blocks it takes is no part of that: file
// systems allocate late, and one whose blocks turn out to lie in many places
// takes one more for the list of them (ext4), or gives up what it had reserved
// (XFS).
func (e *Entry) Same(other *Entry) bool {
	stat := e.Stat
	stat.Blocks = other.Stat.Blocks
	return e.Path == other.Path && e.Mode == other.Mode && e.Size == other.Size && e.ModTime.Equal(other.ModTime) &&
		e.Link == other.Link && e.UID == other.UID && e.GID == other.GID && stat == other.Stat
}

// top is the path of the directory itself.
const top = "."

// comparePaths orders paths as a walk meets them: a directory before what is in
// it, and that before its next sibling.
func comparePaths(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == top:
		return -1
	case b == top:
		return 1
	}
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		switch {
		case x == y:
		case x == '/':
			return -1
		case y == '/':
			return 1
		default:
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

// checkPath returns an error matching [blob.ErrInvalid] unless a path of a tar
// stays below the top.
func checkPath(path string) error {
	if path == top {
		return nil
	}
	if path == "" || strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
		return fmt.Errorf("%w: path %s: want one below the top", blob.ErrInvalid, blob.Quote(path))
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("%w: path %s: want one without . and .. and empty parts", blob.ErrInvalid, blob.Quote(path))
		}
	}
	return nil
}

// cleanPath returns the path of an entry for its name in a tar, which may begin
// with "./" and ends with a slash if it is a directory.
func cleanPath(name string) string {
	if name == "." || name == "./" {
		return top
	}
	return strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
}

// split returns the directory, "" for the top, and the last part of a path.
func split(at string) (dir, name string) {
	i := strings.LastIndexByte(at, '/')
	return at[:max(i, 0)], at[i+1:]
}
