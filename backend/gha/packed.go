package gha

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// digestOf returns the digest of a blob's key.
func digestOf(key string) blob.Digest { return blob.Digest(strings.TrimPrefix(key, blobPrefix)) }

// isPacked reports whether a blob is to be stored together with others. Who may
// not read cannot write a catalog.
func (s *store) isPacked(key string, size int64) bool {
	return size <= s.opts.Pack && !isEmpty(key) && s.protocol.read && s.protocol.readOnly.Load() == nil
}

// gather stores a blob together with others that are put at the same time, or
// says that it is to be stored by itself.
func (s *store) gather(ctx context.Context, key string, body *bucket.Body) (loose bool, err error) {
	data := make([]byte, body.Size)
	if _, err := io.ReadFull(body.Reader, data); err != nil {
		return false, err
	}
	body.Reader = bytes.NewReader(data)
	return s.gatherer.put(ctx, key, data)
}

// putTogether stores those of the blobs in a pack that are not there. If that does
// not pay, they are marked as loose.
func (s *store) putTogether(ctx context.Context, members []*member) error {
	missing, err := s.missing(ctx, members)
	if err != nil && !errors.Is(err, backend.ErrDenied) {
		return err
	}
	if err != nil || len(missing) < s.gatherer.from {
		for _, m := range missing {
			m.loose = true
		}
		return nil
	}
	blobs := make([]blob.Descriptor, len(missing))
	contents := make([]io.Reader, len(missing))
	for i, m := range missing {
		blobs[i], contents[i] = m.blob, bytes.NewReader(m.data)
	}
	p := newPack(blobs)
	if err := s.putBlob(ctx, p.Key, bucket.Body{Reader: io.MultiReader(contents...), Size: p.Size}); err != nil {
		return err
	}
	return s.packs.change(ctx, func(now catalog) *catalog {
		wanted := p
		wanted.Blobs = nil
		for i, m := range missing {
			if s.gatherer.wanted(m) {
				wanted.Blobs = append(wanted.Blobs, p.Blobs[i])
			}
		}
		if len(wanted.Blobs) == 0 {
			return nil
		}
		next := now.with(wanted)
		return &next
	})
}

// missing returns those of the blobs that are in no pack, nor by themselves. If
// nobody may look, it returns all of them, with the error.
func (s *store) missing(ctx context.Context, members []*member) ([]*member, error) {
	keys := make([]string, len(members))
	for i, m := range members {
		keys[i] = m.key
	}
	found, _, err := s.surveyPacks(ctx, keys)
	if err != nil {
		return members, err
	}
	there := make([]bool, len(members))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(calls.Parallel)
	for i, m := range members {
		if o, ok := found[m.key]; ok && o.Size == m.blob.Size {
			there[i] = true
			continue
		}
		if m.absent {
			continue
		}
		group.Go(func() error {
			_, size, err := s.headBlob(ctx, m.key)
			there[i] = err == nil && size == m.blob.Size
			if errors.Is(err, backend.ErrNotFound) {
				err = nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return members, err
	}
	var missing []*member
	for i, m := range members {
		if !there[i] {
			missing = append(missing, m)
		}
	}
	return missing, nil
}

// surveyPacks returns which of the blobs are in packs that are there, and the keys
// of the others.
func (s *store) surveyPacks(ctx context.Context, keys []string) (found map[string]bucket.Object, rest []string, err error) {
	if err := s.packs.look(ctx); err != nil {
		return nil, nil, err
	}
	return s.inPacks(ctx, keys)
}

// inPacks is surveyPacks for who has looked already.
func (s *store) inPacks(ctx context.Context, keys []string) (found map[string]bucket.Object, rest []string, err error) {
	places := map[string][]place{}
	var all []place
	for _, key := range keys {
		places[key] = s.packs.find(key)
		all = append(all, places[key]...)
	}
	there, err := s.packsThere(ctx, all)
	found = map[string]bucket.Object{}
	for _, key := range keys {
		for _, at := range places[key] {
			if _, ok := found[key]; !ok && there[at.pack] {
				found[key] = bucket.Object{Key: key, Size: at.size}
			}
		}
		if _, ok := found[key]; !ok {
			rest = append(rest, key)
		}
	}
	return found, rest, err
}

// packsThere asks which packs are there, each once.
func (s *store) packsThere(ctx context.Context, places []place) (map[string]bool, error) {
	sizes := map[string]int64{}
	for _, at := range places {
		sizes[at.pack] = at.packSize
	}
	var mu sync.Mutex
	there := map[string]bool{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(calls.Parallel)
	for key, want := range sizes {
		group.Go(func() error {
			_, size, err := s.headBlob(ctx, key)
			if errors.Is(err, backend.ErrNotFound) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			there[key] = err == nil && (size == want || size < 0)
			return err
		})
	}
	return there, group.Wait()
}

// getPacked returns a range of a blob that is in one of some packs.
func (s *store) getPacked(ctx context.Context, places []place, off, n int64) (io.ReadCloser, bucket.Object, error) {
	for _, at := range places {
		if off >= at.size {
			return nil, bucket.Object{}, bucket.ErrRange
		}
		if left := at.size - off; n < 0 || n > left {
			n = left
		}
		err := s.packs.locate(ctx, at.pack)
		if errors.Is(err, backend.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, bucket.Object{}, err
		}
		r, o, err := s.getEntry(ctx, at.pack, at.offset+off, n)
		switch {
		case errors.Is(err, backend.ErrNotFound), errors.Is(err, bucket.ErrRange): // it is not what it was
		case err != nil:
			return nil, bucket.Object{}, err
		case o.Size >= 0 && o.Size != at.packSize:
			_ = r.Close()
		default:
			return r, bucket.Object{Size: at.size}, nil
		}
	}
	return nil, bucket.Object{}, errNotFound()
}

// deletePacked has catalogs and packs be without some blobs. A pack goes when it
// has no others.
func (s *store) deletePacked(ctx context.Context, keys []string) error {
	if !strings.HasPrefix(keys[0], blobPrefix) {
		return nil // a ref comes alone
	}
	if err := s.packs.refresh(ctx); err != nil {
		return err
	}
	gone := map[blob.Digest]bool{}
	for _, key := range keys {
		if _, ok := s.packs.own().places[key]; ok {
			gone[digestOf(key)] = true
		}
	}
	var emptied []string
	err := s.packs.change(ctx, func(now catalog) *catalog {
		if len(gone) == 0 {
			return nil
		}
		var left catalog
		left, emptied = now.without(gone)
		return &left
	})
	if err != nil {
		return err
	}
	for _, key := range emptied {
		if err := s.delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// packedIn returns the blobs of the catalog whose packs are among entries, by
// their keys.
func (s *store) packedIn(entries []restEntry) map[string]bucket.Object {
	sizes := map[string]int64{}
	for _, e := range entries {
		key, _, _ := strings.Cut(e.Key, "#")
		sizes[key] = e.Size
	}
	found := map[string]bucket.Object{}
	for key, at := range s.packs.own().places {
		if sizes[at.pack] == at.packSize {
			found[key] = bucket.Object{Key: key, Size: at.size}
		}
	}
	return found
}
