package larder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// publisher brings one target's ref from one manifest to the next.
type publisher struct {
	destination
	opts ExportOptions
	// reduce, if not nil, returns what is to be published of a merged manifest, and
	// the keys that it left out.
	reduce func(*manifest.Manifest) (*manifest.Manifest, []string)

	// current is the cache that the ref has; nil if there is none.
	current *loaded
	// previous is what of it is to be kept: all, or nil.
	previous *loaded
	version  backend.Version
	// named are the blobs of what the ref has, if that is to be believed.
	named map[blob.Digest]int64
	// assumed are those of the blobs to be there that are taken for present
	// because they are named.
	assumed []blob.Descriptor
}

// Publishing is tried again after a conflict, with a wait of a random part of
// conflictWait, which doubles each time up to conflictWaitMax.
const (
	conflictWait    = 5 * time.Millisecond
	conflictWaitMax = time.Second
)

// maxStandstill is how many conflicts in a row may leave the ref as it was.
// Another exporter's success changes it; a store that still has an old answer,
// or a write of somebody else under way, is given some seconds.
const maxStandstill = 20

// ctx returns a context whose requests count in the target's report.
func (p *publisher) traced(ctx context.Context) context.Context {
	return backend.WithTrace(ctx, p.report.trace())
}

// read loads what the ref has now.
func (p *publisher) read(ctx context.Context) error {
	p.current, p.previous, p.version, p.named = nil, nil, "", nil
	found, err := load(p.traced(ctx), p.Target, p.opts.ReadLimit)
	if found != nil {
		p.version = found.Version
	}
	switch {
	case err == nil && found.Encoding == buildkit.Inline:
		return fmt.Errorf("%w: the ref is an image with inline cache, which an export would destroy; the encoding %s adds to it", backend.ErrExists, buildkit.Inline)
	case err == nil:
		p.current = found
		if !p.opts.Overwrite {
			p.previous = found
		}
		if p.believes(found.Ref) {
			p.named = sizesOf(found.Manifest.Blobs())
		}
		return nil
	case errors.Is(err, buildkit.ErrNotCache):
		return fmt.Errorf("%w: the ref is something else than a cache, which an export would destroy: %w", backend.ErrExists, err)
	case found == nil && errors.Is(err, backend.ErrNotFound):
		return nil
	case found != nil && ctx.Err() == nil && !isTemporary(err):
		p.report.degrade(PreviousUnreadable, found.digest(), err.Error())
		return nil
	default:
		return err
	}
}

func isTemporary(err error) bool {
	_, ok := backend.Temporary(err)
	return ok || errors.Is(err, backend.ErrUnavailable)
}

// plan reads the ref and returns which of the blobs the target needs to be
// sent.
func (p *publisher) plan(ctx context.Context, blobs []blob.Descriptor, t *transfer) ([]blob.Descriptor, error) {
	if p.attaches() {
		return nil, nil // the image has its layers
	}
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	return p.lacking(ctx, blobs, p.named, t)
}

// stale reports whether the age of a blob has to be renewed.
func (p *publisher) stale(info backend.BlobInfo) bool {
	return p.Backend.Info().Capabilities.BlobAges && p.opts.Now().Sub(info.ModTime) > p.opts.RefreshAge/2
}

// publish merges m into the ref until nobody comes between reading and writing.
func (p *publisher) publish(ctx context.Context, m *manifest.Manifest, t *transfer) error {
	if p.attaches() {
		return p.attach(ctx, m)
	}
	standstill := 0
	for wait := conflictWait; ; wait = min(2*wait, conflictWaitMax) {
		err := p.attempt(ctx, m)
		switch {
		case errors.Is(err, backend.ErrConflict):
			if standstill == maxStandstill {
				return p.stuck(err)
			}
			moved, err := p.readAgain(ctx, rand.N(wait))
			if err != nil {
				return err
			}
			if standstill++; moved {
				standstill = 0
			}
		case errors.Is(err, backend.ErrNotFound) && len(p.assumed) > 0:
			// The store misses a blob that the previous manifest promised.
			if err := p.resend(ctx, t); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// readAgain reads the ref after a conflict, and tells whether it has changed.
func (p *publisher) readAgain(ctx context.Context, wait time.Duration) (moved bool, err error) {
	before := p.version
	if err := calls.Pause(ctx, wait); err != nil {
		return false, err
	}
	err = p.read(ctx)
	return p.version != before, err
}

// stuck is the error of a ref that nobody changes and that cannot be written: the
// store's reads and writes contradict each other.
func (p *publisher) stuck(err error) error {
	state := "there is none"
	if p.version != "" {
		state = "it is at version " + string(p.version)
	}
	return fmt.Errorf("ref %s was refused %d times in a row as changed meanwhile, while reading it says each time that %s: %w", p.Ref, maxStandstill+1, state, err)
}

// attempt merges m into what was read of the ref, and writes that.
func (p *publisher) attempt(ctx context.Context, m *manifest.Manifest) error {
	merged := manifest.Merge(m)
	if p.previous != nil {
		merged = manifest.Merge(p.previous.Manifest, m)
	}
	if p.reduce != nil {
		merged, p.report.Dropped = p.reduce(merged)
	}
	doc, err := p.encode(p.label(merged))
	if err != nil {
		return err
	}
	p.report.Digest = digest.FromBytes(doc.Data)
	if p.current != nil && bytes.Equal(doc.Data, p.current.Data) && !p.aging(p.current.Ref) {
		p.report.Outcome = Unchanged
		return nil
	}
	if err := p.write(p.traced(ctx), doc); err != nil {
		return err
	}
	p.report.Outcome = Published
	return nil
}

// aging reports whether an unchanged ref should be written all the same, for
// its age, as far as the store tells that.
func (p *publisher) aging(ref backend.Ref) bool {
	return !ref.ModTime.IsZero() && p.stale(backend.BlobInfo{ModTime: ref.ModTime})
}

// write stores an encoded manifest: its config first, then the ref.
func (p *publisher) write(ctx context.Context, doc *buildkit.Encoded) error {
	if doc.ConfigData != nil {
		if err := p.Backend.Put(ctx, doc.Config, blob.Bytes(doc.ConfigData)); err != nil {
			return err
		}
	}
	ref := backend.Document{MediaType: doc.MediaType, Data: doc.Data}
	_, err := p.Backend.PutRef(ctx, p.Ref, ref, p.condition())
	if errors.Is(err, backend.ErrUnsupported) {
		// Some look-alikes of a service refuse only when they are asked.
		p.unguarded()
		_, err = p.Backend.PutRef(ctx, p.Ref, ref, backend.Always)
	}
	return err
}

// condition is the strongest condition that the store supports.
func (p *publisher) condition() backend.Condition {
	can := p.Backend.Info().Capabilities
	switch {
	case p.version == "" && can.CreateRef:
		return backend.Absent
	case p.version != "" && can.ReplaceRef:
		return backend.Match(p.version)
	default:
		p.unguarded()
		return backend.Always
	}
}

// unguarded notes once that the store cannot compare and swap.
func (p *publisher) unguarded() {
	for _, d := range p.report.Degradations {
		if d.Kind == UnguardedPublish {
			return
		}
	}
	p.report.degrade(UnguardedPublish, "", "the store cannot compare and swap, another exporter's update at the same moment may be lost")
}

// resend sends the assumed blobs that are missing, and drops from what was read
// the records whose blobs are gone.
func (p *publisher) resend(ctx context.Context, t *transfer) error {
	if err := p.supply(ctx, t); err != nil || p.previous == nil {
		return err
	}
	gone, err := absent(p.traced(ctx), p.Backend, p.previous.Manifest.Blobs())
	if err != nil {
		return err
	}
	for d := range gone {
		p.report.degrade(BlobLost, d, "the store no longer has the blob")
	}
	p.previous.Manifest, _ = p.previous.Manifest.WithoutBlobs(gone)
	return nil
}

// encode brings a manifest into the form of the target, leaving out the oldest
// records as far as BuildKit's limit demands.
func (p *publisher) encode(m *manifest.Manifest) (*buildkit.Encoded, error) {
	enc := p.encoding()
	doc, err := buildkit.Encode(m, enc, buildkit.EncodeOptions{})
	if !errors.Is(err, blob.ErrTooLarge) || p.opts.Strict {
		return doc, err
	}
	kept, shed, err := manifest.Shed(m, func(m *manifest.Manifest) (bool, error) {
		doc, err = buildkit.Encode(m, enc, buildkit.EncodeOptions{})
		if errors.Is(err, blob.ErrTooLarge) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, err
	}
	p.report.degrade(RecordsShed, "", fmt.Sprintf("the %d oldest of %d records were left out to stay within BuildKit's limit of %d bytes", shed, len(m.Records), buildkit.ImportLimit))
	return buildkit.Encode(kept, enc, buildkit.EncodeOptions{})
}

// encoding is the form to write the ref in.
func (p *publisher) encoding() buildkit.Encoding {
	switch {
	case p.opts.Encoding != "":
		return p.opts.Encoding
	case p.previous != nil:
		return p.previous.Encoding
	default:
		return buildkit.Encoding(p.Backend.Info().Encoding)
	}
}
