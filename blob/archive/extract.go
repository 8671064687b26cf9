package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
)

// Layer is one layer of a stack that [Extract] applies.
type Layer struct {
	// Open returns the layer as it is stored: a tar, compressed or not. The
	// context governs the reader until Extract closes it. If it is nil, the
	// directory has what the layer holds, which is not read.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// TarSize is the size of the layer's tar in bytes, if that is known. It then
	// bounds what the layer decompresses to, in place of a factor by which it may
	// expand, and a tar of another size is damaged.
	TarSize int64
	// Has are the names in a layer that is not read and is not disjoint: those
	// that it replaces or removes in the layers below it.
	Has []Entry
	// Links are the hard links in a layer that is not read. They are made anew if
	// the file whose names they are is replaced.
	Links []Entry
	// Disjoint says that the layer has no name but directories in common with
	// any other disjoint layer, and that all disjoint layers are below the
	// others. Such layers are applied at the same time.
	Disjoint bool
}

// ExtractOptions are the options of [Extract].
type ExtractOptions struct {
	// Concurrency is how many disjoint layers are read at the same time; 0 means
	// as many as there are processors.
	Concurrency int
	// Bounds limit what a layer decompresses to, and by their MaxSize what all
	// files take, holes included.
	Bounds compress.Options
	// Owners gives the files to whom the layers say, which takes privileges.
	Owners bool
	// Xattrs sets extended attributes.
	Xattrs bool
	// SetID keeps set-user-ID and set-group-ID bits; without it they are left
	// out.
	SetID bool
	// Devices makes device nodes, which takes privileges; without it they are an
	// error matching [blob.ErrInvalid].
	Devices bool
}

// Extracted says what [Extract] has done.
type Extracted struct {
	// Entries are the names that were written, sorted, as Walk would list them
	// now, and Of has for each the position of the layer that it is from.
	Entries []Entry
	Of      []int
	// Names says of each layer how many names it has, and Removed which paths it
	// removes from those below it, sorted.
	Names   []int
	Removed [][]string
	// Bytes is the size of the files in bytes, holes included.
	Bytes int64
}

// Extract applies a stack of layers, lowest first, to a directory, which is
// made if there is none. What the layers do not have is left alone.
//
// Layers are hostile until proven otherwise: nothing outside of the directory is
// written, linked to or changed, whatever names and links they hold; what would
// is an error matching [blob.ErrInvalid]. What cannot be read as a layer is one
// matching [blob.ErrCorrupt], what exceeds the bounds one matching
// [blob.ErrTooLarge], and each of these is a [LayerError] that tells which layer
// it is about. Everything is written to a directory
// of its own in dir first, and moved to its place when all layers have been
// read: after an error of a layer dir is as it was. The move replaces each file
// at once; one that is cut off leaves old and new files, all whole.
func Extract(ctx context.Context, dir string, layers []Layer, opts ExtractOptions) (*Extracted, error) {
	if opts.Concurrency <= 0 {
		opts.Concurrency = runtime.GOMAXPROCS(0)
	}
	s, err := newStage(dir, len(layers), opts)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := s.apply(ctx, layers); err != nil {
		return nil, err
	}
	return s.commit(ctx)
}

// apply reads all layers, the uppermost first, so that nothing is written that
// is then replaced.
func (s *stage) apply(ctx context.Context, layers []Layer) error {
	top := len(layers)
	for top > 0 && !layers[top-1].Disjoint {
		top--
		if err := s.layer(ctx, &layers[top], top); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.opts.Concurrency)
	for i := range layers[:top] {
		group.Go(func() error { return s.layer(ctx, &layers[i], i) })
	}
	return group.Wait()
}

// bounds returns what a layer may decompress to.
func (s *stage) bounds(l *Layer) compress.Options {
	bounds := s.opts.Bounds
	if l.TarSize > 0 && bounds.MaxExpansion == 0 {
		bounds.MaxExpansion = -1
		if bounds.MaxSize <= 0 || l.TarSize < bounds.MaxSize {
			bounds.MaxSize = l.TarSize
		}
	}
	return bounds
}

// LayerError says that a layer could not be applied.
type LayerError struct {
	// Layer is its position in the stack.
	Layer int
	Err   error
}

// Error implements error.
func (e *LayerError) Error() string { return fmt.Sprintf("layer %d: %v", e.Layer, e.Err) }

// Unwrap returns Err.
func (e *LayerError) Unwrap() error { return e.Err }

// layer writes what a layer has and those above it do not hide.
func (s *stage) layer(ctx context.Context, l *Layer, i int) error {
	if l.Open == nil {
		s.pass(l, i)
		return nil
	}
	if err := s.read(ctx, l, i); err != nil {
		return &LayerError{i, err}
	}
	return nil
}

func (s *stage) read(ctx context.Context, l *Layer, i int) error {
	r, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	content, err := compress.NewReader(r, s.bounds(l))
	if err != nil {
		return err
	}
	defer content.Close()
	w := &unpacker{ctx: ctx, stage: s, layer: i, hides: !l.Disjoint, dirs: handles{top: &place{Root: s.root}}}
	defer w.dirs.close()
	err = w.unpack(content)
	if err != nil && !errors.Is(err, blob.ErrInvalid) {
		return err
	}
	s.merge(w)
	// What verifies the layer has its say at the end, also on what looks hostile
	// and is but damaged.
	if end := finish(content, l); end != nil {
		return end
	}
	return err
}

// finish reads a layer to its end and checks how much there was.
func finish(content *compress.Reader, l *Layer) error {
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	if err := content.Drain(); err != nil {
		return err
	}
	switch size := content.Size(); {
	case size == 0:
		// A tar reader takes the end of its input for that of the tar.
		return fmt.Errorf("%w: it is empty, not even a tar without entries", blob.ErrCorrupt)
	case l.TarSize > 0 && size != l.TarSize:
		return fmt.Errorf("%w: the tar has %d bytes, want %d", blob.ErrCorrupt, size, l.TarSize)
	default:
		return nil
	}
}
