package archive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
)

// stagePrefix begins the name of the directory, in the one that is restored,
// in which everything is written first. It is there because only on the same
// file system a move is a rename.
const stagePrefix = ".larder-restore-"

// stage is an extraction under way.
type stage struct {
	opts   ExtractOptions
	target *os.Root
	root   *os.Root
	name   string
	// sealed is the mode that the target had if it was changed and is not what it is
	// to be yet, else 0.
	sealed fs.FileMode
	// made are the directories that there were not, the innermost first.
	made []string
	// umask has the permission bits that new files do not get.
	umask fs.FileMode
	// size is what the files take so far, in bytes.
	size atomic.Int64

	// upper says what the layers above hide. It is written between layers only.
	upper map[string]cover

	mu      sync.Mutex
	entries []staged
	links   []staged
	// kept are the links in layers that are not read.
	kept    []staged
	names   []int
	removed [][]string
	bytes   int64
}

// staged is an entry with the position of its layer.
type staged struct {
	Entry
	layer int
}

func compareStaged(a, b staged) int { return comparePaths(a.Path, b.Path) }

// cover says what a name in a layer hides in those below.
type cover uint8

const (
	coversName cover = 1 << iota
	coversBelow
	coversAll = coversName | coversBelow
)

func newStage(dir string, layers int, opts ExtractOptions) (*stage, error) {
	s := &stage{opts: opts, made: missing(dir), name: stagePrefix + rand.Text(), upper: make(map[string]cover), names: make([]int, layers), removed: make([][]string, layers)}
	if err := s.open(dir); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// missing returns those of a directory and its parents that are not there, the
// innermost first.
func missing(dir string) []string {
	var all []string
	for {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			return all
		}
		all = append(all, dir)
		parent := filepath.Dir(dir)
		if parent == dir { // a volume that is not there
			return all
		}
		dir = parent
	}
}

func (s *stage) open(dir string) error {
	err := os.MkdirAll(dir, implied)
	if err != nil {
		return err
	}
	if s.target, err = os.OpenRoot(dir); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return &fs.PathError{Op: "write to", Path: dir, Err: cause(err)}
	}
	if s.root, err = s.target.OpenRoot(s.name); err != nil {
		return errors.Join(err, s.target.Remove(s.name))
	}
	s.umask, err = umask(s.root)
	return err
}

// begin makes the directory in which everything is written.
func (s *stage) begin() error {
	err := s.target.Mkdir(s.name, 0o700)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	sealed, allowErr := allow(s.target, top)
	if sealed == 0 || allowErr != nil {
		return err
	}
	s.sealed = sealed
	return s.target.Mkdir(s.name, 0o700)
}

// cause returns an error without the path that it is about, which nobody knows.
func cause(err error) error {
	if about, ok := errors.AsType[*fs.PathError](err); ok {
		return about.Err
	}
	return err
}

// umask finds out which permission bits new files do not get. The system's call
// for it would change the mask of the whole process.
func umask(root *os.Root) (fs.FileMode, error) {
	const probe = "umask"
	if err := root.Mkdir(probe, 0o777); err != nil {
		return 0, err
	}
	info, err := root.Lstat(probe)
	return 0o777 &^ info.Mode().Perm(), errors.Join(err, root.Remove(probe))
}

// needsChmod reports whether a new file does not get its mode by itself.
func (s *stage) needsChmod(mode fs.FileMode) bool {
	return mode&s.umask != 0 || mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0
}

// clear removes the stage with what is left in it.
func (s *stage) clear() error {
	if s.root == nil {
		return nil
	}
	_ = s.root.Close()
	s.root = nil
	return s.target.RemoveAll(s.name)
}

// close ends the extraction, however far it came.
func (s *stage) close() {
	_ = s.clear() // after an error of its own there is nothing to be done
	if s.target != nil {
		if s.sealed != 0 {
			_ = s.target.Chmod(top, s.sealed)
		}
		_ = s.target.Close()
	}
	for _, dir := range s.made {
		_ = os.Remove(dir) // unless there is something in it
	}
}

// grow counts the size of a file against the bound for all of them.
func (s *stage) grow(n int64) error {
	limit := s.opts.Bounds.MaxSize
	if limit == 0 {
		limit = compress.DefaultMaxSize
	}
	if total := s.size.Add(n); limit > 0 && (total > limit || total < 0) {
		return fmt.Errorf("%w: the files take more than %d bytes", blob.ErrTooLarge, limit)
	}
	return nil
}

// hidden reports whether a layer above the present one has a name, or removes
// it.
func (s *stage) hidden(at string) bool {
	if len(s.upper) == 0 {
		return false
	}
	if s.upper[at]&coversName != 0 {
		return true
	}
	for dir := path.Dir(at); dir != "."; dir = path.Dir(dir) {
		if s.upper[dir]&coversBelow != 0 {
			return true
		}
	}
	return s.upper[""]&coversBelow != 0
}

// merge adds what a layer has written.
func (s *stage) merge(u *unpacker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, u.entries...)
	s.links = append(s.links, u.links...)
	s.bytes += u.bytes
	s.names[u.layer] = u.names
	s.removed[u.layer] = slices.Sorted(slices.Values(u.removed))
	for at, c := range u.covers {
		s.upper[at] |= c
	}
}

// pass notes what a layer hides that is not read, and its links.
func (s *stage) pass(l *Layer, layer int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range l.Links {
		if !s.hidden(l.Links[i].Path) {
			s.kept = append(s.kept, staged{l.Links[i], layer})
		}
	}
	for i := range l.Has {
		c := coversAll
		if e := &l.Has[i]; !e.Removed && e.Mode.IsDir() {
			c = coversName
		}
		s.upper[l.Has[i].Path] |= c
	}
}

// commit moves everything to its place.
func (s *stage) commit(ctx context.Context) (*Extracted, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.relink()
	late, err := s.link()
	if err != nil {
		return nil, err
	}
	moved, err := s.place(".", s.root)
	if err != nil {
		return nil, err
	}
	if err := s.linkLate(late); err != nil {
		return nil, err
	}
	s.entries = append(s.entries, s.links...)
	slices.SortStableFunc(s.entries, compareStaged)
	s.entries = lastOfEach(s.entries)
	// Removing it changes the time of the directory.
	if err := s.clear(); err != nil {
		return nil, err
	}
	if err := s.directories(); err != nil {
		return nil, err
	}
	if err := s.restat(moved); err != nil {
		return nil, err
	}
	s.made = nil
	return s.result(), nil
}

func (s *stage) result() *Extracted {
	out := &Extracted{
		Names: s.names, Removed: s.removed, Bytes: s.bytes,
		Entries: make([]Entry, len(s.entries)), Of: make([]int, len(s.entries)),
	}
	for i := range s.entries {
		out.Entries[i], out.Of[i] = s.entries[i].Entry, s.entries[i].layer
	}
	return out
}

// lastOfEach keeps the last of entries with the same path.
func lastOfEach(entries []staged) []staged {
	kept := entries[:0]
	for i := range entries {
		if n := len(kept); n > 0 && kept[n-1].Path == entries[i].Path {
			kept[n-1] = entries[i]
		} else {
			kept = append(kept, entries[i])
		}
	}
	return kept
}

// place moves what a directory of the stage has to the directory of the same
// path in the target, and returns the paths that were moved: where the target
// has no such directory, it is moved as a whole.
func (s *stage) place(dir string, from *os.Root) ([]string, error) {
	names, err := listRoot(from)
	if err != nil {
		return nil, err
	}
	var moved []string
	for _, info := range names {
		at := path.Join(dir, info.Name())
		old, err := s.target.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case info.IsDir() && old.IsDir():
			below, err := s.descend(at, from)
			if err != nil {
				return nil, err
			}
			moved = append(moved, below...)
			continue
		case info.IsDir() || old.IsDir():
			if err := removeAll(s.target, at); err != nil {
				return nil, err
			}
		}
		if err := s.target.Rename(path.Join(s.name, at), at); err != nil {
			return nil, err
		}
		moved = append(moved, at)
	}
	return moved, nil
}

// descend goes on in a directory that stage and target have.
func (s *stage) descend(at string, from *os.Root) ([]string, error) {
	below, err := from.OpenRoot(path.Base(at))
	if err != nil {
		return nil, err
	}
	defer below.Close()
	// Its new mode comes at the end.
	if _, err := allow(s.target, at); err != nil {
		return nil, err
	}
	return s.place(at, below)
}

// listRoot returns what is in a directory.
func listRoot(root *os.Root) ([]fs.FileInfo, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdir(-1)
}

// link makes the further names of files in the stage, when all files are there,
// for their first names may be in other layers. It returns those whose first
// name is in the target only.
func (s *stage) link() (late []staged, err error) {
	for _, e := range s.links {
		_, err := s.root.Lstat(e.Link)
		switch {
		case err == nil:
			err = s.linkStaged(&e.Entry)
		case errors.Is(err, fs.ErrNotExist):
			_, err = s.target.Lstat(e.Link)
			late = append(late, e)
		}
		kind := blob.ErrInvalid
		if errors.Is(err, fs.ErrNotExist) {
			kind = blob.ErrCorrupt // it leads nowhere, also not outside
		}
		if err != nil {
			return nil, &LayerError{e.layer, fmt.Errorf("%s: %w: hard link to %s: %w", blob.Quote(e.Path), kind, blob.Quote(e.Link), err)}
		}
	}
	return late, nil
}

// relink adds those links of layers that were not read which are names of files
// that are replaced: they would stay names of the old ones.
func (s *stage) relink() {
	for _, e := range s.kept {
		if _, err := s.root.Lstat(e.Link); err == nil {
			s.links = append(s.links, e)
		}
	}
}

func (s *stage) linkStaged(e *Entry) error {
	if dir, _ := split(e.Path); dir != "" {
		if err := s.root.MkdirAll(dir, implied); err != nil {
			return err
		}
	}
	err := s.root.Link(e.Link, e.Path)
	if errors.Is(err, fs.ErrExist) {
		if err = s.root.RemoveAll(e.Path); err == nil {
			err = s.root.Link(e.Link, e.Path)
		}
	}
	return err
}

// linkLate makes the names of files that the directory had before.
func (s *stage) linkLate(links []staged) error {
	for i := range links {
		if err := s.linkTarget(&links[i].Entry); err != nil {
			return fmt.Errorf("%s: hard link to %s: %w", blob.Quote(links[i].Path), blob.Quote(links[i].Link), err)
		}
	}
	return nil
}

func (s *stage) linkTarget(e *Entry) error {
	if dir, _ := split(e.Path); dir != "" {
		if err := s.target.MkdirAll(dir, implied); err != nil {
			return err
		}
		if _, err := allow(s.target, dir); err != nil {
			return err
		}
	}
	// A link cannot replace a file, but a rename can.
	temp := path.Join(s.name, rand.Text())
	if err := s.target.Link(e.Link, temp); err != nil {
		return err
	}
	if old, err := s.target.Lstat(e.Path); err == nil && old.IsDir() {
		if err := removeAll(s.target, e.Path); err != nil {
			return err
		}
	}
	if err := s.target.Rename(temp, e.Path); err != nil {
		return err
	}
	// Renaming a name of a file to another name of it does nothing.
	return s.target.RemoveAll(temp)
}

// directories sets the modes and times of directories, the deepest first, and
// notes their state.
func (s *stage) directories() error {
	dirs := handles{top: &place{Root: s.target}}
	defer dirs.close()
	for i := len(s.entries) - 1; i >= 0; i-- {
		e := &s.entries[i].Entry
		if !e.Mode.IsDir() {
			continue
		}
		if err := s.directory(&dirs, e); err != nil {
			return fmt.Errorf("%s: %w", blob.Quote(e.Path), err)
		}
		if e.Path == top {
			s.sealed = 0
		}
	}
	return nil
}

func (s *stage) directory(dirs *handles, e *Entry) error {
	parent, name := split(e.Path)
	at, err := dirs.open(parent, false)
	if err != nil {
		return err
	}
	if s.needsChmod(e.Mode) || e.Mode.Perm()&0o700 != 0o700 {
		if err := at.Chmod(name, e.Mode); err != nil {
			return err
		}
	}
	if err := at.Chtimes(name, e.ModTime, e.ModTime); err != nil {
		return err
	}
	info, err := at.Lstat(name)
	if err != nil {
		return err
	}
	e.Mode, e.ModTime = info.Mode(), info.ModTime()
	e.stat(info)
	return nil
}

// restat notes the state of the files that were changed when they were moved.
func (s *stage) restat(moved []string) error {
	changed := make(map[string]bool, len(moved))
	for _, at := range moved {
		changed[at] = true
	}
	for _, e := range s.links {
		changed[e.Path], changed[e.Link] = true, true
	}
	dirs := handles{top: &place{Root: s.target}}
	defer dirs.close()
	for i := range s.entries {
		e := &s.entries[i].Entry
		if !changed[e.Path] || e.Mode.IsDir() {
			continue
		}
		parent, name := split(e.Path)
		at, err := dirs.open(parent, false)
		if err != nil {
			return err
		}
		info, err := at.Lstat(name)
		if err != nil {
			return err
		}
		e.Mode, e.ModTime = info.Mode(), info.ModTime()
		if e.Mode.IsRegular() && e.Link == "" {
			e.Size = info.Size()
		}
		e.stat(info)
	}
	return nil
}
