package bucket

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Creating is a [Service] of which is known that WriterOptions.IfNotExist lets
// exactly one of several writers win: that of gocloud.dev's memblob, s3blob and
// azureblob. Versions are not known, so that refs are created on condition and
// never replaced on one.
type Creating struct{ Unknown }

// Can promises that creations are atomic.
func (Creating) Can() Promises { return Promises{Create: true} }

// FileService is the [Service] of gocloud.dev's fileblob. Its IfNotExist looks
// first and renames then, without a lock that two writers would share, so that
// two can win: nothing is promised.
type FileService struct{ Unknown }

// maxFileName is the longest name of a ref there, in bytes: a file's own limit
// less what fileblob appends while it writes.
const maxFileName = 255 - len(".0123456789abcdef.tmp")

// temporary matches the names of files that fileblob is writing.
var temporary = regexp.MustCompile(`\.[0-9a-f]+\.tmp$`)

// CheckRef refuses names with slashes, because a file is no directory: beside a
// ref main there could be no main/x. It refuses what is too long for a file, and
// what fileblob keeps for itself.
func (FileService) CheckRef(name string) error {
	switch {
	case strings.Contains(name, "/"):
		return fmt.Errorf("%w: ref name %s has a slash, which refs in files cannot have", backend.ErrInvalid, blob.Quote(name))
	case len(name) > maxFileName:
		return fmt.Errorf("%w: ref name %s has %d bytes, want at most %d", backend.ErrInvalid, blob.Quote(name), len(name), maxFileName)
	case temporary.MatchString(name), strings.HasSuffix(name, ".attrs"):
		return fmt.Errorf("%w: ref name %s, which fileblob keeps for itself", backend.ErrInvalid, blob.Quote(name))
	}
	return nil
}

// Describe asks the open file for its size: fileblob asks first and opens then,
// and the file may have been replaced in between.
func (FileService) Describe(as func(any) bool, o *Object) {
	var r io.Reader
	if !as(&r) {
		return
	}
	file, ok := r.(*os.File)
	if !ok { // a range of one
		return
	}
	if stat, err := file.Stat(); err == nil {
		o.Size, o.ModTime = stat.Size(), stat.ModTime()
	}
}
