package mem

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// GetRef returns a ref, or the document with the digest that is its name.
func (b *Backend) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	err := b.begin(ctx, true)
	if err == nil {
		err = backend.CheckRefName(name)
	}
	if err != nil {
		return backend.Ref{}, b.fail("get ref", name, err)
	}
	b.store.mu.RLock()
	defer b.store.mu.RUnlock()
	r, ok := b.store.find(name)
	if !ok {
		return backend.Ref{}, b.fail("get ref", name, backend.ErrNotFound)
	}
	return backend.Ref{Name: name, Version: r.version, ModTime: r.modTime, Document: clone(r.document)}, nil
}

// find returns the ref, or the document by digest. The caller holds the lock.
func (s *store) find(name string) (ref, bool) {
	if !backend.IsDigest(name) {
		r, ok := s.refs[name]
		return r, ok
	}
	mediaType, isDocument := s.documents[blob.Digest(name)]
	data, isBlob := s.blobs[blob.Digest(name)]
	document := backend.Document{MediaType: mediaType, Data: data.data}
	return ref{version: backend.Version(name), document: document}, isDocument && isBlob
}

// clone returns a document that shares no memory with d, so that neither the
// writer nor a reader of a ref can change what the store holds.
func clone(d backend.Document) backend.Document {
	d.Data = slices.Clone(d.Data)
	return d
}

// PutRef writes a ref if cond holds.
func (b *Backend) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	err := b.begin(ctx, b.canPut(cond))
	if err == nil {
		err = checkWritable(name)
	}
	if err == nil {
		err = b.checkSize(doc)
	}
	if err != nil {
		return "", b.fail("put ref", name, err)
	}
	doc = clone(doc)
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	current := b.store.refs[name].version
	if !cond.Holds(current) {
		return "", b.fail("put ref", name, conflict(cond, current))
	}
	r := ref{version: b.store.nextVersion(), document: doc, modTime: b.now()}
	b.store.refs[name] = r
	if b.info.Encoding == EncodingOCIManifest {
		d := blob.Describe(doc.MediaType, doc.Data).Digest
		b.store.blobs[d] = stored{data: doc.Data, modTime: r.modTime}
		b.store.documents[d] = doc.MediaType
	}
	return r.version, nil
}

func (b *Backend) canPut(cond backend.Condition) bool {
	_, matches := cond.Version()
	caps := b.info.Capabilities
	return (caps.CreateRef || !cond.IsAbsent()) && (caps.ReplaceRef || !matches)
}

// checkWritable returns an error unless name is that of a ref that can be
// written: a digest's document cannot.
func checkWritable(name string) error {
	if backend.IsDigest(name) {
		return fmt.Errorf("%w: ref name %s is a digest, which can only be read", backend.ErrInvalid, name)
	}
	return backend.CheckRefName(name)
}

func (b *Backend) checkSize(doc backend.Document) error {
	limit := b.info.MaxDocumentSize
	if limit == 0 {
		limit = backend.MaxDocumentSize
	}
	if int64(len(doc.Data)) > limit {
		return fmt.Errorf("%w: document has %d bytes, the limit is %d", backend.ErrTooLarge, len(doc.Data), limit)
	}
	return nil
}

func conflict(want backend.Condition, current backend.Version) error {
	if current == "" {
		return fmt.Errorf("%w: want %s, the ref does not exist", backend.ErrConflict, want)
	}
	return fmt.Errorf("%w: want %s, the ref has version %s", backend.ErrConflict, want, current)
}

// DeleteRef removes a ref if cond holds.
func (b *Backend) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	caps := b.info.Capabilities
	_, matches := cond.Version()
	err := b.begin(ctx, (caps.DeleteRef || matches) && (caps.ConditionalDeleteRef || !matches))
	if err == nil && cond.IsAbsent() {
		err = fmt.Errorf("%w: condition absent, want always or match", backend.ErrInvalid)
	}
	if err == nil {
		err = checkWritable(name)
	}
	if err != nil {
		return b.fail("delete ref", name, err)
	}
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	if current := b.store.refs[name].version; !cond.Holds(current) {
		return b.fail("delete ref", name, conflict(cond, current))
	}
	delete(b.store.refs, name)
	return nil
}

// ListRefs yields the refs that were there when the range began, but for those
// that were removed since.
func (b *Backend) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	find := func(name string) (backend.RefInfo, bool) {
		r, ok := b.store.refs[name]
		return backend.RefInfo{Name: name, Version: r.version, ModTime: r.modTime}, ok
	}
	keys := func() iter.Seq[string] { return maps.Keys(b.store.refs) }
	return func(yield func(backend.RefInfo, error) bool) {
		list(ctx, b, "list refs", b.info.Capabilities.ListRefs, keys, find, yield)
	}
}
