package larder

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

// read asks for a ref that is not there, twice: the first time may include the
// making of a connection, the second is what a request takes.
func (d *doctor) read(ctx context.Context) backend.Finding {
	var took time.Duration
	name := newProbeName()
	for range 2 {
		start := d.opts.Now()
		_, err := d.backend.GetRef(ctx, name)
		took = d.opts.Now().Sub(start)
		if err != nil && !errors.Is(err, backend.ErrNotFound) {
			return failedWith(err)
		}
	}
	return passed("", "a request takes %s", took.Round(10*time.Microsecond))
}

// readRef looks at a ref that the store will be used for.
func (d *doctor) readRef(ctx context.Context, ref string) backend.Finding {
	found, err := load(ctx, Target{Backend: d.backend, Ref: ref}, 0)
	if found != nil && found.Decoded != nil {
		d.blobs = append(d.blobs, found.Manifest.Blobs()...)
	}
	switch l := describe(ref, found, err); {
	case err == nil && d.opts.Images && l.Kind != KindInline:
		return unfit("it is a cache that stands for itself, and no image", "name an image, or another type of location")
	case err == nil:
		return passed("", "a cache of %d records and %d blobs (%s)", l.Totals.Records, l.Totals.Blobs, l.Encoding)
	case l.Kind == KindImage && d.opts.Images:
		return passed("", "an image, which has no cache yet")
	case errors.Is(err, buildkit.ErrNotCache):
		return unfit("it is no cache, so that an export to it would be refused: "+reason(err),
			"name another ref, or put the cache into the image, as type=inline does")
	case found == nil && errors.Is(err, backend.ErrNotFound) && d.opts.Images:
		return unfit("there is none: an image has to be there before a cache is put into it", "push the image first")
	case found == nil && errors.Is(err, backend.ErrNotFound):
		return note("", "there is none yet")
	case found != nil && isDamaged(err):
		return unfit("it is a damaged cache: "+reason(err), "export again, which replaces it")
	default:
		return failedWith(err)
	}
}

// unfit is the finding that a ref is not fit for what it is named for.
func unfit(detail, remedy string) backend.Finding {
	return backend.Finding{Status: backend.FindingWarning, Detail: detail, Remedy: remedy}
}

func isDamaged(err error) bool {
	return errors.Is(err, backend.ErrCorrupt) || errors.Is(err, backend.ErrInvalid) || errors.Is(err, backend.ErrTooLarge)
}

// maxListed is how many refs or blobs are looked at in a list.
const maxListed = 1000

func (d *doctor) listRefs(ctx context.Context) backend.Finding {
	if !d.info.Capabilities.ListRefs {
		return note("", "this store does not tell which refs it has: they have to be known by name")
	}
	n := 0
	for _, err := range d.backend.ListRefs(ctx) {
		if errors.Is(err, backend.ErrUnsupported) {
			return note("", "this store does not tell which refs it has: %s", reason(err))
		}
		if err != nil {
			return failedWith(err)
		}
		if n++; n == maxListed {
			return passed("", "%d refs or more", n)
		}
	}
	return passed("", "%d refs", n)
}

func (d *doctor) listBlobs(ctx context.Context) backend.Finding {
	if !d.info.Capabilities.ListBlobs {
		return note("", "this store does not tell which blobs it has: removing those without use is its own business")
	}
	ages := "without their ages"
	if d.info.Capabilities.BlobAges {
		ages = "with their ages"
	}
	n := 0
	for _, err := range d.backend.List(ctx) {
		if err != nil {
			return failedWith(err)
		}
		if n++; n == maxListed {
			return passed("", "%d blobs or more, %s", n, ages)
		}
	}
	return passed("", "%d blobs, %s", n, ages)
}

// readRange reads a part of a blob of one of the caches.
func (d *doctor) readRange(ctx context.Context) backend.Finding {
	if len(d.blobs) == 0 {
		return skipped("", "no cache was found whose blobs could be read")
	}
	smallest := slices.MinFunc(d.blobs, func(a, b blob.Descriptor) int { return cmp.Compare(a.Size, b.Size) })
	return d.readRangeOf(ctx, smallest)
}

// maxRange is how much of a blob is read.
const maxRange = 4 << 10

// readRangeOf compares a part of a blob with what stands there if it is read
// from its beginning.
func (d *doctor) readRangeOf(ctx context.Context, desc blob.Descriptor) backend.Finding {
	start, err := d.readPart(ctx, desc, 0, min(desc.Size, maxRange))
	if err != nil {
		return failedWith(err)
	}
	from, to := int64(len(start)/4), int64(len(start)/2)
	part, err := d.readPart(ctx, desc, from, to-from)
	if err != nil {
		return failedWith(err)
	}
	if !bytes.Equal(part, start[from:to]) {
		f := finding(backend.FindingFailed, "", "bytes %d to %d of blob %s are not those that stand there", from, to, desc.Digest)
		f.Remedy = "find out what answers requests for ranges: a proxy or cache in front of the store may get them wrong"
		return f
	}
	return passed("", "as they should be")
}

// readPart returns a part of a blob, which has to be there whole.
func (d *doctor) readPart(ctx context.Context, desc blob.Descriptor, off, n int64) ([]byte, error) {
	r, err := d.backend.Open(ctx, desc, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, n+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) != n {
		return nil, fmt.Errorf("%w: asked for %d bytes, got %d", backend.ErrCorrupt, n, len(data))
	}
	return data, nil
}
