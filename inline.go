package larder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// AttachInline puts a cache into images that are there already, so that
// BuildKit finds it in them: those results of m that consist of an image's own
// layers, and the links between all records. It is what an [Export] does to
// targets with the encoding inline, and can be mixed with others there.
//
// No layer is sent or changed. The image gets a new config and manifest, and an
// index of images, where each gets what consists of its own layers, new entries
// for those. They are stored first, then the ref is swapped. Records that the
// image has already are kept, unless opts say Overwrite.
//
// The image's digest changes, from Replaced to Digest in the report: what refers
// to the old one, such as a signature, does not apply to the new one.
// Attestations in an index stay as they are, which is noted as
// [AttestationsStale].
//
// An image without any of the cache's layers is left alone: its target is
// skipped, and the report has [NothingToPublish]. If the ref is pointed to
// something else meanwhile, the error matches ErrConflict and the other image
// stays, because it need not be one that the cache belongs to; a store that
// cannot compare and swap is written all the same, noted as [UnguardedPublish].
// A ref that does not exist is ErrNotFound, one that is no image ErrInvalid, a
// store that holds no images ErrUnsupported.
func AttachInline(ctx context.Context, m *manifest.Manifest, images []Target, opts ExportOptions) (*Report, error) {
	opts.Encoding = ""
	images = slices.Clone(images)
	for i := range images {
		images[i].Encoding = buildkit.Inline
	}
	nothing := ContentFunc(func(blob.Descriptor) blob.Source { return nil })
	return Export(ctx, m, nothing, images, opts)
}

// attaches reports whether the target is an image that gets a cache.
func (p *publisher) attaches() bool { return p.opts.Encoding == buildkit.Inline }

// attaching is the change of one image.
type attaching struct {
	*publisher
	images *imageReader
	cache  *manifest.Manifest
	// changed are the configs and documents to be stored, in this order.
	changed []stored
	// added are the parts of cache that belong to the images.
	added []*manifest.Manifest
}

// stored is a small blob with its content.
type stored struct {
	blob.Descriptor
	data []byte
}

// attach puts a cache into the image that the ref has.
func (p *publisher) attach(ctx context.Context, m *manifest.Manifest) error {
	if p.Backend.Info().Encoding == string(buildkit.Flat) {
		return fmt.Errorf("%w: this kind of store holds no images", backend.ErrUnsupported)
	}
	ctx = p.traced(ctx)
	ref, err := p.Backend.GetRef(ctx, p.Ref)
	if err != nil {
		return fmt.Errorf("image to attach the cache to: %w", err)
	}
	p.version = ref.Version
	a := &attaching{publisher: p, images: newImageReader(p.Backend, p.opts.ReadLimit), cache: m}
	found, err := a.images.read(ctx, ref.Document)
	if err != nil {
		return err
	}
	data, err := a.change(ctx, found)
	if err != nil {
		return err
	}
	return a.swap(ctx, ref, data)
}

// swap stores what has changed and makes the ref point to the new image.
func (a *attaching) swap(ctx context.Context, ref backend.Ref, data []byte) error {
	report := a.report
	report.Attached = a.attached()
	report.Digest = digest.FromBytes(data)
	switch {
	case len(a.added) == 0:
		report.Outcome = Skipped
		report.degrade(NothingToPublish, "", buildkit.ErrNothingAttached.Error())
		return nil
	case bytes.Equal(data, ref.Data):
		report.Outcome = Unchanged
		return nil
	}
	for _, s := range a.changed {
		if err := a.Backend.Put(ctx, s.Descriptor, blob.Bytes(s.data)); err != nil {
			return err
		}
	}
	err := a.putRef(ctx, ref, backend.Document{MediaType: ref.MediaType, Data: data})
	if errors.Is(err, backend.ErrConflict) {
		return fmt.Errorf("the image was replaced by another one meanwhile, which was left alone: %w", err)
	}
	if err != nil {
		return err
	}
	report.Outcome, report.Replaced = Published, digest.FromBytes(ref.Data)
	return nil
}

// putRef replaces the image that was read. A store that cannot compare and swap
// is asked once more what it has, which leaves little time to be overtaken in.
func (a *attaching) putRef(ctx context.Context, old backend.Ref, doc backend.Document) error {
	if !a.Backend.Info().Capabilities.ReplaceRef {
		now, err := a.Backend.GetRef(ctx, a.Ref)
		if err != nil {
			return err
		}
		if !bytes.Equal(now.Data, old.Data) {
			return fmt.Errorf("%w: the ref points to %s, want %s", backend.ErrConflict, digest.FromBytes(now.Data), digest.FromBytes(old.Data))
		}
	}
	_, err := a.Backend.PutRef(ctx, a.Ref, doc, a.condition())
	return err
}

// attached returns how many records have a result in one of the images.
func (a *attaching) attached() int {
	n := 0
	for _, r := range manifest.Merge(a.added...).Records {
		if len(r.Results) > 0 {
			n++
		}
	}
	return n
}

// change returns the document of an image or index with the cache attached, or
// as it was if nothing belongs there.
func (a *attaching) change(ctx context.Context, i *image) ([]byte, error) {
	switch {
	case i.listed != nil:
		return a.changeIndex(ctx, i)
	case i.config == nil:
		return i.data, nil
	default:
		return a.changeImage(ctx, i)
	}
}

func (a *attaching) changeIndex(ctx context.Context, i *image) ([]byte, error) {
	replaced := make(map[blob.Digest][]byte)
	attested := false
	for _, l := range i.listed {
		if l.lost != nil {
			a.report.degrade(DocumentDamaged, l.Digest, "an image that the index lists gets no cache: "+l.lost.Error())
			continue
		}
		if l.isAttestation() {
			attested = true
			continue
		}
		data, err := a.change(ctx, l)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(data, l.data) {
			continue
		}
		replaced[l.Digest] = data
		a.changed = append(a.changed, stored{blob.Describe(l.MediaType, data), data})
	}
	if len(replaced) == 0 {
		return i.data, nil
	}
	if attested {
		a.report.degrade(AttestationsStale, i.Digest, "the attestations in the index are about the images as they were before")
	}
	return buildkit.Relink(i.data, replaced)
}

func (a *attaching) changeImage(ctx context.Context, i *image) ([]byte, error) {
	config, err := a.images.fetchConfig(ctx, i)
	if err != nil {
		return nil, fmt.Errorf("image %s: config: %w", i.Digest, err)
	}
	data, newConfig, err := buildkit.AttachInline(i.data, config, a.cache)
	if errors.Is(err, buildkit.ErrNothingAttached) {
		return i.data, nil
	}
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", i.Digest, err)
	}
	added, err := decodeImage(ctx, i.MediaType, data, newConfig)
	if err != nil {
		return nil, fmt.Errorf("image %s with the cache: %w", i.Digest, err)
	}
	a.added = append(a.added, added)
	if data, newConfig, err = a.keep(ctx, i, config, added); err != nil {
		return nil, fmt.Errorf("image %s: %w", i.Digest, err)
	}
	a.changed = append(a.changed, stored{blob.Describe(i.config.MediaType, newConfig), newConfig})
	return data, nil
}

// keep returns the image with what is added to the cache that it has.
func (a *attaching) keep(ctx context.Context, i *image, config []byte, added *manifest.Manifest) (newManifest, newConfig []byte, err error) {
	merged := manifest.Merge(added)
	if !a.opts.Overwrite {
		before, err := decodeImage(ctx, i.MediaType, i.data, config)
		switch {
		case err == nil:
			merged = manifest.Merge(before, added)
		case !errors.Is(err, buildkit.ErrNotCache):
			a.report.degrade(PreviousUnreadable, i.Digest, err.Error())
		}
	}
	return buildkit.AttachInline(i.data, config, merged)
}

// decodeImage returns the cache in an image.
func decodeImage(ctx context.Context, mediaType string, data, config []byte) (*manifest.Manifest, error) {
	fetch := func(context.Context, blob.Descriptor) ([]byte, error) { return config, nil }
	found, err := buildkit.Decode(ctx, mediaType, data, fetch, buildkit.DecodeOptions{})
	if err != nil {
		return nil, err
	}
	return found.Manifest, nil
}
