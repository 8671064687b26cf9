package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// ErrNotCache says that a document is none of the forms of a BuildKit cache: an
// image or an index without one, or something else altogether. A cache that is
// damaged does not match it.
var ErrNotCache error = blob.NewSentinel("not a build cache", nil)

// DecodeOptions bounds what [Decode] reads.
type DecodeOptions struct {
	// ReadLimit is the largest document to be read, in bytes, and the most that
	// all documents it refers to may have together. The default is
	// DefaultReadLimit.
	ReadLimit int64
}

// maxFetches is how many documents of an index are fetched at the same time.
const maxFetches = 8

// Decode reads a cache in any of BuildKit's forms. Which one it is it decides
// by the fields of the document, as BuildKit does: manifests make an index, a
// config makes an image manifest, layers or records without either make the
// flat form. mediaType, which the store or the descriptor said of the document,
// may be "" or wrong; it only tells a Docker list from an OCI index that does
// not say itself. In an index that lists a cache config, the other descriptors
// are layers; in any other they are images, of which all platforms are read.
//
// fetch is called for the config, and for the manifests and configs of images,
// several at a time; ctx governs that. It must return verified content.
//
// What is wrong with the whole document is an error: matching [ErrNotCache] if
// it is no cache, [blob.ErrInvalid] with the place if BuildKit would ignore all
// of it, [blob.ErrTooLarge] if it exceeds a limit, or what fetch returned. What
// costs only a part is left out and told in Problems.
func Decode(ctx context.Context, mediaType string, data []byte, fetch Fetch, opts DecodeOptions) (*Decoded, error) {
	limit := opts.ReadLimit
	if limit <= 0 {
		limit = DefaultReadLimit
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: the document has %d bytes, the limit is %d", blob.ErrTooLarge, len(data), limit)
	}
	document, err := parse(data)
	if err != nil {
		return nil, invalid("the document", err)
	}
	d := &decoder{fetch: fetch, bytesLeft: limit}
	found, err := d.document(ctx, mediaType, document)
	if err != nil {
		return nil, err
	}
	found.Problems = d.allProblems()
	return found, nil
}

func (d *decoder) document(ctx context.Context, mediaType string, document value) (*Decoded, error) {
	if document[0] != '{' {
		return nil, fmt.Errorf("%w: the document %w", ErrNotCache, document.mismatchObject())
	}
	s, err := outline(document)
	if err != nil {
		return nil, err
	}
	switch {
	case s.manifests:
		return d.index(ctx, mediaType, document)
	case s.config:
		return d.imageManifest(ctx, document)
	case s.schemaVersion:
		return nil, fmt.Errorf("%w: a manifest without a config", ErrNotCache)
	case s.layers || s.records || s.empty && !isManifest(mediaType) && !isIndex(mediaType):
		return d.flat(document)
	default:
		return nil, fmt.Errorf("%w: the document has neither manifests nor config, layers or records", ErrNotCache)
	}
}

// shape says which of the fields that tell the forms apart a document has.
type shape struct {
	manifests, config, layers, records, schemaVersion, empty bool
}

func outline(document value) (shape, error) {
	s := shape{empty: true}
	if document[0] != '{' {
		return s, document.mismatchObject()
	}
	var mediaType string
	for f := range document.fields() {
		s.empty = false
		there := !f.value.absent()
		switch string(f.name) {
		case "manifests":
			s.manifests = there
		case "config":
			s.config = there
		case "layers":
			s.layers = there
		case "records":
			s.records = there
		case "schemaVersion":
			s.schemaVersion = there
		case "mediaType":
			mediaType, _ = f.value.text() // what is no string is refused later
		}
	}
	return s, s.check(mediaType)
}

// check refuses what two readers could take for two different things, as
// BuildKit does: util/imageutil, DetectManifestBlobMediaType.
func (s shape) check(mediaType string) error {
	switch {
	case s.manifests && (s.config || s.layers):
		return fmt.Errorf("%w: the document has manifests like an index, and config or layers like a manifest", blob.ErrInvalid)
	case s.manifests && isManifest(mediaType):
		return fmt.Errorf("%w: the document has manifests like an index, but its mediaType is %s", blob.ErrInvalid, mediaType)
	case (s.config || s.layers) && isIndex(mediaType):
		return fmt.Errorf("%w: the document has config or layers like a manifest, but its mediaType is %s", blob.ErrInvalid, mediaType)
	}
	return nil
}

func isManifest(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageManifest || mediaType == MediaTypeDockerManifest
}

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == MediaTypeDockerList
}

// finish ends the reading of one cache config: it refuses what does not hold
// together, and takes out the layers about which nothing is known.
func finish(m *manifest.Manifest, unknown []bool) (*manifest.Manifest, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if slices.Contains(unknown, true) {
		m, _ = m.Without(func(layer int) bool { return unknown[layer] })
	}
	return m, nil
}

// fetchOne fetches a document without which there is no cache.
func (d *decoder) fetchOne(ctx context.Context, doc descriptor) ([]byte, error) {
	contents, lost, err := d.fetchAll(ctx, []descriptor{doc})
	if err != nil {
		return nil, err
	}
	return contents[0], lost[0]
}

// fetchAll fetches documents, several at a time. What the store has lost costs
// only the documents concerned: it is told in lost, by position.
func (d *decoder) fetchAll(ctx context.Context, docs []descriptor) (contents [][]byte, lost []error, err error) {
	if err := d.reserve(docs); err != nil {
		return nil, nil, err
	}
	contents, lost = make([][]byte, len(docs)), make([]error, len(docs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxFetches)
	for i, doc := range docs {
		g.Go(func() error {
			data, err := d.fetch(ctx, doc.Descriptor)
			if err != nil {
				err = fmt.Errorf("%s %s: %w", nameOf(doc.MediaType), doc.Digest, err)
			}
			contents[i] = data
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, blob.ErrCorrupt) {
				lost[i], err = err, nil
			}
			return err
		})
	}
	return contents, lost, g.Wait()
}

// reserve takes the sizes of documents from what may still be read.
func (d *decoder) reserve(docs []descriptor) error {
	if d.fetch == nil && len(docs) > 0 {
		return fmt.Errorf("%w: the document refers to others and there is no Fetch for them", blob.ErrInvalid)
	}
	for _, doc := range docs {
		if doc.Size > d.bytesLeft {
			return fmt.Errorf("%w: %s %s has %d bytes, %d are left of the limit", blob.ErrTooLarge, nameOf(doc.MediaType), doc.Digest, doc.Size, d.bytesLeft)
		}
		d.bytesLeft -= doc.Size
	}
	return nil
}

// nameOf names a kind of document in an error.
func nameOf(mediaType string) string {
	switch {
	case mediaType == MediaTypeConfig:
		return "cache config"
	case isManifest(mediaType):
		return "image manifest"
	case isIndex(mediaType):
		return "index"
	default:
		return "image config"
	}
}
