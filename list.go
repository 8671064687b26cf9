package larder

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
	"github.com/larder-build/larder/scope"
)

// ListOptions are the options of [List].
type ListOptions struct {
	// Refs are those to be looked at; none means all that the store has, for
	// which it has to be able to list them.
	Refs []string
	// ReadLimit is the largest document to be read, in bytes. The default is
	// buildkit.DefaultReadLimit.
	ReadLimit int64
}

// Listed is a ref found by [List].
type Listed struct {
	Ref  string
	Kind Kind
	// Scope is what a cache belongs to, if its name tells more than a branch of
	// that name, see [ScopeOf].
	Scope *scope.Scope
	// Digest is the digest of the ref's document, Size its size in bytes, and
	// Encoding the form of a cache. They are zero where they are not known.
	Digest   blob.Digest
	Size     int64
	Encoding buildkit.Encoding
	// ModTime is when the ref was written, and Newest when the newest result of
	// the cache was made; nil if that is not known.
	ModTime, Newest *time.Time
	// Totals sums up a cache, or an image, which has no records; nil for what is
	// neither, and for an index of images.
	Totals *Totals
	// Err says why a ref is no cache, or could not be read.
	Err error
}

// Kind says what a ref is.
type Kind string

// The kinds of refs.
const (
	// KindCache is a cache that stands for itself.
	KindCache Kind = "cache"
	// KindImage is an image, or an index of images, without a cache.
	KindImage Kind = "image"
	// KindInline is an image with inline cache.
	KindInline Kind = "image+cache"
	// KindOther is something else, such as a signature or a chart.
	KindOther Kind = "other"
	// KindUnreadable is what could not be read, or is a damaged cache.
	KindUnreadable Kind = "unreadable"
)

// listParallel is how many refs List reads at the same time.
const listParallel = 16

// List reads the refs of a backend and says what each of them is, sorted by
// name. A ref that cannot be read is listed with its error; one that was named
// and does not exist with ErrNotFound. What is kept of each does not grow with
// it. If the store cannot list its refs, and none are named, the error matches
// ErrUnsupported.
func List(ctx context.Context, b backend.Backend, opts ListOptions) ([]Listed, error) {
	var mu sync.Mutex
	var all []Listed
	group, grouped := errgroup.WithContext(ctx)
	group.SetLimit(listParallel)
	for name, err := range refNames(grouped, b, opts.Refs) {
		if err != nil {
			group.Go(func() error { return err })
			break
		}
		group.Go(func() error {
			found := listOne(grouped, Target{Backend: b, Ref: name}, opts.ReadLimit)
			if grouped.Err() != nil {
				return grouped.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, found)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Listed) int { return cmp.Compare(a.Ref, b.Ref) })
	return all, nil
}

// refNames yields the names given or, if there are none, those that a store
// lists.
func refNames(ctx context.Context, b backend.Backend, given []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range given {
			if !yield(name, nil) {
				return
			}
		}
		if len(given) > 0 {
			return
		}
		for ref, err := range b.ListRefs(ctx) {
			if !yield(ref.Name, err) {
				return
			}
		}
	}
}

// listOne says what a ref is.
func listOne(ctx context.Context, t Target, limit int64) Listed {
	found, err := load(ctx, t, limit)
	return describe(t.Ref, found, err)
}

// describe says what was loaded.
func describe(ref string, found *loaded, err error) Listed {
	l := Listed{Ref: ref, Kind: KindUnreadable, Err: err}
	if found == nil {
		return l
	}
	l.Digest, l.Size, l.ModTime = found.digest(), int64(len(found.Data)), known(found.ModTime)
	switch {
	case err == nil:
		sum := totals(found.Manifest)
		l.Kind, l.Encoding, l.Totals, l.Newest = KindCache, found.Encoding, &sum, newest(found.Manifest)
		if found.Encoding == buildkit.Inline {
			l.Kind = KindInline
		}
		if s, ok := ScopeOf(ref, found.Manifest); ok && s != (scope.Scope{Kind: scope.Branch, Ref: ref}) {
			l.Scope = &s
		}
	case errors.Is(err, buildkit.ErrNotCache):
		l.Kind, l.Totals = kindOf(found.Data)
	}
	return l
}

// newest returns when the newest result was made.
func newest(m *manifest.Manifest) *time.Time {
	var last time.Time
	for _, r := range m.Records {
		for _, result := range r.Results {
			if result.CreatedAt.After(last) {
				last = result.CreatedAt
			}
		}
	}
	return known(last)
}

// kindOf tells images from other things that are no caches, by what a document
// says of what it refers to.
func kindOf(document []byte) (Kind, *Totals) {
	var doc struct {
		Config    blob.Descriptor
		Layers    []blob.Descriptor
		Manifests []blob.Descriptor
	}
	if json.Unmarshal(document, &doc) != nil {
		return KindOther, nil
	}
	isImage := func(d blob.Descriptor) bool { return d.ArtifactType == "" && isImageType(d.MediaType) }
	switch {
	case doc.Config.MediaType == ocispec.MediaTypeImageConfig, doc.Config.MediaType == mediaTypeDockerConfig:
		return KindImage, imageTotals(append(doc.Layers, doc.Config))
	case slices.ContainsFunc(doc.Manifests, isImage):
		return KindImage, nil
	default:
		return KindOther, nil
	}
}

// mediaTypeDockerConfig is the config of an image in Docker's schema 2.
// Source: distribution's manifest/schema2.
const mediaTypeDockerConfig = "application/vnd.docker.container.image.v1+json"

// imageTotals sums up an image, whose last blob is its config.
func imageTotals(blobs []blob.Descriptor) *Totals {
	t := &Totals{Layers: len(blobs) - 1}
	seen := make(map[blob.Digest]bool)
	for _, b := range blobs {
		if !seen[b.Digest] {
			seen[b.Digest] = true
			t.Blobs++
			t.Bytes += b.Size
		}
	}
	return t
}
