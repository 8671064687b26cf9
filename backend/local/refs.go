package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// GetRef returns a ref with its document, whose digest is the version and whose
// age that of the ref. The document is verified.
//
// A digest is the name of any document in the directory, whether index.json
// mentions it or not, such as one that an index lists.
func (b *Backend) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	err := b.begin(ctx)
	if err == nil {
		err = backend.CheckRefName(name)
	}
	var ref backend.Ref
	if err == nil {
		ref, err = b.getRef(ctx, name)
	}
	return ref, fail("get ref", calls.RefKey(name), err)
}

// getRef looks the name up and reads its document. A document that is not there
// or not whole may have been replaced since, or its digest may have been read
// from an index that BuildKit was just writing: the index is asked again.
func (b *Backend) getRef(ctx context.Context, name string) (backend.Ref, error) {
	var failed blob.Digest
	var reason error
	for {
		x, _, err := b.readIndex(ctx)
		if err != nil {
			return backend.Ref{}, err
		}
		e, ok := x.find(name)
		if backend.IsDigest(name) {
			e, ok = x.document(blob.Digest(name)), true
		}
		if !ok {
			return backend.Ref{}, fmt.Errorf("%w in %s", backend.ErrNotFound, b.dir)
		}
		if e.Digest == failed {
			return backend.Ref{}, reason
		}
		data, info, err := b.readDocument(ctx, e.Digest)
		if err == nil {
			doc := backend.Document{MediaType: mediaType(e.MediaType, data), Data: data}
			return backend.Ref{Name: name, Version: backend.Version(e.Digest), ModTime: info.ModTime, Document: doc}, nil
		}
		failed, reason = e.Digest, err
	}
}

// document returns an entry with the given digest, which may be made up.
func (x *index) document(d blob.Digest) entry {
	for _, e := range x.entries {
		if e.Digest == d {
			return e
		}
	}
	return entry{Descriptor: blob.Descriptor{Digest: d}}
}

// readDocument returns the verified content of a blob. The size in index.json
// is not relied on, as BuildKit does not either.
func (b *Backend) readDocument(ctx context.Context, d blob.Digest) ([]byte, backend.BlobInfo, error) {
	if err := blob.CheckDigest(d); err != nil {
		return nil, backend.BlobInfo{}, fmt.Errorf("index.json: %w", err)
	}
	info, err := b.stat(ctx, d)
	if err != nil {
		return nil, info, fmt.Errorf("document %s: %w", d, err)
	}
	src := blob.File(b.blobPath(d))
	data, err := blob.ReadAll(ctx, blob.Descriptor{Digest: d, Size: info.Size}, src, backend.MaxDocumentSize)
	return data, info, err
}

// mediaType returns the media type of a document. Where index.json has none the
// document may have it.
func mediaType(known string, data []byte) string {
	if known != "" {
		return known
	}
	var document struct {
		MediaType string `json:"mediaType"`
	}
	// What cannot be parsed has no media type.
	_ = json.Unmarshal(data, &document)
	return document.MediaType
}

// PutRef stores the document as a blob and makes the name point to it. When it
// returns, the ref, its document and all blobs that were put before are on
// disk. A ref that points to the same document already is not written again.
func (b *Backend) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	err := b.checkWrite(ctx, name)
	if err == nil && len(doc.Data) > backend.MaxDocumentSize {
		err = fmt.Errorf("%w: document has %d bytes, the limit is %d", backend.ErrTooLarge, len(doc.Data), backend.MaxDocumentSize)
	}
	d := blob.Describe(mediaType(doc.MediaType, doc.Data), doc.Data)
	if err == nil {
		err = b.putRef(ctx, name, d, doc.Data, cond)
	}
	if err != nil {
		return "", fail("put ref", calls.RefKey(name), err)
	}
	return backend.Version(d.Digest), nil
}

func (b *Backend) putRef(ctx context.Context, name string, d blob.Descriptor, data []byte, cond backend.Condition) error {
	if err := b.checkBefore(ctx, name, cond); err != nil {
		return err
	}
	return b.update(ctx, func(x *index) (changed bool, err error) {
		if err := b.checkCondition(ctx, x, name, cond); err != nil {
			return false, err
		}
		if err := b.putDocument(ctx, d, data); err != nil {
			return false, err
		}
		// Blobs are synced one by one; this makes their names durable, before
		// the index mentions them.
		if err := b.syncDir(b.blobs()); err != nil {
			return false, err
		}
		return x.set(name, d), nil
	})
}

// checkWrite returns why a ref cannot be written or deleted, or nil.
func (b *Backend) checkWrite(ctx context.Context, name string) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	if backend.IsDigest(name) {
		return fmt.Errorf("%w: a digest can only be read", backend.ErrInvalid)
	}
	return backend.CheckRefName(name)
}

// checkBefore refuses what is bound to fail before anything is created.
func (b *Backend) checkBefore(ctx context.Context, name string, cond backend.Condition) error {
	x, _, err := b.readIndex(ctx)
	if err != nil {
		return err
	}
	return b.checkCondition(ctx, &x, name, cond)
}

// checkCondition returns ErrConflict unless the condition holds. A ref whose
// document is gone counts as absent, as it does for GetRef.
func (b *Backend) checkCondition(ctx context.Context, x *index, name string, cond backend.Condition) error {
	if cond.IsAlways() {
		return nil
	}
	e, ok := x.find(name)
	var current backend.Version
	if ok {
		info, err := b.describe(ctx, e, name)
		if err != nil {
			return err
		}
		current = info.Version
	}
	if !cond.Holds(current) {
		return fmt.Errorf("%w: want %s, the ref has version %q", backend.ErrConflict, cond, current)
	}
	return nil
}

// putDocument stores a document as a blob. Unlike other blobs it is not taken
// to be there because a file has its name and size: a ref to a broken document
// would lose the whole cache.
func (b *Backend) putDocument(ctx context.Context, d blob.Descriptor, data []byte) error {
	if old, _, err := b.readDocument(ctx, d.Digest); err == nil && bytes.Equal(old, data) {
		present, err := b.renew(ctx, d)
		if present || err != nil {
			return err
		}
	}
	return b.receive(ctx, d, func(t *temp) error {
		_, err := t.Write(data)
		return err
	})
}

// DeleteRef removes the entry of a ref from index.json. The short name of an
// image, like "latest", cannot be deleted, only the image by its full name.
func (b *Backend) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	err := b.checkWrite(ctx, name)
	if err == nil && cond.IsAbsent() {
		err = fmt.Errorf("%w: condition absent, want always or match", backend.ErrInvalid)
	}
	if err == nil {
		err = b.deleteRef(ctx, name, cond)
	}
	return fail("delete ref", calls.RefKey(name), err)
}

func (b *Backend) deleteRef(ctx context.Context, name string, cond backend.Condition) error {
	x, _, err := b.readIndex(ctx)
	if err != nil {
		return err
	}
	if err := b.checkCondition(ctx, &x, name, cond); err != nil {
		return err
	}
	if _, ok := x.find(name); !ok {
		return nil
	}
	return b.update(ctx, func(x *index) (changed bool, err error) {
		if err := b.checkCondition(ctx, x, name, cond); err != nil {
			return false, err
		}
		if e, ok := x.find(name); ok && !x.remove(name) {
			return false, fmt.Errorf("%w: it is the short name of the image %s", backend.ErrInvalid, blob.Quote(e.name()))
		} else if !ok {
			return false, nil
		}
		return true, nil
	})
}

// ListRefs yields the entries of index.json. The time of a ref is that of its
// document. A ref without a version has lost its document.
//
// An entry without a name, or whose name another entry has taken, is yielded
// under its digest, so that nobody takes what it refers to for garbage.
func (b *Backend) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	return func(yield func(backend.RefInfo, error) bool) {
		x, _, err := b.readIndex(ctx)
		if err == nil {
			err = b.listRefs(ctx, x, func(info backend.RefInfo) bool { return yield(info, nil) })
		}
		if err != nil {
			yield(backend.RefInfo{}, fail("list refs", "", err))
		}
	}
}

func (b *Backend) listRefs(ctx context.Context, x index, yield func(backend.RefInfo) bool) error {
	seen := map[string]bool{}
	for _, e := range x.entries {
		name := e.name()
		if seen[name] || backend.CheckRefName(name) != nil {
			name = e.Digest.String()
		}
		if seen[name] || backend.CheckRefName(name) != nil {
			continue
		}
		seen[name] = true
		info, err := b.describe(ctx, e, name)
		if err != nil {
			return err
		}
		if !yield(info) {
			return nil
		}
	}
	return nil
}

// describe returns what is known of a ref without reading its document.
func (b *Backend) describe(ctx context.Context, e entry, name string) (backend.RefInfo, error) {
	if err := blob.CheckDigest(e.Digest); err != nil {
		return backend.RefInfo{Name: name}, b.begin(ctx)
	}
	info, err := b.stat(ctx, e.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return backend.RefInfo{Name: name}, nil
	}
	if err != nil {
		return backend.RefInfo{}, err
	}
	return backend.RefInfo{Name: name, Version: backend.Version(e.Digest), ModTime: info.ModTime}, nil
}
