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
	i := 0 // evenly spread: layers that builds have in common lie together
	sample, others := split(blobs, func(blob.Descriptor) bool {
		i++
		return (i-1)*soundings/len(blobs) < i*soundings/len(blobs)
	})
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

// split returns the blobs for which is holds, and the others.
func split(blobs []blob.Descriptor, is func(blob.Descriptor) bool) (those, others []blob.Descriptor) {
	for _, b := range blobs {
		if is(b) {
			those = append(those, b)
		} else {
			others = append(others, b)
		}
	}
	return those, others
}

// ask is want with a question about each blob. It also returns how many are
// there.
func (t *transfer) ask(ctx context.Context, blobs []blob.Descriptor, to *destination, stale func(backend.BlobInfo) bool) (wanted []blob.Descriptor, found int, err error) {
	there, err := present(backend.WithTrace(ctx, to.report.trace()), to.Backend, blobs)
	switch {
	case errors.Is(err, backend.ErrDenied):
		return blobs, 0, nil // who may not ask may still write
	case err != nil:
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
	var unknown []blob.Descriptor
	p.assumed, unknown = split(blobs, func(b blob.Descriptor) bool {
		size, ok := named[b.Digest]
		return ok && size == b.Size
	})
	for _, b := range p.assumed {
		t.reuse(b, &p.destination)
	}
	if len(unknown) <= soundings {
		return unknown, nil // they are new, and if not, Put finds out
	}
	return t.want(ctx, unknown, &p.destination, p.stale)
}

// supply asks for the blobs that were taken for present, of which the store
// seems to miss some, and sends those.
func (p *publisher) supply(ctx context.Context, t *transfer) error {
	assumed := p.assumed
	p.assumed = nil
	for _, b := range assumed {
		p.report.uncount(&p.report.Reused, b.Size)
	}
	missing, _, err := t.ask(ctx, assumed, &p.destination, p.stale)
	if err != nil {
		return err
	}
	if err := t.send(ctx, parcels(map[*destination][]blob.Descriptor{&p.destination: missing}, []*destination{&p.destination})); err != nil {
		return err
	}
	return p.failed()
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
