package larder

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

const (
	// probeName is what the names of refs begin with that are written by way of
	// trial.
	probeName = "larder-doctor"
	// probeSize is the size of the content of the layer that is written.
	probeSize = 4 << 10
	// cleanupTime is how long the removal may take, also after the context has
	// ended.
	cleanupTime = 20 * time.Second
	// graceTime is how long a write goes on after its context has ended.
	graceTime = 2 * time.Second
)

// newProbeName returns a name that no ref has.
func newProbeName() string { return probeName + "-" + strings.ToLower(rand.Text()[:12]) }

// probe is what is written by way of trial, and what has to be removed: a cache
// of one record.
type probe struct {
	*doctor

	ref   string
	layer []byte
	desc  blob.Descriptor
	doc   *buildkit.Encoded
	// refs and blobs are what has been written, documents what the refs may have
	// pointed to.
	refs      []string
	blobs     []blob.Digest
	documents []blob.Digest
	// stored and published say that a blob, and a ref, certainly are there.
	stored, published bool
}

func (d *doctor) newProbe() (*probe, error) {
	p := &probe{doctor: d, ref: newProbeName(), layer: probeLayer()}
	p.desc = blob.Describe(ocispec.MediaTypeImageLayer, p.layer)
	b := manifest.NewBuilder()
	now := d.opts.Now()
	layer := b.Layer(p.desc, p.desc.Digest, now, manifest.LayerHandle{})
	b.Result(b.Record(probeName), now, layer)
	m, err := b.Manifest()
	if err != nil {
		return nil, err
	}
	p.doc, err = buildkit.Encode(m, buildkit.Encoding(d.info.Encoding), buildkit.EncodeOptions{})
	return p, err
}

// probeLayer returns a layer of one file, which no store has yet.
func probeLayer() []byte {
	content := make([]byte, probeSize)
	rand.Read(content) // never fails
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	// A bytes.Buffer takes every write.
	_ = w.WriteHeader(&tar.Header{Name: probeName, Mode: 0o644, Size: probeSize})
	_, _ = w.Write(content)
	_ = w.Close()
	return buf.Bytes()
}

// tryWriting writes, reads what was written, and removes it.
func (d *doctor) tryWriting(ctx context.Context) {
	p, err := d.newProbe()
	if err != nil {
		d.check(ctx, backend.CheckWrite, func(context.Context) backend.Finding { return failedWith(err) })
		return
	}
	defer p.remove(ctx)
	if !d.check(ctx, backend.CheckWrite, p.writeBlobs) {
		return
	}
	d.check(ctx, "range reads", func(ctx context.Context) backend.Finding { return d.readRangeOf(ctx, p.desc) })
	if d.info.VerifiesPut {
		d.check(ctx, "digests", p.writeFalse)
	}
	p.chooseName(ctx)
	if d.check(ctx, "write refs", p.writeRef) {
		p.tryConditions(ctx)
	}
}

// put stores a blob that will have to be removed.
func (p *probe) put(ctx context.Context, desc blob.Descriptor, data []byte) error {
	p.blobs = append(p.blobs, desc.Digest) // also if the answer is lost
	err := withGrace(ctx, func(ctx context.Context) error { return p.backend.Put(ctx, desc, blob.Bytes(data)) })
	p.stored = p.stored || err == nil
	return err
}

// putRef writes the ref, which will have to be removed.
func (p *probe) putRef(ctx context.Context, doc backend.Document, cond backend.Condition) (v backend.Version, err error) {
	err = withGrace(ctx, func(ctx context.Context) error {
		v, err = p.backend.PutRef(ctx, p.ref, doc, cond)
		return err
	})
	return v, err
}

// withGrace calls write with a context that ends a while after ctx: a write that
// is given up at once may still be carried out, after the removal of what it
// writes.
func withGrace(ctx context.Context, write func(context.Context) error) error {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if calls.Pause(longer, graceTime) == nil {
			cancel()
		}
	})
	defer stop()
	err := write(longer)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// writeBlobs stores the blobs and looks whether they are there.
func (p *probe) writeBlobs(ctx context.Context) backend.Finding {
	start := p.opts.Now()
	if err := p.put(ctx, p.desc, p.layer); err != nil {
		return failedWith(err)
	}
	took := p.opts.Now().Sub(start)
	if p.doc.ConfigData != nil {
		if err := p.put(ctx, p.doc.Config, p.doc.ConfigData); err != nil {
			return failedWith(err)
		}
	}
	there, err := p.backend.Stat(ctx, p.desc.Digest)
	if err != nil {
		return failedWith(err)
	}
	info, is := there[p.desc.Digest]
	if !is || info.Size >= 0 && info.Size != p.desc.Size {
		f := finding(backend.FindingFailed, "", "a blob was accepted, and is not there afterwards with its size")
		f.Remedy = "a store that shows what was written only later cannot hold caches: look for a setting, or a cache in front of it"
		return f
	}
	data, err := blob.ReadAll(ctx, p.desc, backend.SourceOf(p.backend, p.desc), p.desc.Size)
	if err != nil {
		return failedWith(err)
	}
	if !bytes.Equal(data, p.layer) {
		return failedWith(backend.ErrCorrupt)
	}
	return passed("", "a blob of %d bytes was stored within %s and read back", p.desc.Size, took.Round(10*time.Microsecond))
}

// writeFalse looks whether the store checks digests, as it says.
func (p *probe) writeFalse(ctx context.Context) backend.Finding {
	other := slices.Clone(p.layer)
	other[len(other)/2] ^= 1
	desc := blob.Describe(p.desc.MediaType, other)
	err := p.put(ctx, desc, p.layer)
	switch {
	case errors.Is(err, backend.ErrCorrupt):
		p.blobs = slices.DeleteFunc(p.blobs, func(d blob.Digest) bool { return d == desc.Digest })
		return passed("", "the store refuses content that has another digest than was said")
	case err != nil:
		return failedWith(err)
	default:
		f := finding(backend.FindingFailed, "", "the store accepts content that has another digest than was said")
		f.Remedy = "do not keep caches here: damage in transit would go unnoticed until it is read"
		return f
	}
}

// chooseName gives up the unique name of the ref if refs cannot be removed: one
// that is used again and again leaves less behind.
func (p *probe) chooseName(ctx context.Context) {
	if p.info.Capabilities.CreateRef || !p.keepsRefs(ctx) {
		return
	}
	found, err := Inspect(ctx, Target{Backend: p.backend, Ref: probeName}, InspectOptions{})
	ours := err == nil && len(found.Records) == 1 && found.Records[0].Digest == manifest.KeyDigest(probeName)
	if ours || errors.Is(err, backend.ErrNotFound) {
		p.ref = probeName
	}
}

// keepsRefs reports whether the store refuses to remove refs, going by one that
// does not exist.
func (p *probe) keepsRefs(ctx context.Context) bool {
	if !p.info.Capabilities.DeleteRef {
		return true
	}
	limited, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	return p.backend.DeleteRef(limited, p.ref, backend.Always) != nil
}

// newDocument returns one of many documents with the same meaning, which is
// going to be written to the ref.
func (p *probe) newDocument() backend.Document {
	if !slices.Contains(p.refs, p.ref) {
		p.refs = append(p.refs, p.ref)
	}
	blanks := bytes.Repeat([]byte("\n"), len(p.documents)) // which JSON ignores
	doc := backend.Document{MediaType: p.doc.MediaType, Data: slices.Concat(p.doc.Data, blanks)}
	p.documents = append(p.documents, blob.Describe(doc.MediaType, doc.Data).Digest)
	return doc
}

// writeRef writes a ref and reads it.
func (p *probe) writeRef(ctx context.Context) backend.Finding {
	doc := p.newDocument()
	version, err := p.putRef(ctx, doc, backend.Always)
	if err != nil {
		return failedWith(err)
	}
	p.published = true
	found, err := p.backend.GetRef(ctx, p.ref)
	if err != nil {
		return failedWith(err)
	}
	if !bytes.Equal(found.Data, doc.Data) || found.Version != version {
		f := finding(backend.FindingFailed, "", "a ref was written, and reads otherwise afterwards")
		f.Remedy = "find out whether a cache in front of the store answers with what was there before"
		return f
	}
	return passed("", "a ref was written and read back")
}
