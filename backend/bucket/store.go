package bucket

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"gocloud.dev/blob"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// pageSize is how many objects one request lists: as many as any service gives.
const pageSize = 1000

// store is a bucket in gocloud.dev's hands.
type store struct {
	bucket   *blob.Bucket
	service  Service
	can      Promises
	keepOpen bool
}

var (
	_ bucket.Store   = (*store)(nil)
	_ bucket.Toucher = (*store)(nil)
)

// Features implements [bucket.Store].
func (s *store) Features() bucket.Features {
	return bucket.Features{
		Create: s.can.Create, Replace: s.can.Replace, ConditionalDelete: s.can.ConditionalDelete,
		Unordered: true, // the services behind gocloud.dev may be anything
	}
}

// Close implements [bucket.Store].
func (s *store) Close() error {
	var err error
	if !s.keepOpen {
		err = s.bucket.Close()
	}
	return errors.Join(err, s.service.Close())
}

// count counts a request, unless the service's client does.
func (s *store) count(ctx context.Context, op string) {
	if !s.can.Counts {
		backend.TraceRequest(ctx, op)
	}
}

// describe returns what is known of an object.
func (s *store) describe(as func(any) bool, key string, size int64, modTime time.Time) bucket.Object {
	o := Object{Size: size, ModTime: modTime}
	s.service.Describe(as, &o)
	return bucket.Object{Key: key, Size: o.Size, Version: o.Version, ModTime: o.ModTime}
}

// Head implements [bucket.Store].
func (s *store) Head(ctx context.Context, key string) (bucket.Object, error) {
	s.count(ctx, "head")
	a, err := s.bucket.Attributes(ctx, key)
	if err != nil {
		return bucket.Object{}, s.failure(ctx, err)
	}
	return s.describe(a.As, key, a.Size, a.ModTime), nil
}

// Get implements [bucket.Store].
func (s *store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, bucket.Object, error) {
	s.count(ctx, "get")
	r, err := s.bucket.NewRangeReader(ctx, key, off, n, nil)
	if err != nil {
		return nil, bucket.Object{}, s.rangeError(ctx, key, off, s.failure(ctx, err))
	}
	if off > 0 && off >= r.Size() { // not all drivers notice
		_ = r.Close()
		return nil, bucket.Object{}, bucket.ErrRange
	}
	return newReader(ctx, s, r), s.describe(r.As, key, r.Size(), r.ModTime()), nil
}

// rangeError returns ErrRange in place of an error that has no other reason.
// What services say about a range beyond the end has no code in gocloud.dev.
func (s *store) rangeError(ctx context.Context, key string, off int64, err error) error {
	f, ok := errors.AsType[*bucket.Failure](err)
	if off == 0 || !ok || f.Kind != nil || f.Temporary {
		return err
	}
	if o, headErr := s.Head(ctx, key); headErr == nil && off >= o.Size {
		return bucket.ErrRange
	}
	return err
}

// Delete implements [bucket.Store].
func (s *store) Delete(ctx context.Context, keys []string) error {
	for _, key := range keys {
		s.count(ctx, "delete")
		err := s.failure(ctx, s.bucket.Delete(ctx, key))
		if err != nil && !errors.Is(err, backend.ErrNotFound) {
			return err
		}
	}
	return nil
}

// DeleteIf implements [bucket.Store].
func (s *store) DeleteIf(ctx context.Context, key string, v backend.Version) error {
	s.count(ctx, "delete")
	err := s.failure(ctx, s.service.DeleteIf(ctx, s.bucket, key, v))
	if errors.Is(err, backend.ErrNotFound) {
		return &bucket.Failure{Kind: backend.ErrConflict, Err: errors.New("it is not there any more")}
	}
	return err
}

// List implements [bucket.Store].
func (s *store) List(ctx context.Context, prefix, token string) (bucket.Page, error) {
	at := blob.FirstPageToken
	if token != "" {
		at = []byte(token)
	}
	objects, next, err := s.listPage(ctx, at, prefix)
	if err != nil {
		return bucket.Page{}, s.failure(ctx, err)
	}
	page := bucket.Page{Next: string(next), Objects: make([]bucket.Object, 0, len(objects))}
	for _, o := range objects {
		page.Objects = append(page.Objects, s.describe(o.As, o.Key, o.Size, o.ModTime))
	}
	return page, nil
}

// listAttempts is how often a page of files is listed.
const listAttempts = 20

// listPage lists a page. fileblob reads directories and then looks at each
// file: if one has gone meanwhile, be it because it was temporary, it fails.
func (s *store) listPage(ctx context.Context, at []byte, prefix string) (objects []*blob.ListObject, next []byte, err error) {
	for range listAttempts {
		s.count(ctx, "list")
		objects, next, err = s.bucket.ListPage(ctx, at, pageSize, &blob.ListOptions{Prefix: prefix})
		if _, isFile := errors.AsType[*fs.PathError](err); !isFile || !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return objects, next, err
}

// Touch implements [bucket.Toucher]. What a service has against it need not be
// known: the content is then sent again.
func (s *store) Touch(ctx context.Context, key string, _ bucket.Object) (bucket.Object, error) {
	s.count(ctx, "copy")
	err := s.failure(ctx, s.service.Touch(ctx, s.bucket, key))
	if err == nil {
		return s.Head(ctx, key)
	}
	if f, ok := errors.AsType[*bucket.Failure](err); ok && !f.Temporary && f.Kind == nil {
		f.Kind = backend.ErrUnsupported
	}
	return bucket.Object{}, err
}
