package gha

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// What is listed and deleted is that of one scope: the one that is written or,
// with a token that only reads, the first one that is read. Blobs of others are
// not this token's to remove.

// List implements [bucket.Store], by the REST API. All is one page.
func (s *store) List(ctx context.Context, prefix, _ string) (bucket.Page, error) {
	if s.rest == nil {
		return bucket.Page{}, errUnsupported("list")
	}
	entries, _, err := s.rest.entries(ctx, prefix, s.scopes.listed(), 0)
	if err != nil {
		return bucket.Page{}, err
	}
	if prefix == indexPrefix {
		return bucket.Page{Objects: sorted(s.refsIn(entries))}, nil
	}
	empty, _, err := s.rest.entries(ctx, emptyPrefix, s.scopes.listed(), 0)
	if err != nil {
		return bucket.Page{}, err
	}
	packs, _, err := s.rest.entries(ctx, packPrefix, s.scopes.listed(), 0)
	if err != nil {
		return bucket.Page{}, err
	}
	found := blobsIn(append(entries, empty...))
	if len(packs) > 0 {
		if err := s.packs.refresh(ctx); err != nil {
			return bucket.Page{}, err
		}
		maps.Copy(found, s.packedIn(packs))
	}
	return bucket.Page{Objects: sorted(found)}, nil
}

// blobsIn returns the blobs of entries, by their keys.
func blobsIn(entries []restEntry) map[string]bucket.Object {
	found := map[string]bucket.Object{}
	numbers := map[string]int{}
	for _, e := range entries {
		key, _, _ := strings.Cut(e.Key, "#")
		number, ok := numberOf(key+"#", e.Key)
		if !ok && e.Key != key || number < numbers[key] {
			continue
		}
		numbers[key] = number
		if key == emptyPrefix+emptyBlob.String() {
			key, e.Size = blobPrefix+emptyBlob.String(), 0
		}
		found[key] = bucket.Object{Key: key, Size: e.Size}
	}
	return found
}

// refsIn returns the refs of entries, by their keys. The last entry counts.
func (s *store) refsIn(entries []restEntry) map[string]bucket.Object {
	found := map[string]bucket.Object{}
	end := seriesOf("", s.scopes.listed()) // -1-HASH#
	for _, e := range entries {
		i := strings.LastIndex(e.Key, end)
		if i < len(indexPrefix) {
			continue
		}
		if _, ok := numberOf(e.Key[:i+len(end)], e.Key); ok {
			key := e.Key[:i]
			found[key] = bucket.Object{Key: key, Size: e.Size, Version: backend.Version(e.Key), ModTime: e.Created}
		}
	}
	return found
}

func sorted(found map[string]bucket.Object) []bucket.Object {
	all := make([]bucket.Object, 0, len(found))
	for _, o := range found {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b bucket.Object) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// surveyed is from how many blobs on it pays to look at a listing, and
// pageWorth how many questions a page of it is worth. A question takes two
// requests; but of those to the REST API there are 1000 an hour.
const (
	surveyed  = 32
	pageWorth = 8
)

// Survey implements [bucket.Surveyor]: catalogs say what is in packs, and a
// listing of many blobs at a time that they are there, but not whether their
// content is.
func (s *store) Survey(ctx context.Context, keys []string) (found map[string]bucket.Object, rest []string, err error) {
	if !s.packs.likely() && (s.rest == nil || len(keys) < surveyed) {
		found, err = s.surveyEntries(ctx, keys)
		return found, nil, err
	}
	found, rest, err = s.surveyPacks(ctx, keys)
	if err != nil || s.rest == nil || len(rest) < surveyed || !s.protocol.read {
		return found, rest, err
	}
	entries, ok, err := s.rest.entries(ctx, blobPrefix, "", max(len(rest)/pageWorth, 1))
	if errors.Is(err, backend.ErrDenied) || errors.Is(err, backend.ErrLimited) {
		return found, rest, nil // whoever may not list may still ask
	}
	if err != nil || !ok {
		return found, rest, err
	}
	entries = slices.DeleteFunc(entries, func(e restEntry) bool { return !slices.Contains(s.scopes.read, e.Ref) })
	loose := blobsIn(entries)
	maps.Copy(loose, found)
	return loose, nil, nil
}

// surveyEntries asks for the entry of each blob and, at the same time because none
// are expected, for packs. It looks for those once: calls that wait for each
// other's look say so, and would hide from themselves that it does not end.
func (s *store) surveyEntries(ctx context.Context, keys []string) (map[string]bucket.Object, error) {
	var mu sync.Mutex
	found := make(map[string]bucket.Object, len(keys))
	var missing []string
	group, limited := errgroup.WithContext(ctx)
	group.SetLimit(calls.Parallel)
	group.Go(func() error { return s.packs.look(limited) })
	for _, key := range keys {
		group.Go(func() error {
			_, size, err := s.headBlob(limited, key)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				found[key] = bucket.Object{Key: key, Size: size}
			case errors.Is(err, backend.ErrNotFound):
				missing = append(missing, key)
			default:
				return err
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	packed, _, err := s.inPacks(ctx, missing)
	maps.Copy(found, packed)
	return found, err
}

// deleting is how many entries are deleted at a time.
const deleting = 8

// Delete implements [bucket.Store], by the REST API: of blobs all entries that
// were written in place of each other, of refs all that have ever been, the
// newest last.
func (s *store) Delete(ctx context.Context, keys []string) error {
	if s.rest == nil {
		return errUnsupported("delete")
	}
	if why := s.protocol.readOnly.Load(); why != nil {
		return *why
	}
	if err := s.deletePacked(ctx, keys); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(deleting)
	for _, key := range keys {
		group.Go(func() error { return s.delete(ctx, key) })
	}
	return group.Wait()
}

func (s *store) delete(ctx context.Context, key string) error {
	prefix, exact := entryOf(key), true
	if strings.HasPrefix(key, indexPrefix) {
		prefix, exact = seriesOf(key, s.scopes.own), false
	}
	entries, _, err := s.rest.entries(ctx, prefix, s.scopes.own, 0)
	if err != nil {
		return err
	}
	s.forget(key, prefix)
	for _, e := range entries {
		_, numbered := numberOf(strings.TrimSuffix(prefix, "#")+"#", e.Key)
		if !numbered && (!exact || e.Key != prefix) {
			continue // it only begins like that
		}
		if err := s.rest.remove(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// forget drops what is known of entries that are deleted.
func (s *store) forget(key, entry string) {
	s.urls.drop(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.finished, entry)
	delete(s.fresh, entry)
}

// supersededFor is how long a document stays that another one has replaced: longer
// than any token is valid, so that no writer who has seen it still is. Its number
// is free again when it is gone.
const supersededFor = 24 * time.Hour

// maxSuperseded is how many documents are deleted when one is written.
const maxSuperseded = 16

// sweepRef deletes documents of a ref that were replaced long ago. If that fails,
// the next writer does so.
func (s *store) sweepRef(ctx context.Context, series string, number int) {
	if s.rest == nil {
		return
	}
	entries, ok, err := s.rest.entries(ctx, series, s.scopes.own, 1)
	if err != nil || !ok {
		return
	}
	removed := 0
	for _, e := range entries {
		n, numbered := numberOf(series, e.Key)
		if !numbered || n >= number || s.opts.Now().Sub(e.Created) < supersededFor || removed == maxSuperseded {
			continue
		}
		if s.rest.remove(ctx, e) != nil {
			return
		}
		removed++
	}
}
