package gha

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// maxBlocks is how many blocks the content of an entry may have.
//
// Source: learn.microsoft.com/rest/api/storageservices/put-block-list.
const maxBlocks = 50_000

// deleteBatch is how many blobs one call deletes, some at a time.
const deleteBatch = 1000

// store is the service as a store of objects: each is an entry, or for refs a
// series of them.
type store struct {
	protocol *allowed
	client   *client
	scopes   scopes
	budget   *Budget
	rest     *rest // nil without a token for it
	opts     Options
	urls     *urlCache

	mu sync.Mutex
	// kept are reservations that have not been finished, by key.
	kept map[string]*reservation
	// finished has the last entry that was finished here of each series. The
	// service may take a while to find it.
	finished map[string]int
	// fresh has when blobs were finished here, by the keys of their entries.
	fresh map[string]time.Time
	// absent are refs that were looked for and not found, until they are written.
	absent map[string]bool

	packs    *packs
	gatherer *gatherer
}

var (
	_ bucket.Store    = (*store)(nil)
	_ bucket.Uploader = (*store)(nil)
	_ bucket.Surveyor = (*store)(nil)
)

// Features implements [bucket.Store].
func (s *store) Features() bucket.Features {
	return bucket.Features{
		Create: true, Replace: true, NoDelete: s.rest == nil, NoList: s.rest == nil, NoAges: true,
		MaxParts: maxBlocks, DeleteBatch: deleteBatch,
	}
}

// Close implements [bucket.Store].
func (s *store) Close() error {
	s.client.own.Close()
	return nil
}

// head returns the size of the content at a URL, or -1.
func (s *store) head(ctx context.Context, content *url.URL) (int64, error) {
	return s.client.head(ctx, content, s.protocol.asksByHead())
}

// found is an entry that a lookup has found.
type found struct {
	key     string
	number  int
	content *url.URL
}

// findBlob looks for the entry of a blob: the last of those that were written in
// place of one that was stuck or wrong, or else the one with the blob's own key.
//
// One that was finished here is waited for, as it may take a while until the
// service finds it.
func (s *store) findBlob(ctx context.Context, entry string) (found, error) {
	var f found
	err := s.poll(ctx, "", func() (done bool, err error) {
		key, content, err := s.protocol.lookup(ctx, entry+"#", entry)
		if err != nil {
			return false, err
		}
		number, ok := numberOf(entry+"#", key)
		if ok || key == entry {
			f = found{key, number, content}
			return true, nil
		}
		return !s.isFresh(entry), nil
	})
	if err == nil && f.key == "" || errors.Is(err, errStuck) {
		err = errNotFound()
	}
	return f, err
}

// maxFresh is how many blobs are remembered as finished.
const maxFresh = 4096

func (s *store) setFresh(entry string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) >= maxFresh {
		clear(s.fresh)
	}
	s.fresh[entry] = time.Now()
}

// isFresh reports whether a blob was finished here so lately that the service
// need not have found it yet.
func (s *store) isFresh(entry string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.fresh[entry]
	return ok && time.Since(at) < s.opts.StuckAfter
}

func errNotFound() error {
	return &bucket.Failure{Kind: backend.ErrNotFound, Err: errors.New("no entry")}
}

// Head implements [bucket.Store]. It is asked of blobs alone.
func (s *store) Head(ctx context.Context, key string) (bucket.Object, error) {
	if s.packs.likely() {
		packed, _, err := s.surveyPacks(ctx, []string{key})
		if o, ok := packed[key]; ok || err != nil {
			return o, err
		}
		_, size, err := s.headBlob(ctx, key)
		return bucket.Object{Size: size}, err
	}
	found, err := s.surveyEntries(ctx, []string{key})
	o, ok := found[key]
	if err == nil && !ok {
		err = errNotFound()
	}
	return o, err
}

// headBlob returns the entry of a blob and the size of the blob. The content may
// have gone before the entry: the entry is then returned with the error.
func (s *store) headBlob(ctx context.Context, key string) (found, int64, error) {
	f, err := s.findBlob(ctx, entryOf(key))
	if err != nil {
		return f, 0, err
	}
	size, err := s.head(ctx, f.content)
	if err == nil && isEmpty(key) {
		size = 0
	}
	return f, size, err
}

// Get implements [bucket.Store].
func (s *store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, bucket.Object, error) {
	if strings.HasPrefix(key, indexPrefix) {
		return s.getRef(ctx, key)
	}
	if isEmpty(key) {
		return s.getEmpty(ctx, key, off)
	}
	if err := s.packs.expect(ctx); err != nil {
		return nil, bucket.Object{}, err
	}
	r, o, err := s.getPacked(ctx, s.packs.find(key), off, n)
	if !errors.Is(err, backend.ErrNotFound) {
		return r, o, err
	}
	r, o, err = s.getEntry(ctx, key, off, n)
	if !errors.Is(err, backend.ErrNotFound) {
		return r, o, err
	}
	if lookErr := s.packs.look(ctx); lookErr != nil {
		return nil, bucket.Object{}, lookErr
	}
	return s.getPacked(ctx, s.packs.find(key), off, n)
}

// getEntry returns a range of the content of a blob or a pack.
func (s *store) getEntry(ctx context.Context, key string, off, n int64) (io.ReadCloser, bucket.Object, error) {
	if content := s.urls.get(key); content != nil {
		r, size, err := s.client.get(ctx, content, off, n)
		if !errors.Is(err, backend.ErrDenied) && !errors.Is(err, backend.ErrNotFound) {
			return r, bucket.Object{Size: size}, err
		}
		s.urls.drop(key) // it has expired, or the entry is another one now
	}
	f, err := s.findBlob(ctx, key)
	if err != nil {
		return nil, bucket.Object{}, err
	}
	s.urls.put(key, f.content)
	r, size, err := s.client.get(ctx, f.content, off, n)
	return r, bucket.Object{Size: size}, err
}

// getEmpty returns the empty blob, if it is there.
func (s *store) getEmpty(ctx context.Context, key string, off int64) (io.ReadCloser, bucket.Object, error) {
	_, size, err := s.headBlob(ctx, key)
	if err == nil && off > 0 {
		err = bucket.ErrRange
	}
	return io.NopCloser(strings.NewReader("")), bucket.Object{Size: size}, err
}

// Put implements [bucket.Store].
func (s *store) Put(ctx context.Context, key string, body bucket.Body, cond backend.Condition) (bucket.Object, error) {
	if strings.HasPrefix(key, indexPrefix) {
		return s.putRef(ctx, key, body, cond)
	}
	stored := bucket.Object{Size: body.Size}
	if s.isPacked(key, body.Size) {
		if loose, err := s.gather(ctx, key, &body); err != nil || !loose {
			return stored, err
		}
	}
	return stored, s.putBlob(ctx, key, body)
}

// putBlob stores a blob, or a pack, as an entry of its own.
func (s *store) putBlob(ctx context.Context, key string, body bucket.Body) error {
	r, err := s.reserveBlob(ctx, key, body.Size)
	if err != nil || r == nil {
		return err
	}
	if isEmpty(key) {
		body = bucket.Body{Reader: bytes.NewReader([]byte{0}), Size: 1}
	}
	err = s.protocol.put(ctx, r.slot, body)
	if err == nil {
		err = s.finish(ctx, r, body.Size)
	}
	if err != nil {
		return s.giveUp(r, err)
	}
	s.urls.drop(key)
	s.setFresh(entryOf(key))
	return nil
}

// StartUpload implements [bucket.Uploader].
func (s *store) StartUpload(ctx context.Context, key string, size int64) (bucket.Upload, error) {
	r, err := s.reserveBlob(ctx, key, size)
	return &upload{store: s, key: key, size: size, reservation: r}, err
}

// upload is a blob on its way in blocks.
type upload struct {
	store       *store
	key         string
	size        int64
	reservation *reservation // nil if the blob has turned out to be there

	mu    sync.Mutex
	parts int
	gone  error // that there is no such reservation, or nil
}

// Part implements [bucket.Upload].
func (u *upload) Part(ctx context.Context, number int, body bucket.Body) error {
	if u.reservation == nil {
		return nil
	}
	if err := u.store.protocol.putPart(ctx, u.reservation.slot, number, body); err != nil {
		return u.failed(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts = max(u.parts, number+1)
	return nil
}

// Complete implements [bucket.Upload]. Whether the entry is there was found out
// when it was reserved.
func (u *upload) Complete(ctx context.Context, _ backend.Condition) error {
	if u.reservation == nil {
		return nil
	}
	if err := u.store.protocol.join(ctx, u.reservation.slot, u.parts); err != nil {
		return u.failed(err)
	}
	if err := u.store.finish(ctx, u.reservation, u.size); err != nil {
		return u.failed(err)
	}
	u.store.urls.drop(u.key)
	u.store.setFresh(entryOf(u.key))
	return nil
}

// Abort implements [bucket.Upload]. A reservation cannot be given back: it is
// kept for another attempt.
func (u *upload) Abort(context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.reservation != nil && u.gone == nil {
		u.store.keep(u.reservation)
	}
	return nil
}

// failed returns the error of a request, as giveUp does.
func (u *upload) failed(err error) error {
	gone := asGone(err)
	if gone == nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gone = gone
	return gone
}

// DeleteIf implements [bucket.Store].
func (s *store) DeleteIf(context.Context, string, backend.Version) error {
	return errUnsupported("delete")
}

func errUnsupported(what string) error {
	return fmt.Errorf("%w: the service does not %s with a runtime token", backend.ErrUnsupported, what)
}

// urlLife is how long a signed URL is used that does not say when it expires:
// half of the time that GitHub's are valid.
const urlLife = 5 * time.Minute

// urlSpare is how long before its end a signed URL is not used any more.
const urlSpare = time.Minute

// maxURLs is how many signed URLs are remembered.
const maxURLs = 4096

// urlCache remembers where the content of blobs is, so that a blob that is read
// in pieces is looked up once.
type urlCache struct {
	now func() time.Time

	mu   sync.Mutex
	urls map[string]timedURL
}

type timedURL struct {
	url *url.URL
	end time.Time
}

func newURLCache(now func() time.Time) *urlCache {
	return &urlCache{now: now, urls: map[string]timedURL{}}
}

// get returns a URL that is still valid, or nil.
func (c *urlCache) get(key string) *url.URL {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.urls[key]; c.now().Before(t.end) {
		return t.url
	}
	delete(c.urls, key)
	return nil
}

func (c *urlCache) put(key string, u *url.URL) {
	end := c.now().Add(urlLife)
	if said, err := time.Parse(time.RFC3339, u.Query().Get("se")); err == nil {
		end = said.Add(-urlSpare)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.urls) >= maxURLs {
		clear(c.urls)
	}
	c.urls[key] = timedURL{u, end}
}

func (c *urlCache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.urls, key)
}
