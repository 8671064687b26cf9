package larder

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// VerifyOptions are the options of [Verify].
type VerifyOptions struct {
	// Quick asks only whether the blobs are there in the right size, and reads
	// none of them.
	Quick bool
	// Repair publishes the cache again without the records whose blobs are
	// missing or corrupt, and removes corrupt blobs from the store, so that the
	// next export stores them anew.
	Repair bool
	// Decompression bounds what a layer may expand to. A layer that exceeds it
	// counts as corrupt. By default only the size is bounded: what is hashed and
	// forgotten does no harm.
	Decompression compress.Options
	// ReadLimit is the largest document to be read, in bytes. The default is
	// buildkit.DefaultReadLimit.
	ReadLimit int64
	// Progress, if not nil, receives what is read, as steps of target 0.
	Progress Progress
}

// Verification is the result of [Verify]. Its JSON form is stable under
// [Schema].
type Verification struct {
	Schema string `json:"schema"`
	Ref    string `json:"ref"`
	// OK says that nothing is wrong. After a repair it still tells what was
	// found before.
	OK bool `json:"ok"`
	// Missing and Corrupt are blobs, in the order of the cache config.
	Missing []Defect `json:"missing"`
	Corrupt []Defect `json:"corrupt"`
	// Problems are defects of the documents that cost a part of the cache.
	Problems []string `json:"problems,omitempty"`
	// RecordsLost counts the records whose results cannot be used.
	RecordsLost int `json:"recordsLost"`
	// Blobs and Bytes count what was checked.
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
	// Repaired is what was published instead, or nil.
	Repaired *TargetReport `json:"repaired,omitempty"`
}

// Defect is a blob that is not as the manifest says.
type Defect struct {
	Digest blob.Digest `json:"digest"`
	Reason string      `json:"reason"`
}

// Verify checks that all blobs of a cache are there, have the digests that name
// them, and, as layers, the diffIDs that the manifest gives, which BuildKit
// believes unseen. Defects are not an error but part of the result; an error
// means that the cache could not be checked, or not be repaired.
//
// A cache whose documents are damaged cannot be repaired: there is nothing left
// that says what belongs to it.
func Verify(ctx context.Context, t Target, opts VerifyOptions) (*Verification, error) {
	ctx = backend.WithOrigin(ctx)
	found, err := load(ctx, t, opts.ReadLimit)
	if err != nil {
		return nil, err
	}
	if opts.Decompression.MaxExpansion == 0 {
		opts.Decompression.MaxExpansion = -1
	}
	if opts.Decompression.MaxSize == 0 {
		opts.Decompression.MaxSize = sizeBound(found.Manifest.Layers)
	}
	v := &verifying{target: t, cache: found, opts: opts, defects: make(map[blob.Digest]defect)}
	if err := v.check(ctx); err != nil {
		return nil, err
	}
	result, kept := v.result()
	if opts.Repair && !result.OK {
		err = v.repair(ctx, kept, result)
	}
	return result, err
}

// verifying is one call of Verify.
type verifying struct {
	target Target
	cache  *loaded
	opts   VerifyOptions

	mu      sync.Mutex
	defects map[blob.Digest]defect
	checked Count
}

// defect says why a blob is bad, and whether it is there at all.
type defect struct {
	missing bool
	err     error
}

// check looks at every blob of the cache's layers.
func (v *verifying) check(ctx context.Context) error {
	blobs := v.cache.Manifest.Blobs()
	gone, err := absent(ctx, v.target.Backend, blobs)
	if err != nil {
		return err
	}
	var unread []blob.Descriptor
	for _, b := range blobs {
		if v.opts.Quick && !gone[b.Digest] {
			v.pass(b)
			continue
		}
		v.opts.Progress.step(StepPlanned, 0, b.Digest, b.Size)
		unread = append(unread, b)
	}
	return v.readAll(ctx, unread)
}

// readAll reads blobs, as many at a time as a transfer would.
func (v *verifying) readAll(ctx context.Context, blobs []blob.Descriptor) error {
	units := semaphore.NewWeighted(transferUnits)
	var running sync.WaitGroup
	defer running.Wait()
	for _, b := range blobs {
		w := weight(b.Size)
		if err := units.Acquire(ctx, w); err != nil {
			return err
		}
		running.Go(func() {
			defer units.Release(w)
			v.read(ctx, b)
		})
	}
	running.Wait()
	return v.failure(ctx)
}

// failure returns the reason why the check could not be done, if there is one:
// a store that does not answer says nothing about the blob.
func (v *verifying) failure(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for d, bad := range v.defects {
		if !bad.missing && !isDefect(bad.err) {
			return fmt.Errorf("%s: blob %s could not be checked: %w", v.target, d, bad.err)
		}
	}
	return nil
}

func isDefect(err error) bool {
	return errors.Is(err, blob.ErrCorrupt) || errors.Is(err, blob.ErrTooLarge)
}

func (v *verifying) pass(b blob.Descriptor) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.checked.add(b.Size)
}

func (v *verifying) note(d blob.Digest, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.defects[d] = defect{missing: errors.Is(err, backend.ErrNotFound), err: err}
}

// read reads one blob and notes what is wrong with it.
func (v *verifying) read(ctx context.Context, b blob.Descriptor) {
	diffID, err := v.hash(ctx, b)
	if err == nil {
		err = v.compare(b.Digest, diffID)
	}
	if err != nil {
		v.opts.Progress.step(StepFailed, 0, b.Digest, b.Size)
		v.note(b.Digest, err)
		return
	}
	v.opts.Progress.step(StepFetched, 0, b.Digest, b.Size)
	v.pass(b)
}

// hash reads a blob to its end, checking digest and size, and returns the digest
// of what it decompresses to.
func (v *verifying) hash(ctx context.Context, b blob.Descriptor) (diffID blob.Digest, err error) {
	source := &metered{
		Source: backend.RawSourceOf(v.target.Backend, b),
		moved:  func(n int64) { v.opts.Progress.step(StepMoved, 0, b.Digest, n) },
	}
	r, err := source.Open(ctx)
	if err != nil {
		return "", err
	}
	content := blob.NewReader(r, b)
	defer func() { err = errors.Join(err, content.Close()) }()
	diffID, _, err = compress.DiffID(content, v.opts.Decompression)
	return diffID, err
}

// compare checks the diffID of a blob against all layers that it is used for.
func (v *verifying) compare(d, diffID blob.Digest) error {
	for _, l := range v.cache.Manifest.Layers {
		if l.Digest == d && l.DiffID != "" && l.DiffID != diffID {
			return fmt.Errorf("blob %s: %w: uncompressed content has digest %s, the manifest says diffID %s", d, blob.ErrCorrupt, diffID, l.DiffID)
		}
	}
	return nil
}

// result sums up what was found, and returns the manifest without it.
func (v *verifying) result() (*Verification, *manifest.Manifest) {
	out := &Verification{
		Schema: Schema, Ref: v.cache.Name, Missing: []Defect{}, Corrupt: []Defect{},
		Blobs: v.checked.Blobs, Bytes: v.checked.Bytes,
	}
	bad := make(map[blob.Digest]bool)
	for _, b := range v.cache.Manifest.Blobs() {
		d, ok := v.defects[b.Digest]
		if !ok {
			continue
		}
		bad[b.Digest] = true
		found := Defect{Digest: b.Digest, Reason: d.err.Error()}
		if d.missing {
			out.Missing = append(out.Missing, found)
		} else {
			out.Corrupt = append(out.Corrupt, found)
		}
	}
	for _, p := range v.cache.Problems {
		out.Problems = append(out.Problems, p.Detail)
	}
	usable, unusable := v.cache.Manifest.Usable()
	kept, lost := usable.WithoutBlobs(bad)
	out.RecordsLost = unusable.Records + lost.Records
	out.OK = len(bad) == 0 && len(out.Problems) == 0 && out.RecordsLost == 0
	return out, kept
}

// repair publishes what is left, and removes corrupt blobs.
func (v *verifying) repair(ctx context.Context, kept *manifest.Manifest, found *Verification) error {
	report := newReport(v.target).Targets[0]
	found.Repaired = report
	if err := v.target.checkWritable(); err != nil {
		return report.fail(err)
	}
	if v.cache.Encoding == buildkit.Inline {
		return report.fail(fmt.Errorf("%w: an inline cache is part of an image, which a repair would change", backend.ErrUnsupported))
	}
	p := &publisher{
		destination: destination{Target: v.target, report: report},
		opts:        ExportOptions{Overwrite: true, Encoding: v.cache.Encoding}.withDefaults(),
		version:     v.cache.Version,
	}
	if err := p.replace(ctx, kept); err != nil {
		return report.fail(err)
	}
	v.removeCorrupt(ctx, found, report)
	return nil
}

// replace publishes a manifest in place of the version that was read. A cache of
// which nothing is left is removed: BuildKit cannot import an empty one.
func (p *publisher) replace(ctx context.Context, m *manifest.Manifest) error {
	if !m.IsEmpty() {
		return p.attempt(ctx, m)
	}
	cond := backend.Always
	if p.Backend.Info().Capabilities.ConditionalDeleteRef {
		cond = backend.Match(p.version)
	}
	p.report.Outcome = Removed
	return p.Backend.DeleteRef(p.traced(ctx), p.Ref, cond)
}

// removeCorrupt deletes corrupt blobs. A blob of the right size would otherwise
// be taken for present by the next export.
func (v *verifying) removeCorrupt(ctx context.Context, found *Verification, report *TargetReport) {
	for _, d := range found.Corrupt {
		if err := v.target.Backend.Delete(ctx, d.Digest); err != nil {
			report.degrade(NotRemoved, d.Digest, err.Error())
		}
	}
}
