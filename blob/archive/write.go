package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/larder-build/larder/blob"
)

// WriteOptions are the options of [Write].
type WriteOptions struct {
	// Owners keeps who owns the files.
	Owners bool
	// Xattrs keeps extended attributes, where the system has them.
	Xattrs bool
	// Deterministic leaves out times, so that equal trees give equal layers.
	Deterministic bool
}

// Kept returns entries with what [Write] keeps of them.
func (o WriteOptions) Kept(entries []Entry) []Entry {
	kept := slices.Clone(entries)
	for i := range kept {
		if o.Deterministic {
			kept[i].ModTime = time.Unix(0, 0)
		}
		if !o.Owners {
			kept[i].UID, kept[i].GID = 0, 0
		}
	}
	return kept
}

// writeBuffer is how much of a tar is collected before it is passed on, in
// bytes.
const writeBuffer = 128 << 10

// Write writes entries of the directory, as [Walk] has listed them, as a tar. A
// file that is not what was listed, or changes while it is read, gives an error
// matching [ErrChanged] and nothing that should be kept.
//
// What is wrong with a file is a [FileError].
func Write(ctx context.Context, to io.Writer, dir string, entries []Entry, opts WriteOptions) error {
	out := &failing{Writer: to}
	w := &writer{ctx: ctx, out: bufio.NewWriterSize(out, writeBuffer), dir: dir, opts: opts}
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := w.entry(&entries[i])
		switch {
		case err == nil:
		case out.err != nil:
			return out.err
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			return &FileError{Path: entries[i].Path, Err: err}
		}
	}
	return w.end()
}

// FileError says that a file of a tree cannot be stored.
type FileError struct {
	// Path is that of the entry.
	Path string
	Err  error
}

// Error implements error.
func (e *FileError) Error() string { return blob.Quote(e.Path) + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

// failing remembers the error of a writer, to tell it from those of files.
type failing struct {
	io.Writer
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err != nil {
		f.err = err
	}
	return n, err
}

// Readable returns a [FileError] if a regular file cannot be opened for reading.
// That it is gone, or something else now, is not its concern.
func Readable(dir string, e *Entry) error {
	if !e.Mode.IsRegular() || e.Removed || e.IsHardLink() {
		return nil
	}
	f, err := openFile(filepath.Join(dir, filepath.FromSlash(e.Path)))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrChanged):
		return nil
	case err != nil:
		return &FileError{Path: e.Path, Err: err}
	default:
		return f.Close()
	}
}

type writer struct {
	ctx  context.Context
	out  *bufio.Writer
	dir  string
	opts WriteOptions
	buf  []byte
}

// end writes the two empty blocks that end a tar.
func (w *writer) end() error {
	if _, err := w.out.Write(make([]byte, 2*blockSize)); err != nil {
		return err
	}
	return w.out.Flush()
}

func (w *writer) entry(e *Entry) error {
	dir, name := split(e.Path)
	switch {
	case e.Removed:
		return w.header(&header{path: path.Join(dir, whiteout+name), kind: typeRegular, mode: 0o644, modTime: time.Unix(0, 0)})
	case strings.HasPrefix(name, whiteout):
		return fmt.Errorf("%w: names that begin with %s mean removals in layers", blob.ErrInvalid, whiteout)
	}
	h := header{path: e.Path, link: e.Link, mode: permissions(e.Mode), modTime: e.ModTime, major: e.Major, minor: e.Minor}
	if w.opts.Deterministic {
		h.modTime = time.Unix(0, 0)
	}
	if w.opts.Owners {
		h.uid, h.gid = e.UID, e.GID
	}
	if w.opts.Xattrs && !e.IsHardLink() {
		if err := addXattrs(&h, w.name(e)); err != nil {
			return err
		}
	}
	switch mode := e.Mode; {
	case e.IsHardLink():
		h.kind = typeHardLink
	case mode.IsRegular():
		return w.file(e, &h)
	case mode.IsDir():
		h.kind = typeDirectory
		h.path += "/"
	case mode&fs.ModeSymlink != 0:
		h.kind = typeSymlink
	case mode&fs.ModeNamedPipe != 0:
		h.kind = typeFIFO
	case mode&fs.ModeCharDevice != 0:
		h.kind = typeChar
	case mode&fs.ModeDevice != 0:
		h.kind = typeBlock
	default:
		return fmt.Errorf("%w: %s is nothing that a tar can hold", errors.ErrUnsupported, mode.Type())
	}
	return w.header(&h)
}

func (w *writer) name(e *Entry) string { return filepath.Join(w.dir, filepath.FromSlash(e.Path)) }

func (w *writer) header(h *header) error {
	w.buf = h.appendTo(w.buf[:0])
	_, err := w.out.Write(w.buf)
	return err
}

// file writes a regular file, and makes sure that it is the one that was listed
// from its first to its last byte.
func (w *writer) file(e *Entry, h *header) error {
	f, err := openFile(w.name(e))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: it is gone", ErrChanged)
	case err != nil:
		return err
	}
	defer f.Close()
	if err := unchanged(f, e); err != nil {
		return err
	}
	h.kind, h.size = typeRegular, e.Size
	data := []segment{{0, e.Size}}
	var table []byte
	if e.sparse() {
		if data, err = f.segments(e.Size); err != nil {
			return err
		}
		if len(data) != 1 || data[0].length != e.Size {
			data = fit(data)
			table = h.sparse(e, data)
		}
	}
	if err := w.content(f, h, table, data); err != nil {
		return err
	}
	return unchanged(f, e)
}

// unchanged checks an open file against its entry.
func unchanged(f *oldFile, e *Entry) error {
	same, err := f.is(e)
	if err == nil && !same {
		err = ErrChanged
	}
	return err
}

// content writes the header, the map of a sparse file and the data.
func (w *writer) content(f *oldFile, h *header, table []byte, data []segment) error {
	if err := w.header(h); err != nil {
		return err
	}
	if _, err := w.out.Write(table); err != nil {
		return err
	}
	for _, s := range data {
		if err := w.copy(f, s); err != nil {
			return err
		}
	}
	w.buf = append(w.buf[:0], make([]byte, -h.size&(blockSize-1))...)
	_, err := w.out.Write(w.buf)
	return err
}

// copyStep is how much of a file is written between two looks at the context,
// in bytes.
const copyStep = 16 << 20

func (w *writer) copy(f *oldFile, s segment) error {
	if s.offset != 0 {
		if err := f.seek(s.offset); err != nil {
			return err
		}
	}
	for rest := s.length; rest > 0; {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		n, err := w.out.ReadFrom(io.LimitReader(f, min(rest, copyStep)))
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: it is shorter than %d bytes", ErrChanged, s.offset+s.length)
		}
		rest -= n
	}
	return nil
}
