package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Stat returns the blobs that are there, of those asked for.
func (b *Backend) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	err := b.begin(ctx, true)
	if key, bad := check(digests); err == nil && bad != nil {
		return nil, b.fail("stat", key, bad)
	}
	if err != nil {
		return nil, b.fail("stat", "", err)
	}
	b.store.mu.RLock()
	defer b.store.mu.RUnlock()
	found := make(map[blob.Digest]backend.BlobInfo, len(digests))
	for _, d := range digests {
		if s, ok := b.store.blobs[d]; ok {
			found[d] = b.describe(d, s)
		}
	}
	return found, nil
}

func (b *Backend) describe(d blob.Digest, s stored) backend.BlobInfo {
	return backend.BlobInfo{Digest: d, Size: int64(len(s.data)), ModTime: b.modTime(s)}
}

// check returns the first malformed digest, and what is wrong with it.
func check(digests []blob.Digest) (key string, err error) {
	for _, d := range digests {
		if err := blob.CheckDigest(d); err != nil {
			return string(d), err
		}
	}
	return "", nil
}

// Open returns a reader of a range of a blob.
func (b *Backend) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	data, err := b.find(ctx, d.Digest)
	if err == nil && (off < 0 || off > int64(len(data))) {
		err = fmt.Errorf("%w: offset %d, want 0 to %d", backend.ErrInvalid, off, len(data))
	}
	if err != nil {
		return nil, b.fail("open", string(d.Digest), err)
	}
	data = data[off:]
	if n >= 0 && n < int64(len(data)) {
		data = data[:n]
	}
	return &reader{ctx: ctx, b: b, key: string(d.Digest), data: bytes.NewReader(data)}, nil
}

// find returns the bytes of a blob.
func (b *Backend) find(ctx context.Context, d blob.Digest) ([]byte, error) {
	if err := b.begin(ctx, true); err != nil {
		return nil, err
	}
	if err := blob.CheckDigest(d); err != nil {
		return nil, err
	}
	b.store.mu.RLock()
	defer b.store.mu.RUnlock()
	s, ok := b.store.blobs[d]
	if !ok {
		return nil, backend.ErrNotFound
	}
	return s.data, nil
}

// reader reads a blob until its context ends or its backend is closed.
type reader struct {
	//nolint:containedctx // The context governs the reader, as Blobs.Open says.
	ctx    context.Context
	b      *Backend
	key    string
	data   *bytes.Reader
	closed bool
}

func (r *reader) Read(p []byte) (int, error) {
	err := r.b.begin(r.ctx, true)
	if r.closed {
		err = fs.ErrClosed
	}
	if err != nil {
		return 0, r.b.fail("read", r.key, err)
	}
	return r.data.Read(p)
}

func (r *reader) Close() error {
	r.closed = true
	return nil
}

// Put stores a blob, unless it is there.
func (b *Backend) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	err := b.begin(ctx, true)
	if err == nil {
		err = blob.CheckDescriptor(d)
	}
	if err == nil && !b.renew(d) {
		err = b.receive(ctx, d, src)
	}
	return b.fail("put", string(d.Digest), err)
}

// renew starts the age of a blob anew, if it is there.
func (b *Backend) renew(d blob.Descriptor) (present bool) {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	s, ok := b.store.blobs[d.Digest]
	if !ok || int64(len(s.data)) != d.Size {
		return false
	}
	s.modTime = b.now()
	b.store.blobs[d.Digest] = s
	return true
}

// receive reads and verifies the content of src and stores it.
func (b *Backend) receive(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	data, err := blob.ReadAll(ctx, d, sourceUntil{b, src}, d.Size)
	if err != nil {
		return err
	}
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	// The context may have ended after the last byte was read.
	if err := b.begin(ctx, true); err != nil {
		return err
	}
	b.store.blobs[d.Digest] = stored{data: data, modTime: b.now()}
	return nil
}

// sourceUntil is a source whose readers end with their context, even if the
// reader itself does not look at it, or with the backend.
type sourceUntil struct {
	b   *Backend
	src blob.Source
}

func (s sourceUntil) Open(ctx context.Context) (io.ReadCloser, error) {
	r, err := s.src.Open(ctx)
	if err != nil {
		return nil, err
	}
	return &readerUntil{ReadCloser: r, err: func() error { return s.b.begin(ctx, true) }}, nil
}

type readerUntil struct {
	io.ReadCloser

	err func() error
}

func (r *readerUntil) Read(p []byte) (int, error) {
	if err := r.err(); err != nil {
		return 0, err
	}
	return r.ReadCloser.Read(p)
}

// Delete removes blobs.
func (b *Backend) Delete(ctx context.Context, digests ...blob.Digest) error {
	err := b.begin(ctx, b.info.Capabilities.DeleteBlobs)
	if key, bad := check(digests); err == nil && bad != nil {
		return b.fail("delete", key, bad)
	}
	if err != nil {
		return b.fail("delete", "", err)
	}
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	for _, d := range digests {
		delete(b.store.blobs, d)
		delete(b.store.documents, d)
	}
	return nil
}

// List yields the blobs that were there when the range began, but for those
// that were removed since.
func (b *Backend) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	find := func(d blob.Digest) (backend.BlobInfo, bool) {
		s, ok := b.store.blobs[d]
		return b.describe(d, s), ok
	}
	keys := func() iter.Seq[blob.Digest] { return maps.Keys(b.store.blobs) }
	return func(yield func(backend.BlobInfo, error) bool) {
		list(ctx, b, "list", b.info.Capabilities.ListBlobs, keys, find, yield)
	}
}

// list yields what find says of each key. The keys are collected under the
// lock, which is not held while the caller works.
func list[K comparable, V any](ctx context.Context, b *Backend, op string, supported bool,
	keys func() iter.Seq[K], find func(K) (V, bool), yield func(V, error) bool,
) {
	var zero V
	b.store.mu.RLock()
	collected := slices.Collect(keys())
	b.store.mu.RUnlock()
	if err := b.begin(ctx, supported); err != nil {
		yield(zero, b.fail(op, "", err))
		return
	}
	for _, k := range collected {
		if err := b.begin(ctx, true); err != nil {
			yield(zero, b.fail(op, "", err))
			return
		}
		b.store.mu.RLock()
		v, ok := find(k)
		b.store.mu.RUnlock()
		if ok && !yield(v, nil) {
			return
		}
	}
}
