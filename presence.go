package larder

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

// soundings is how many blobs a store is asked about before it is asked about
// all, where a question costs a request: a store that has none of them gets the
// others unasked. If it has one blob in twenty after all, the sample shows that
// 26 times of 27.
const soundings = 64

// want returns those of the blobs that a destination does not have, or whose
// age should be renewed; the others are counted as reused. Where questions cost
// requests it asks about a sample first, and about nothing else if none of that
// is there: Put may find a blob in place too.
func (t *transfer) want(ctx context.Context, blobs []blob.Descriptor, to *destination, stale func(backend.BlobInfo) bool) ([]blob.Descriptor, error) {
	if len(blobs) <= soundings || to.Backend.Info().CheapStat {
		wanted, _, err := t.ask(ctx, blobs, to, stale)
		return wanted, err
	}
	sample, others := sampled(blobs, soundings)
	wanted, found, err := t.ask(ctx, sample, to, stale)
	if err != nil {
		return nil, err
	}
	if found == 0 {
		return append(wanted, others...), nil
	}
	more, _, err := t.ask(ctx, others, to, stale)
	return append(wanted, more...), err
}

// sampled splits n of the blobs, evenly spread, from the others: layers that
// builds have in common lie together, at the bottom.
func sampled(blobs []blob.Descriptor, n int) (sample, others []blob.Descriptor) {
	for i, b := range blobs {
		if i*n/len(blobs) < (i+1)*n/len(blobs) {
			sample = append(sample, b)
		} else {
			others = append(others, b)
		}
	}
	return sample, others
}

// ask is want with a question about each blob. It also returns how many are
// there.
func (t *transfer) ask(ctx context.Context, blobs []blob.Descriptor, to *destination, stale func(backend.BlobInfo) bool) (wanted []blob.Descriptor, found int, err error) {
	there, err := present(backend.WithTrace(ctx, to.report.trace()), to.Backend, blobs)
	if err != nil {
		return nil, 0, err
	}
	for _, b := range blobs {
		info, ok := there[b.Digest]
		if ok && !stale(info) {
			t.reuse(b, to)
			continue
		}
		if !ok {
			to.lacks(b.Digest)
		}
		wanted = append(wanted, b)
	}
	return wanted, len(there), nil
}

// unnamed returns the blobs that are not among those named by a manifest, which
// is reason enough to believe that they are there.
func (t *transfer) unnamed(blobs []blob.Descriptor, named map[blob.Digest]int64, to *destination) []blob.Descriptor {
	var rest []blob.Descriptor
	for _, b := range blobs {
		if size, ok := named[b.Digest]; ok && size == b.Size {
			t.reuse(b, to)
			continue
		}
		rest = append(rest, b)
	}
	return rest
}

// believes reports whether what a ref points to is reason enough to believe
// that its blobs are there: it is recent, or the store keeps what is referenced.
func (p *publisher) believes(ref backend.Ref) bool {
	info := p.Backend.Info()
	if info.CheapStat {
		return false
	}
	return !info.Capabilities.BlobAges || p.opts.Now().Sub(ref.ModTime) < p.opts.RefreshAge/2
}

// lacking returns which of the blobs have to be sent to a target whose ref names
// some of them; nil means that there is no such ref, or none to be believed.
func (p *publisher) lacking(ctx context.Context, blobs []blob.Descriptor, named map[blob.Digest]int64, t *transfer) ([]blob.Descriptor, error) {
	if named == nil {
		return t.want(ctx, blobs, &p.destination, p.stale)
	}
	p.trusted = true
	unknown := t.unnamed(blobs, named, &p.destination)
	if len(unknown) <= soundings {
		return unknown, nil // they are new, and if not, Put finds out
	}
	return t.want(ctx, unknown, &p.destination, p.stale)
}

// namedBy returns the blobs that a document names, with their sizes, leaving
// alone what further documents name.
func namedBy(ctx context.Context, doc backend.Document) map[blob.Digest]int64 {
	var listed struct{ Layers, Manifests []blob.Descriptor }
	named := make(map[blob.Digest]int64)
	if doc.MediaType != "" && json.Unmarshal(doc.Data, &listed) == nil {
		for _, b := range append(listed.Layers, listed.Manifests...) {
			named[b.Digest] = b.Size
		}
		return named
	}
	flat, err := buildkit.Decode(ctx, doc.MediaType, doc.Data, noDocuments, buildkit.DecodeOptions{})
	if err != nil {
		return named // whatever it is, it names nothing that we know
	}
	return sizesOf(flat.Manifest.Blobs())
}

func noDocuments(context.Context, blob.Descriptor) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

func sizesOf(blobs []blob.Descriptor) map[blob.Digest]int64 {
	sizes := make(map[blob.Digest]int64, len(blobs))
	for _, b := range blobs {
		sizes[b.Digest] = b.Size
	}
	return sizes
}

// present asks which of the blobs a backend has at their size.
func present(ctx context.Context, b backend.Blobs, blobs []blob.Descriptor) (map[blob.Digest]backend.BlobInfo, error) {
	if len(blobs) == 0 {
		return nil, nil
	}
	digests := make([]blob.Digest, len(blobs))
	for i, d := range blobs {
		digests[i] = d.Digest
	}
	found, err := b.Stat(ctx, digests...)
	if err != nil {
		return nil, err
	}
	for _, d := range blobs {
		if info, ok := found[d.Digest]; ok && info.Size >= 0 && info.Size != d.Size {
			delete(found, d.Digest)
		}
	}
	return found, nil
}

// absent returns which of the blobs a backend does not have at their size.
func absent(ctx context.Context, b backend.Blobs, blobs []blob.Descriptor) (map[blob.Digest]bool, error) {
	found, err := present(ctx, b, blobs)
	if err != nil {
		return nil, err
	}
	gone := make(map[blob.Digest]bool)
	for _, d := range blobs {
		if _, ok := found[d.Digest]; !ok {
			gone[d.Digest] = true
		}
	}
	return gone, nil
}
