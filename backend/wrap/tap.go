package wrap

import (
	"context"
	"io"
	"os"

	"github.com/larder-build/larder/blob"
)

// filer is a reader whose n remaining bytes are those of a local file from its
// present offset on, for receivers that copy files as files.
type filer interface {
	File() (f *os.File, n int64)
}

// tap is told what passes through a reader. It may be called at the same time
// from several goroutines.
type tap interface {
	// reading is called before each read.
	reading()
	// read is called after it.
	read(n int, err error)
	// handed is called when a file is handed over of which n bytes are left.
	handed(n int64)
	// closed is called when the reader has been closed.
	closed()
}

// onClose is a tap for what is to be done when a reader is closed.
type onClose func()

func (onClose) reading()        {}
func (onClose) read(int, error) {}
func (onClose) handed(int64)    {}
func (f onClose) closed()       { f() }

// tapSource returns src with a tap on all its readers.
func tapSource(src blob.Source, t tap) blob.Source {
	return blob.SourceFunc(func(ctx context.Context) (io.ReadCloser, error) {
		r, err := src.Open(ctx)
		if err != nil {
			return nil, err
		}
		return tapReader(r, t), nil
	})
}

// tapReader returns r with a tap. What stores look for in a source remains in
// reach: random access and the file behind it.
func tapReader(r io.ReadCloser, t tap) io.ReadCloser {
	plain := &tapped{src: r, tap: t}
	at, isAt := r.(io.ReaderAt)
	file := fileOf(r)
	switch {
	case isAt && file != nil:
		return struct {
			*tapped
			io.ReaderAt
			filer
		}{plain, &tappedAt{src: at, tap: t}, &tappedFile{src: file, tap: t}}
	case isAt:
		return struct {
			*tapped
			io.ReaderAt
		}{plain, &tappedAt{src: at, tap: t}}
	case file != nil:
		return struct {
			*tapped
			filer
		}{plain, &tappedFile{src: file, tap: t}}
	default:
		return plain
	}
}

// fileOf returns r as a filer, or nil.
func fileOf(r io.Reader) filer {
	switch r := r.(type) {
	case filer:
		return r
	case *os.File:
		return osFile{file: r}
	default:
		return nil
	}
}

// osFile makes a file a filer.
type osFile struct{ file *os.File }

func (f osFile) File() (file *os.File, n int64) {
	info, err := f.file.Stat()
	if err != nil {
		return f.file, 0
	}
	offset, err := f.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return f.file, 0
	}
	return f.file, max(0, info.Size()-offset)
}

type tapped struct {
	src io.ReadCloser
	tap tap
}

func (t *tapped) Read(p []byte) (int, error) {
	t.tap.reading()
	n, err := t.src.Read(p)
	t.tap.read(n, err)
	return n, err
}

func (t *tapped) Close() error {
	defer t.tap.closed()
	return t.src.Close()
}

type tappedAt struct {
	src io.ReaderAt
	tap tap
}

func (t *tappedAt) ReadAt(p []byte, off int64) (int, error) {
	t.tap.reading()
	n, err := t.src.ReadAt(p, off)
	t.tap.read(n, err)
	return n, err
}

type tappedFile struct {
	src filer
	tap tap
}

func (t *tappedFile) File() (f *os.File, n int64) {
	f, n = t.src.File()
	t.tap.handed(n)
	return f, n
}
