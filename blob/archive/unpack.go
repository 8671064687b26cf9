package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
)

// Whiteouts (https://github.com/opencontainers/image-spec, layer.md): a file
// that says that the layers below have another one, or anything in its
// directory, no more. Other names with whiteoutMeta mean nothing here.
const (
	whiteout       = ".wh."
	whiteoutMeta   = ".wh..wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// unpacker writes one layer to the stage.
type unpacker struct {
	ctx   context.Context
	stage *stage
	layer int
	// hides says that layers below this one remain to be written.
	hides   bool
	dirs    handles
	buf     []byte
	entries []staged
	links   []staged
	covers  map[string]cover
	removed []string
	names   int
	bytes   int64
}

// unpackBuffer is how much of a file is written at a time, in bytes.
const unpackBuffer = 256 << 10

func (u *unpacker) unpack(content *compress.Reader) error {
	u.buf = make([]byte, unpackBuffer)
	u.covers = make(map[string]cover)
	src := &remembering{Reader: content}
	tr := tar.NewReader(src)
	for {
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return src.judge(err)
		}
		if err := u.ctx.Err(); err != nil {
			return err
		}
		if err := u.entry(h, &file{tr, src}); err != nil {
			return fmt.Errorf("%s: %w", blob.Quote(h.Name), err)
		}
	}
}

// remembering counts the tar's bytes, and keeps their error, to tell it from that
// of the tar.
type remembering struct {
	*compress.Reader
	n   int64
	err error
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

func (r *remembering) judge(err error) error {
	if r.err != nil {
		return r.err
	}
	return fmt.Errorf("%w: %w", blob.ErrCorrupt, err)
}

// file is the content of an entry.
type file struct {
	tar *tar.Reader
	src *remembering
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.tar.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = f.src.judge(err)
	}
	return n, err
}

// entry writes what one entry of the tar says.
func (u *unpacker) entry(h *tar.Header, content *file) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // of the tar, as git archive writes one; it is no file
	}
	at := cleanPath(h.Name)
	if err := checkPath(at); err != nil {
		return err
	}
	dir, name := split(at)
	if strings.HasPrefix(name, whiteout) {
		return u.whiteout(dir, name)
	}
	u.names++
	e := Entry{Path: at, Mode: h.FileInfo().Mode(), ModTime: h.ModTime, UID: h.Uid, GID: h.Gid, Major: uint32(h.Devmajor), Minor: uint32(h.Devminor)} //nolint:gosec // octal fields of 7 digits
	if !u.stage.opts.SetID {
		e.Mode &^= fs.ModeSetuid | fs.ModeSetgid
	}
	u.cover(at, covers(h.Typeflag))
	if u.stage.hidden(at) {
		return nil
	}
	return u.write(h, &e, dir, name, content)
}

func covers(kind byte) cover {
	if kind == tar.TypeDir {
		return coversName
	}
	return coversAll
}

func (u *unpacker) cover(at string, c cover) {
	if u.hides {
		u.covers[at] |= c
	}
}

func (u *unpacker) whiteout(dir, name string) error {
	switch {
	case name == whiteoutOpaque:
		u.cover(dir, coversBelow)
	case !strings.HasPrefix(name, whiteoutMeta):
		removed := strings.TrimPrefix(name, whiteout)
		if removed == "" || removed == "." || removed == ".." {
			return fmt.Errorf("%w: a whiteout of %s: want a name", blob.ErrInvalid, blob.Quote(removed))
		}
		at := path.Join(dir, removed)
		u.cover(at, coversAll)
		u.removed = append(u.removed, at)
	}
	return nil
}

func (u *unpacker) write(h *tar.Header, e *Entry, dir, name string, content *file) error {
	switch h.Typeflag {
	case tar.TypeLink:
		e.Link, e.Mode = cleanPath(h.Linkname), e.Mode.Perm()
		u.links = append(u.links, staged{*e, u.layer})
		return checkPath(e.Link)
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		e.Size = h.Size
	case tar.TypeSymlink:
		e.Link, e.Mode = h.Linkname, fs.ModeSymlink|0o777
	case tar.TypeDir, tar.TypeFifo:
	case tar.TypeChar, tar.TypeBlock:
		if !u.stage.opts.Devices {
			return fmt.Errorf("%w: a device node, which was not asked for", blob.ErrInvalid)
		}
	default:
		return fmt.Errorf("%w: entry of type %q, which layers do not have", blob.ErrCorrupt, h.Typeflag)
	}
	at, err := u.dirs.open(dir, true)
	if err != nil {
		return err
	}
	err = u.create(at, e, name, h, content)
	if errors.Is(err, fs.ErrExist) {
		// A tar may have a name twice; the last one counts.
		if err = at.RemoveAll(name); err == nil {
			err = u.create(at, e, name, h, content)
		}
	}
	if err != nil || e.Mode.IsRegular() {
		return err
	}
	return u.finish(at, e, name, h)
}

func (u *unpacker) create(at *place, e *Entry, name string, h *tar.Header, content *file) error {
	switch mode := e.Mode; {
	case mode.IsRegular():
		return u.regular(at, e, name, h, content)
	case e.Path == top:
		return nil
	case mode.IsDir():
		err := at.Mkdir(name, mode.Perm()|0o700)
		if info, statErr := at.Lstat(name); errors.Is(err, fs.ErrExist) && statErr == nil && info.IsDir() {
			return nil
		}
		return err
	case mode&fs.ModeSymlink != 0:
		return at.Symlink(e.Link, name)
	default:
		return makeNode(at, e, name)
	}
}

// regular writes a file with all that belongs to it.
func (u *unpacker) regular(at *place, e *Entry, name string, h *tar.Header, content *file) error {
	if err := u.stage.grow(e.Size); err != nil {
		return err
	}
	f, err := createFile(at, name, e.Mode)
	if err != nil {
		return err
	}
	if isSparse(h) {
		err = u.fillSparse(f, e.Size, content)
	} else {
		err = u.fill(f, e.Size, content)
	}
	if err == nil {
		err = u.dress(f, e, h)
	}
	return errors.Join(err, f.Close())
}

// dress gives a file what it does not have from its making, and notes it.
func (u *unpacker) dress(f *newFile, e *Entry, h *tar.Header) error {
	opts := &u.stage.opts
	if opts.Owners {
		if err := f.chown(e.UID, e.GID); err != nil {
			return err
		}
	}
	// To change the owner takes the set-ID bits away.
	if u.stage.needsChmod(e.Mode) {
		if err := f.chmod(e.Mode); err != nil {
			return err
		}
	}
	if opts.Xattrs {
		if err := f.setXattrs(h.PAXRecords); err != nil {
			return err
		}
	}
	if err := f.setTime(e.ModTime); err != nil {
		return err
	}
	written := *e
	if err := f.note(&written); err != nil {
		return err
	}
	u.bytes += e.Size
	u.entries = append(u.entries, staged{written, u.layer})
	return nil
}

// fill writes the content of a file.
func (u *unpacker) fill(f *newFile, size int64, content io.Reader) error {
	for written := int64(0); written < size; {
		if err := u.ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(content, u.buf[:min(size-written, unpackBuffer)])
		if err != nil {
			return err
		}
		if _, err := f.Write(u.buf[:n]); err != nil {
			return err
		}
		written += int64(n)
	}
	return nil
}

// finish does for what is no regular file what dress does for those.
func (u *unpacker) finish(at *place, e *Entry, name string, h *tar.Header) error {
	opts := &u.stage.opts
	if opts.Owners {
		if err := at.Lchown(name, e.UID, e.GID); err != nil {
			return err
		}
	}
	if e.Mode.IsDir() {
		if opts.Xattrs {
			if err := setDirXattrs(at, name, h.PAXRecords); err != nil {
				return err
			}
		}
		// Its mode and time come last, when all is in it.
		u.entries = append(u.entries, staged{*e, u.layer})
		return nil
	}
	if err := setTime(at, name, e); err != nil {
		return err
	}
	info, err := at.Lstat(name)
	if err != nil {
		return err
	}
	written := *e
	written.ModTime = info.ModTime()
	written.Mode = info.Mode()
	written.stat(info)
	u.entries = append(u.entries, staged{written, u.layer})
	return nil
}

// setTime sets when a file was changed; the time of access is now.
func setTime(at *place, name string, e *Entry) error {
	if e.Mode&fs.ModeSymlink != 0 {
		return setLinkTime(at, name, e.ModTime)
	}
	return at.Chtimes(name, time.Time{}, e.ModTime)
}
