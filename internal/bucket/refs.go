package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"syscall"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// GetRef returns a ref. Object stores keep no documents by digest.
func (b *Backend) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	var ref backend.Ref
	err := b.life.Call(ctx, func(ctx context.Context) (err error) {
		ref, err = b.getRef(ctx, name)
		return err
	})
	return ref, b.fail("get ref", calls.RefKey(name), err)
}

func (b *Backend) getRef(ctx context.Context, name string) (backend.Ref, error) {
	key, err := b.refObject(name)
	if err != nil {
		return backend.Ref{}, err
	}
	if backend.IsDigest(name) {
		return backend.Ref{}, fmt.Errorf("%w: an object store finds documents by name, not by digest", backend.ErrNotFound)
	}
	r, o, err := b.store.Get(ctx, key, 0, -1)
	if err != nil {
		return backend.Ref{}, err
	}
	defer func() { _ = r.Close() }()
	data, err := readDocument(r, o.Size)
	if err != nil {
		return backend.Ref{}, broken(err)
	}
	if len(data) > backend.MaxDocumentSize {
		return backend.Ref{}, fmt.Errorf("%w: document has more than %d bytes", backend.ErrTooLarge, backend.MaxDocumentSize)
	}
	if o.Size >= 0 && int64(len(data)) != o.Size {
		return backend.Ref{}, &Failure{
			Kind: backend.ErrUnavailable, Temporary: true,
			Err: fmt.Errorf("%w: document has %d bytes, %d were announced", io.ErrUnexpectedEOF, len(data), o.Size),
		}
	}
	return backend.Ref{Name: name, Version: versionOf(o, data), ModTime: o.ModTime, Document: backend.Document{Data: data}}, nil
}

// readDocument reads a document of the size that was announced, or -1, and a byte
// more than the limit at most.
func readDocument(r io.Reader, size int64) ([]byte, error) {
	var data bytes.Buffer
	if size > 0 && size <= backend.MaxDocumentSize {
		data.Grow(int(size) + bytes.MinRead) // with room to meet the end
	}
	_, err := data.ReadFrom(io.LimitReader(r, backend.MaxDocumentSize+1))
	return data.Bytes(), err
}

// PutRef writes a ref in one request.
func (b *Backend) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	var v backend.Version
	err := b.life.Call(ctx, func(ctx context.Context) (err error) {
		v, err = b.putRef(ctx, name, doc, cond)
		return err
	})
	return v, b.fail("put ref", calls.RefKey(name), err)
}

func (b *Backend) putRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	key, err := b.writable(name)
	_, matches := cond.Version()
	switch {
	case err != nil:
		return "", err
	case cond.IsAbsent() && !b.features.Create, matches && !b.features.Replace:
		return "", fmt.Errorf("%w: this store cannot write on the condition %s", backend.ErrUnsupported, cond)
	case len(doc.Data) > backend.MaxDocumentSize:
		return "", fmt.Errorf("%w: document has %d bytes, the limit is %d", backend.ErrTooLarge, len(doc.Data), backend.MaxDocumentSize)
	}
	o, err := b.store.Put(ctx, key, bytesBody(doc.Data), cond)
	if err != nil {
		return "", b.refused(ctx, key, cond, err)
	}
	return versionOf(o, doc.Data), nil
}

// refused finds out whether a connection was cut because the condition does not
// hold: a server that says so before it has read the whole document, and then
// hangs up, is not always heard.
func (b *Backend) refused(ctx context.Context, key string, cond backend.Condition, err error) error {
	wanted, matches := cond.Version()
	if !cond.IsAbsent() && !matches || !hungUp(err) {
		return err
	}
	o, headErr := b.store.Head(ctx, key)
	lost := headErr == nil && (!matches || o.Version != "" && o.Version != wanted) || matches && errors.Is(headErr, backend.ErrNotFound)
	if !lost {
		return err
	}
	// Only the text goes on: there is nothing to be tried again.
	return &Failure{Kind: backend.ErrConflict, Err: errors.New(err.Error())}
}

// hungUp reports whether a connection was cut while something was sent. If it is
// cut later, the answer is lost, whatever that was.
func hungUp(err error) bool {
	call, ok := errors.AsType[*os.SyscallError](err)
	return ok && call.Syscall != "read" && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
}

// versionOf returns the version of a document: the store's, or, where it has
// none, the digest of what it is.
func versionOf(o Object, data []byte) backend.Version {
	if o.Version != "" {
		return o.Version
	}
	return backend.Version(blob.Describe("", data).Digest)
}

// writable returns the key of a ref that can be written.
func (b *Backend) writable(name string) (string, error) {
	if backend.IsDigest(name) {
		return "", fmt.Errorf("%w: ref name %s is a digest, which can only be read", backend.ErrInvalid, name)
	}
	return b.refObject(name)
}

// refObject returns the key of a ref.
func (b *Backend) refObject(name string) (string, error) {
	key, err := b.opts.Keys.ref(name)
	if err == nil && b.opts.CheckRef != nil {
		err = b.opts.CheckRef(name)
	}
	return key, err
}

// DeleteRef removes a ref.
func (b *Backend) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	return b.fail("delete ref", calls.RefKey(name), b.life.Call(ctx, func(ctx context.Context) error {
		return b.deleteRef(ctx, name, cond)
	}))
}

func (b *Backend) deleteRef(ctx context.Context, name string, cond backend.Condition) error {
	key, err := b.writable(name)
	v, matches := cond.Version()
	switch {
	case err != nil:
		return err
	case cond.IsAbsent():
		return fmt.Errorf("%w: condition absent, want always or match", backend.ErrInvalid)
	case b.features.NoDelete, matches && !b.features.ConditionalDelete:
		return fmt.Errorf("%w: this store cannot delete on the condition %s", backend.ErrUnsupported, cond)
	case matches:
		return b.store.DeleteIf(ctx, key, v)
	default:
		return ignoreNotFound(b.store.Delete(ctx, []string{key}))
	}
}

func ignoreNotFound(err error) error {
	if errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	return err
}

// ListRefs yields the objects under the prefix of refs that can be refs.
func (b *Backend) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	return list(ctx, b, "list refs", b.opts.Keys.Manifests, func(o Object) (string, backend.RefInfo, bool) {
		name, ok := b.opts.Keys.name(o.Key)
		if _, err := b.refObject(name); err != nil {
			ok = false
		}
		return name, backend.RefInfo{Name: name, Version: o.Version, ModTime: o.ModTime}, ok
	})
}
