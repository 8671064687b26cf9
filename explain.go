package larder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// Verdict says why a step was, or was not, found in a cache.
type Verdict string

// The verdicts, on a whole chain and on each of its sources. Of several sources
// the first with a hit counts, or else the one that came nearest to one.
const (
	// Hit: it is there, with all its blobs.
	Hit Verdict = "hit"
	// BlobGone: it is recorded, but a blob of it is not there any more.
	BlobGone Verdict = "blob-gone"
	// Expired: as BlobGone, and it is so old that the store is likely to have
	// removed the blob for its age.
	Expired Verdict = "expired"
	// NoResult: it is recorded as an input of others, without a result.
	NoResult Verdict = "no-result"
	// Elsewhere: a ref that is not in the chain has it.
	Elsewhere Verdict = "elsewhere"
	// Unreadable: a source could not be read, so that nobody knows.
	Unreadable Verdict = "unreadable"
	// NeverRecorded: there is no trace of it.
	NeverRecorded Verdict = "never-recorded"
)

// rank orders the verdicts on sources for a verdict on the chain.
func (v Verdict) rank() int {
	return slices.Index([]Verdict{Hit, BlobGone, Expired, NoResult, Elsewhere, Unreadable, NeverRecorded}, v)
}

// ExplainOptions are the options of [Explain].
type ExplainOptions struct {
	// ChainOnly does not look for the step beyond the chain.
	ChainOnly bool
	// MaxAge is the age at which a store with ages is taken to have removed a
	// blob that is gone. The default is DefaultMaxAge.
	MaxAge time.Duration
	// ReadLimit and Now are those of ExportOptions.
	ReadLimit int64
	Now       func() time.Time
}

// DefaultMaxAge is the default of [ExplainOptions]: when GitHub removes what
// nobody used, and a usual rule for buckets.
const DefaultMaxAge = 7 * 24 * time.Hour

// Explanation says where a step or a blob is, or why it is nowhere to be found.
// Its JSON form is stable under [Schema].
type Explanation struct {
	Schema string `json:"schema"`
	// Digest is what was asked for, in full, or as it was given if there is no
	// trace of it.
	Digest blob.Digest `json:"digest"`
	// Verdict is that on the chain.
	Verdict Verdict `json:"verdict"`
	// Chain has an entry for each source of the chain, in order. Others are the
	// refs beyond it that have a trace, on the same stores.
	Chain  []Explained `json:"chain"`
	Others []Explained `json:"others,omitempty"`
	// Unsearched are the stores that do not list their refs, so that only those
	// of the chain were looked at.
	Unsearched []string `json:"unsearched,omitempty"`
}

// Explained is what one ref says of a step or a blob.
type Explained struct {
	Source  string  `json:"source"`
	Ref     string  `json:"ref"`
	Verdict Verdict `json:"verdict"`
	// Records counts the records of the step, and Layers the layers that are the
	// blob.
	Records int `json:"records,omitempty"`
	Layers  int `json:"layers,omitempty"`
	// Missing are the blobs that are gone.
	Missing []blob.Digest `json:"missing,omitempty"`
	// CreatedAt is when the newest result was made; nil if it is not known.
	CreatedAt *time.Time `json:"createdAt,omitempty"`
	// Detail says why nothing can be said, or "".
	Detail string `json:"detail,omitempty"`

	digests []blob.Digest // what the key stands for here
}

// Explain finds out why a step, or a blob, is or is not found in a chain of
// caches. The key is a digest, the start of one with at least six digits, or the
// readable key of a record. A key that stands for several is an error matching
// ErrInvalid.
//
// No layer is read. A source that cannot be read is explained as such; only the
// end of the context, and a malformed target, is an error besides.
func Explain(ctx context.Context, key string, chain []Target, opts ExplainOptions) (*Explanation, error) {
	for _, t := range chain {
		if err := t.check(); err != nil {
			return nil, err
		}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.MaxAge = cmp.Or(opts.MaxAge, DefaultMaxAge)
	q := &explaining{key: key, opts: opts}
	out := &Explanation{Schema: Schema, Digest: blob.Digest(key), Verdict: NeverRecorded}
	var err error
	if out.Chain, err = q.explain(ctx, chain); err != nil {
		return nil, err
	}
	if !opts.ChainOnly {
		others, err := q.others(ctx, chain, out)
		if err != nil {
			return nil, err
		}
		out.Others = others
	}
	if err := out.conclude(); err != nil {
		return nil, err
	}
	return out, nil
}

// explaining is one call of Explain.
type explaining struct {
	key  string
	opts ExplainOptions
}

// abbreviation matches the start of a digest.
var abbreviation = regexp.MustCompile(`^(sha256:)?[0-9a-f]{6,}$`)

// means reports whether the key stands for a digest.
func (q *explaining) means(d blob.Digest) bool {
	if string(d) == q.key || manifest.KeyDigest(q.key) == d {
		return true
	}
	return abbreviation.MatchString(q.key) && strings.HasPrefix(d.Encoded(), strings.TrimPrefix(q.key, "sha256:"))
}

// explain asks all targets, many at a time.
func (q *explaining) explain(ctx context.Context, targets []Target) ([]Explained, error) {
	all := make([]Explained, len(targets))
	group, grouped := errgroup.WithContext(ctx)
	group.SetLimit(listParallel)
	for i, t := range targets {
		group.Go(func() error {
			all[i] = q.one(grouped, t)
			return ctx.Err()
		})
	}
	return all, group.Wait()
}

// one asks one target.
func (q *explaining) one(ctx context.Context, t Target) Explained {
	out := Explained{Source: t.Backend.Info().Location, Ref: t.Ref, Verdict: NeverRecorded}
	found, err := load(ctx, t, q.opts.ReadLimit)
	switch {
	case errors.Is(err, backend.ErrNotFound):
		out.Detail = "there is no such cache"
		return out
	case err != nil:
		out.Verdict, out.Detail = Unreadable, err.Error()
		return out
	}
	needed := q.trace(found.Manifest, &out)
	if out.Verdict != Hit {
		return out
	}
	gone, err := absent(ctx, t.Backend, needed)
	if err != nil {
		out.Verdict, out.Detail = Unreadable, err.Error()
		return out
	}
	for d := range gone {
		out.Missing = append(out.Missing, d)
	}
	slices.Sort(out.Missing)
	if len(gone) > 0 {
		out.Verdict = q.gone(t, found, out)
	}
	return out
}

// trace looks for the key in a manifest and returns the blobs that its results
// need. The verdict is Hit if there is one, provided that they are there.
func (q *explaining) trace(m *manifest.Manifest, out *Explained) []blob.Descriptor {
	var needed []blob.Descriptor
	for _, r := range m.Records {
		if !q.means(r.Digest) {
			continue
		}
		out.note(r.Digest)
		out.Records++
		if len(r.Results) == 0 {
			if out.Verdict != Hit {
				out.Verdict = NoResult
			}
			continue
		}
		out.Verdict = Hit
		if at := r.Results[0].CreatedAt; !at.IsZero() && (out.CreatedAt == nil || out.CreatedAt.Before(at)) {
			out.CreatedAt = &at
		}
		for _, layer := range m.Stack(r.Results[0]) {
			needed = append(needed, m.Layers[layer].Descriptor())
		}
	}
	for _, l := range m.Layers {
		if q.means(l.Digest) {
			out.note(l.Digest)
			out.Layers++
			out.Verdict = Hit
			needed = append(needed, l.Descriptor())
		}
	}
	return needed
}

// note notes that the key stands for a digest.
func (e *Explained) note(d blob.Digest) {
	if !slices.Contains(e.digests, d) {
		e.digests = append(e.digests, d)
	}
}

// gone returns the verdict on what has lost a blob.
func (q *explaining) gone(t Target, found *loaded, out Explained) Verdict {
	made := found.ModTime
	if out.CreatedAt != nil {
		made = *out.CreatedAt
	}
	if t.Backend.Info().Capabilities.BlobAges && !made.IsZero() && q.opts.Now().Sub(made) > q.opts.MaxAge {
		return Expired
	}
	return BlobGone
}

// others asks the refs beyond the chain, on its stores.
func (q *explaining) others(ctx context.Context, chain []Target, out *Explanation) ([]Explained, error) {
	var beyond []Target
	var stores []backend.Backend
	for _, t := range chain {
		if slices.ContainsFunc(stores, func(b backend.Backend) bool { return sameStore(b, t.Backend) }) {
			continue
		}
		stores = append(stores, t.Backend)
		found, err := beyondOf(ctx, t.Backend, chain)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			out.Unsearched = append(out.Unsearched, t.Backend.Info().Location)
			continue
		}
		beyond = append(beyond, found...)
	}
	all, err := q.explain(ctx, beyond)
	return slices.DeleteFunc(all, func(e Explained) bool {
		return e.Verdict == NeverRecorded || e.Verdict == Unreadable
	}), err
}

// beyondOf returns the refs of a store that are not in the chain.
func beyondOf(ctx context.Context, b backend.Backend, chain []Target) ([]Target, error) {
	var all []Target
	for ref, err := range b.ListRefs(ctx) {
		if err != nil {
			return nil, err
		}
		inChain := func(t Target) bool { return t.Ref == ref.Name && sameStore(t.Backend, b) }
		if !slices.ContainsFunc(chain, inChain) {
			all = append(all, Target{Backend: b, Ref: ref.Name})
		}
	}
	slices.SortFunc(all, func(a, b Target) int { return cmp.Compare(a.Ref, b.Ref) })
	return all, nil
}

// conclude finds the verdict on the whole, and what the key stands for.
func (e *Explanation) conclude() error {
	var digests []blob.Digest
	for _, s := range slices.Concat(e.Chain, e.Others) {
		for _, d := range s.digests {
			if !slices.Contains(digests, d) {
				digests = append(digests, d)
			}
		}
	}
	if len(digests) > 1 {
		return fmt.Errorf("%w: %q stands for %d digests, among them %s and %s", backend.ErrInvalid, e.Digest, len(digests), digests[0], digests[1])
	}
	if len(digests) == 1 {
		e.Digest = digests[0]
	}
	for _, s := range e.Chain {
		if s.Verdict.rank() < e.Verdict.rank() {
			e.Verdict = s.Verdict
		}
	}
	for _, s := range e.Others {
		if s.Verdict == Hit && Elsewhere.rank() < e.Verdict.rank() {
			e.Verdict = Elsewhere
		}
	}
	return nil
}
