package larder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

// loaded is a ref with the cache it points to.
type loaded struct {
	backend.Ref
	*buildkit.Decoded
	// fetched holds the documents that were read beside the ref's own.
	fetched map[blob.Digest][]byte
	// others are the blobs of an image that are no part of its cache, see
	// complete.
	others []blob.Descriptor
}

// digest is the digest of the document.
func (l *loaded) digest() blob.Digest { return digest.FromBytes(l.Data) }

// children returns the documents beside the ref's own in the order in which they
// must be stored: a registry takes a manifest only if its config is there.
func (l *loaded) children() []blob.Descriptor {
	docs := slices.Clone(l.Documents)
	slices.SortStableFunc(docs, func(a, b blob.Descriptor) int {
		return cmp.Compare(manifestRank(a.MediaType), manifestRank(b.MediaType))
	})
	return docs
}

// manifestRank is 0 for what refers to nothing.
func manifestRank(mediaType string) int {
	switch mediaType {
	case ocispec.MediaTypeImageManifest, buildkit.MediaTypeDockerManifest:
		return 1
	case ocispec.MediaTypeImageIndex, buildkit.MediaTypeDockerList:
		return 2
	default:
		return 0
	}
}

// load reads and decodes the cache of a target. The ref is returned along with
// an error of the decoding, so that the caller can replace it. ErrNotFound means
// that there is no such ref; a ref whose documents are incomplete is ErrCorrupt.
func load(ctx context.Context, t Target, limit int64) (*loaded, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	ref, err := t.Backend.GetRef(ctx, t.Ref)
	if err != nil {
		return nil, err
	}
	found := &loaded{Ref: ref, fetched: make(map[blob.Digest][]byte)}
	var mu sync.Mutex
	fetch := func(ctx context.Context, d blob.Descriptor) ([]byte, error) {
		data, err := blob.ReadAll(ctx, d, backend.RawSourceOf(t.Backend, d), readLimit(limit))
		mu.Lock()
		defer mu.Unlock()
		found.fetched[d.Digest] = data
		return data, err
	}
	found.Decoded, err = buildkit.Decode(ctx, ref.MediaType, ref.Data, fetch, buildkit.DecodeOptions{ReadLimit: limit})
	switch {
	case errors.Is(err, backend.ErrNotFound):
		// Only the text goes on: it is not the cache that is not there.
		return found, fmt.Errorf("%s: %w: a document of the cache is missing: %s", t, backend.ErrCorrupt, err.Error())
	case err != nil:
		return found, fmt.Errorf("%s: %w", t, err)
	}
	return found, nil
}

func readLimit(limit int64) int64 {
	if limit <= 0 {
		return buildkit.DefaultReadLimit
	}
	return limit
}
