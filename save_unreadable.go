package larder

import (
	"errors"
	"maps"
	"slices"

	"github.com/larder-build/larder/blob/archive"
)

// unreadable are the paths in a directory that cannot be read, with the reason.
type unreadable map[string]error

// add adds the file that an error is about. It reports whether there is one.
func (u unreadable) add(err error) bool {
	var about *archive.FileError
	if !errors.As(err, &about) || u[about.Path] != nil {
		return false
	}
	u[about.Path] = about.Err
	return true
}

func (u unreadable) files() []SkippedFile {
	var files []SkippedFile
	for _, at := range slices.Sorted(maps.Keys(u)) {
		files = append(files, SkippedFile{Path: at, Reason: u[at].Error()})
	}
	return files
}

// probe opens all files that are to be read: where one cannot be, others cannot
// either, and the directory is to begin again once, not once for each.
func (p *packing) probe() {
	for _, pack := range p.packs {
		if pack.Reuse < 0 {
			for i := range pack.Entries {
				p.skipped.add(archive.Readable(p.dir.Path, &pack.Entries[i]))
			}
		}
	}
}
