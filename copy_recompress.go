package larder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
	"github.com/larder-build/larder/manifest"
)

// Recompression says how the layers of a copy are to be compressed.
type Recompression struct {
	// Compression is that of layers which are not compressed; "" leaves all
	// layers as they are. Level is its level, 0 its default.
	Compression compress.Compression
	Level       int
	// Force also changes layers of another compression, as BuildKit's attribute
	// force-compression does; with a Level it changes those of the same one too,
	// because nothing says which level they have.
	Force bool
	// Bounds limit what a layer may decompress to that does not declare its size.
	Bounds compress.Options
	// TempDir is where layers are kept until they are stored that are too large
	// for memory; the default is os.TempDir.
	TempDir string
}

// Recompressed counts the layers of which a copy has changed the compression,
// with their sizes before and after in bytes.
type Recompressed struct {
	Blobs  int   `json:"blobs"`
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

func (r Recompression) check() error {
	switch {
	case r.Compression != "":
		return compress.CheckLevel(r.Compression, r.Level)
	case r.Level != 0 || r.Force:
		return fmt.Errorf("%w: a level, or force, without a compression", backend.ErrInvalid)
	default:
		return nil
	}
}

// changes reports whether a layer is to be compressed anew. What it is like is
// taken from its media type and annotations, as BuildKit does it.
func (r Recompression) changes(l manifest.Layer) bool {
	now, ok := compress.OfMediaType(l.MediaType)
	if r.Compression == "" || !ok || compress.IsForeign(l.MediaType) {
		return false
	}
	if now == compress.Gzip && compress.IsEStargz(l.Annotations) {
		now = compress.EStargz
	}
	if now == r.Compression {
		return r.Force && r.Level != 0
	}
	return r.Force || now == compress.Uncompressed
}

// recompressing is the part of a copy that changes layers.
type recompressing struct {
	Recompression
	*transfer // of what is read
	source    backend.Backend
	to        []*destination
	// share is how many processors there are for each layer.
	share int

	mu sync.Mutex
	// made has the new layers, by the digests of the old ones.
	made map[blob.Digest]compress.Layer
}

// changed returns the distinct blobs of a manifest that are to be compressed
// anew, as the layers that they are, and the others.
func (r Recompression) changed(m *manifest.Manifest) (changed []manifest.Layer, others []blob.Descriptor) {
	seen := make(map[blob.Digest]bool)
	for _, l := range m.Layers {
		switch {
		case seen[l.Digest]:
		case r.changes(l):
			changed = append(changed, l)
		default:
			others = append(others, l.Descriptor())
		}
		seen[l.Digest] = true
	}
	return changed, others
}

// run compresses layers and stores them at all destinations, the largest first,
// as many at a time as there are processors. A layer that the source does not
// give is noted as lost. Only the end of the context, and of room for temporary
// files, is an error.
func (r *recompressing) run(ctx context.Context, layers []manifest.Layer) error {
	slices.SortStableFunc(layers, func(a, b manifest.Layer) int { return cmp.Compare(b.Size, a.Size) })
	for _, l := range layers {
		r.step(StepPlanned, l.Digest, l.Size)
	}
	processors := runtime.GOMAXPROCS(0)
	r.share = max(1, processors/max(1, len(layers)))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(processors)
	for _, l := range layers {
		group.Go(func() error { return r.layer(ctx, l) })
	}
	return group.Wait()
}

// step reports a step for all destinations.
func (r *recompressing) step(kind StepKind, d blob.Digest, bytes int64) {
	for _, to := range r.to {
		r.progress.step(kind, to.index, d, bytes)
	}
}

// recompressMemory is the size of compressed layers, in bytes, up to which they
// are kept in memory.
const recompressMemory = 8 << 20

// layer compresses one layer anew.
func (r *recompressing) layer(ctx context.Context, old manifest.Layer) error {
	if !slices.ContainsFunc(r.to, func(to *destination) bool { return to.failed() == nil }) {
		return nil
	}
	out, err := newSpool(r.TempDir, old.Size, recompressMemory, nil)
	if err != nil {
		return err
	}
	defer out.close()
	source := &metered{
		Source: backend.RawSourceOf(r.source, old.Descriptor()),
		moved:  func(n int64) { r.step(StepMoved, old.Digest, n) },
	}
	layer, err := r.write(ctx, out, source, old)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case source.fault() != nil, errors.Is(err, blob.ErrCorrupt), errors.Is(err, blob.ErrTooLarge):
		r.lose(old.Digest, err)
		r.step(StepFailed, old.Digest, old.Size)
		return nil
	default:
		return fmt.Errorf("recompress layer %s: %w", old.Digest, err)
	}
	r.store(ctx, layer.Descriptor, out.source())
	r.step(StepSent, old.Digest, old.Size)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made[old.Digest] = layer
	return ctx.Err()
}

// write compresses a layer into out.
func (r *recompressing) write(ctx context.Context, out *spool, source blob.Source, old manifest.Layer) (compress.Layer, error) {
	content, err := source.Open(ctx)
	if err != nil {
		return compress.Layer{}, err
	}
	verified := blob.NewReader(content, old.Descriptor())
	defer verified.Close()
	layer, err := compress.Recompress(ctx, out, verified, r.Compression, declared(old, r.Bounds), compress.WriterOptions{Level: r.Level, Concurrency: r.share})
	if err != nil {
		return compress.Layer{}, err
	}
	if tar := layer.TarDiffID(); old.DiffID != "" && tar != old.DiffID {
		return compress.Layer{}, fmt.Errorf("blob %s: %w: uncompressed content has digest %s, the manifest says diffID %s", old.Digest, blob.ErrCorrupt, tar, old.DiffID)
	}
	if strings.HasPrefix(old.MediaType, dockerPrefix) {
		layer.MediaType = r.Compression.DockerMediaType()
	}
	return layer, nil
}

// dockerPrefix begins the media types of Docker.
const dockerPrefix = "application/vnd.docker."

// store puts a layer into all destinations that have not failed.
func (r *recompressing) store(ctx context.Context, d blob.Descriptor, src blob.Source) {
	one := newTransfer(ContentFunc(func(blob.Descriptor) blob.Source { return src }), nil)
	wanted := make(map[*destination][]blob.Descriptor)
	for _, to := range r.to {
		wanted[to] = []blob.Descriptor{d}
	}
	for _, p := range parcels(wanted, r.to) {
		one.deliver(ctx, p)
	}
	for _, err := range one.lost { // what was written a moment ago
		for _, to := range r.to {
			to.fail(err)
		}
	}
}

// rewrite returns a manifest with the new layers in place of the old ones.
func (r *recompressing) rewrite(m *manifest.Manifest) *manifest.Manifest {
	out := *m
	out.Layers = slices.Clone(m.Layers)
	for i := range out.Layers {
		if made, ok := r.made[out.Layers[i].Digest]; ok {
			out.Layers[i] = replaced(out.Layers[i], made)
		}
	}
	return out.Canonical()
}

// replaced returns a layer with what a recompression has made of it.
func replaced(l manifest.Layer, made compress.Layer) manifest.Layer {
	l.Digest, l.DiffID, l.Size, l.MediaType = made.Digest, made.DiffID, made.Size, made.MediaType
	l.Annotations = maps.Clone(l.Annotations)
	compress.DropAnnotations(l.Annotations)
	_, sized := l.Annotations[AnnotationTarSize]
	for name, value := range annotationsOf(made) {
		if sized || name != AnnotationTarSize {
			if l.Annotations == nil {
				l.Annotations = make(map[string]string)
			}
			l.Annotations[name] = value
		}
	}
	return l
}

// total counts what was made.
func (r *recompressing) total(layers []manifest.Layer) *Recompressed {
	total := &Recompressed{}
	for _, l := range layers {
		if made, ok := r.made[l.Digest]; ok {
			total.Blobs++
			total.Before += l.Size
			total.After += made.Size
		}
	}
	return total
}
