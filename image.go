package larder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

// Bounds of an image: how many documents and configs it may have, as many as
// package buildkit reads, and how many are read at the same time.
const (
	maxDocuments  = 2000
	maxIndexDepth = 4
	imageParallel = 8
)

// image is an image, or an index with what it lists: images, attestations, which
// BuildKit keeps as images, and whatever else.
type image struct {
	blob.Descriptor
	// data is the document; nil for what is listed and is none, or is lost.
	data []byte
	// listed is what an index lists, in its order.
	listed []*image
	// config and layers are what a manifest refers to.
	config *blob.Descriptor
	layers []blob.Descriptor
	// lost is why a listed document cannot be had.
	lost error
}

// isAttestation reports whether a document in an index says something about
// another one. Source: BuildKit's exporter/containerimage/writer.go.
func (i *image) isAttestation() bool {
	p := i.Platform
	return p != nil && p.OS == "unknown" && p.Architecture == "unknown"
}

// below yields what an index lists, directly or not, children before their
// parents.
func (i *image) below() iter.Seq[*image] {
	return func(yield func(*image) bool) {
		for _, l := range i.listed {
			for inner := range l.below() {
				if !yield(inner) {
					return
				}
			}
			if !yield(l) {
				return
			}
		}
	}
}

// complete adds to an image with inline cache what makes a copy of it whole: the
// documents and blobs of attestations, and of images in an index that have no
// cache. Without them a registry would refuse the index.
func (l *loaded) complete(ctx context.Context, t Target, limit int64) error {
	if l.Encoding != buildkit.Inline {
		return nil
	}
	r := newImageReader(t.Backend, limit)
	r.known = l.fetched
	found, err := r.read(ctx, l.Document)
	if err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	seen := make(map[blob.Digest]bool)
	for _, d := range slices.Concat(l.Documents, l.Manifest.Blobs()) {
		seen[d.Digest] = true
	}
	for _, p := range l.Problems {
		seen[p.Blob] = true
	}
	for i := range found.below() {
		l.add(i, seen)
	}
	return nil
}

// add adds what an index lists, unless it was seen before.
func (l *loaded) add(i *image, seen map[blob.Digest]bool) {
	if seen[i.Digest] {
		return
	}
	seen[i.Digest] = true
	switch {
	case i.lost != nil:
		l.Problems = append(l.Problems, buildkit.Problem{Blob: i.Digest, Detail: i.lost.Error()})
	case i.data == nil:
		l.others = append(l.others, i.Descriptor)
	default:
		l.Documents = append(l.Documents, i.Descriptor)
		l.fetched[i.Digest] = i.data
	}
	for _, d := range i.refers() {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			l.others = append(l.others, d)
		}
	}
}

// refers returns the blobs that a manifest refers to.
func (i *image) refers() []blob.Descriptor {
	if i.config == nil {
		return nil
	}
	return append([]blob.Descriptor{*i.config}, i.layers...)
}

// imageReader reads images from a backend.
type imageReader struct {
	backend backend.Backend
	// known are documents that need not be fetched.
	known map[blob.Digest][]byte

	mu sync.Mutex
	// bytesLeft and docsLeft are what may still be read.
	bytesLeft int64
	docsLeft  int
}

func newImageReader(b backend.Backend, limit int64) *imageReader {
	return &imageReader{backend: b, bytesLeft: readLimit(limit), docsLeft: maxDocuments}
}

// read returns the image that a ref points to.
func (r *imageReader) read(ctx context.Context, doc backend.Document) (*image, error) {
	return r.parse(ctx, &image{Descriptor: blob.Describe(doc.MediaType, doc.Data), data: doc.Data}, 0)
}

// parse reads what lies below a document.
func (r *imageReader) parse(ctx context.Context, i *image, depth int) (*image, error) {
	var doc struct {
		Manifests []blob.Descriptor `json:"manifests"`
		Config    *blob.Descriptor  `json:"config"`
		Layers    []blob.Descriptor `json:"layers"`
	}
	if err := json.Unmarshal(i.data, &doc); err != nil {
		return nil, fmt.Errorf("%w: document %s is no image: %w", backend.ErrInvalid, i.Digest, err)
	}
	switch {
	case doc.Config != nil && doc.Manifests == nil:
		i.config, i.layers = doc.Config, doc.Layers
		return i, nil
	case doc.Config != nil || doc.Manifests == nil:
		return nil, fmt.Errorf("%w: document %s is neither an image nor an index of images", backend.ErrInvalid, i.Digest)
	case depth == maxIndexDepth:
		return nil, fmt.Errorf("%w: index with more than %d levels", backend.ErrTooLarge, maxIndexDepth)
	}
	return i, r.readListed(ctx, i, doc.Manifests, depth)
}

// readListed reads the documents that an index lists.
func (r *imageReader) readListed(ctx context.Context, i *image, listed []blob.Descriptor, depth int) error {
	if err := r.reserve(listed); err != nil {
		return fmt.Errorf("index %s: %w", i.Digest, err)
	}
	i.listed = make([]*image, len(listed))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(imageParallel)
	for n, d := range listed {
		group.Go(func() (err error) {
			i.listed[n], err = r.readOne(ctx, d, depth+1)
			return err
		})
	}
	return group.Wait()
}

// readOne reads what an index lists.
func (r *imageReader) readOne(ctx context.Context, d blob.Descriptor, depth int) (*image, error) {
	i := &image{Descriptor: d}
	switch {
	case d.MediaType == buildkit.MediaTypeConfig:
		return nil, fmt.Errorf("%w: the index lists a cache config: it is a cache, and no image", backend.ErrInvalid)
	case !isImageType(d.MediaType):
		return i, nil
	}
	if i.data, i.lost = r.fetch(ctx, d); i.lost == nil {
		return r.parse(ctx, i, depth)
	}
	if errors.Is(i.lost, backend.ErrNotFound) || errors.Is(i.lost, backend.ErrCorrupt) {
		return i, nil
	}
	return nil, i.lost
}

// isImageType reports whether a media type is that of an image or an index.
// Old tools leave it out.
func isImageType(mediaType string) bool {
	switch mediaType {
	case "", ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, buildkit.MediaTypeDockerManifest, buildkit.MediaTypeDockerList:
		return true
	}
	return false
}

// fetch returns the verified content of a document.
func (r *imageReader) fetch(ctx context.Context, d blob.Descriptor) ([]byte, error) {
	if data := r.known[d.Digest]; data != nil {
		return data, nil
	}
	return blob.ReadAll(ctx, d, backend.RawSourceOf(r.backend, d), d.Size)
}

// fetchConfig returns the verified config of an image.
func (r *imageReader) fetchConfig(ctx context.Context, i *image) ([]byte, error) {
	if err := r.reserve([]blob.Descriptor{*i.config}); err != nil {
		return nil, fmt.Errorf("image %s: %w", i.Digest, err)
	}
	return r.fetch(ctx, *i.config)
}

// reserve takes documents from what may still be read.
func (r *imageReader) reserve(docs []blob.Descriptor) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.docsLeft -= len(docs); r.docsLeft < 0 {
		return fmt.Errorf("%w: more than %d documents", backend.ErrTooLarge, maxDocuments)
	}
	for _, d := range docs {
		if err := blob.CheckDescriptor(d); err != nil {
			return err
		}
		if d.Size > r.bytesLeft {
			return fmt.Errorf("%w: %s has %d bytes, %d are left of the limit", backend.ErrTooLarge, d.Digest, d.Size, r.bytesLeft)
		}
		r.bytesLeft -= d.Size
	}
	return nil
}
