package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// layerType is the media type of the blobs that the suite stores.
const layerType = "application/vnd.oci.image.layer.v1.tar+zstd"

// env is a backend with what the cases need to judge it.
type env struct {
	backend.Backend

	h    Harness
	caps backend.Capabilities
}

// other returns a second connection to the store, if there can be one, else the
// first.
func (e *env) other(t *testing.T) *env {
	t.Helper()
	if e.h.Reopen == nil {
		return e
	}
	b := e.h.Reopen(t, e.Backend)
	t.Cleanup(func() { _ = b.Close() })
	return &env{Backend: b, h: e.h, caps: e.caps}
}

// content returns size bytes that are the same for every call with this seed,
// and different for different ones.
func content(seed uint64, size int) []byte {
	data := make([]byte, size)
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	_, _ = rand.NewChaCha8(key).Read(data)
	return data
}

// describe returns the descriptor of a layer.
func describe(data []byte) blob.Descriptor { return blob.Describe(layerType, data) }

// absent returns a descriptor of a blob that no case stores.
func absent(n int) blob.Descriptor {
	return describe(fmt.Appendf(nil, "never stored %d", n))
}

// anySize returns d as one knows it who does not know the size.
func anySize(d blob.Descriptor) blob.Descriptor {
	d.Size = -1
	return d
}

// put stores data, which must succeed.
func (e *env) put(t *testing.T, data []byte) blob.Descriptor {
	t.Helper()
	d := describe(data)
	if err := e.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Fatalf("Put(%d bytes) = %v, want nil", len(data), err)
	}
	return d
}

// stat asks for one blob.
func (e *env) stat(t *testing.T, d blob.Descriptor) (backend.BlobInfo, bool) {
	t.Helper()
	found, err := e.Stat(t.Context(), d.Digest)
	if err != nil {
		t.Fatalf("Stat(%s) = %v, want nil", d.Digest, err)
	}
	info, ok := found[d.Digest]
	return info, ok
}

// read returns a range of a blob. Errors are those of opening and of reading.
func (e *env) read(ctx context.Context, d blob.Descriptor, off, n int64) ([]byte, error) {
	r, err := e.Open(ctx, d, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// wantBlob fails unless the store holds exactly data.
func (e *env) wantBlob(t *testing.T, data []byte) {
	t.Helper()
	d := describe(data)
	switch info, ok := e.stat(t, d); {
	case !ok:
		t.Errorf("Stat(%s) = absent, want present", d.Digest)
	case info.Digest != d.Digest || info.Size != d.Size && info.Size != -1:
		t.Errorf("Stat(%s) = %+v, want this digest and size %d", d.Digest, info, d.Size)
	}
	got, err := e.read(t.Context(), d, 0, -1)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("Open(%s, 0, -1) = %s, %v, want %s", d.Digest, brief(got), err, brief(data))
	}
}

// wantNoBlob fails if anything of the blob can be seen.
func (e *env) wantNoBlob(t *testing.T, d blob.Descriptor) {
	t.Helper()
	if info, ok := e.stat(t, d); ok {
		t.Errorf("Stat(%s) = %+v, want absent", d.Digest, info)
	}
	data, err := e.read(t.Context(), anySize(d), 0, -1)
	if !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Open(%s, 0, -1) = %s, %v, want %v", d.Digest, brief(data), err, backend.ErrNotFound)
	}
	if !e.caps.ListBlobs {
		return
	}
	for info, err := range e.List(t.Context()) {
		if err != nil {
			t.Errorf("List() = %v, want nil", err)
		}
		if info.Digest == d.Digest {
			t.Errorf("List() has %+v, want it absent", info)
		}
	}
}

// putRef points a ref to a document, which must succeed.
func (e *env) putRef(t *testing.T, name string, doc backend.Document, cond backend.Condition) backend.Version {
	t.Helper()
	v, err := e.PutRef(t.Context(), name, doc, cond)
	if err != nil || v == "" {
		t.Fatalf("PutRef(%q, %s) = %q, %v, want a version", name, cond, v, err)
	}
	return v
}

// getRef reads a ref, which must succeed.
func (e *env) getRef(t *testing.T, name string) backend.Ref {
	t.Helper()
	r, err := e.GetRef(t.Context(), name)
	if err != nil {
		t.Fatalf("GetRef(%q) = %v, want nil", name, err)
	}
	return r
}

// wantRef fails unless the ref points to doc.
func (e *env) wantRef(t *testing.T, name string, doc backend.Document) {
	t.Helper()
	r, err := e.GetRef(t.Context(), name)
	switch {
	case err != nil:
		t.Errorf("GetRef(%q) = %v, want %s", name, err, brief(doc.Data))
	case r.Name != name:
		t.Errorf("GetRef(%q).Name = %q, want %q", name, r.Name, name)
	case r.Version == "":
		t.Errorf("GetRef(%q).Version is empty, want a version", name)
	case !bytes.Equal(r.Data, doc.Data):
		t.Errorf("GetRef(%q) = %s, want %s", name, brief(r.Data), brief(doc.Data))
	case r.MediaType != "" && r.MediaType != doc.MediaType:
		t.Errorf("GetRef(%q).MediaType = %q, want %q or none", name, r.MediaType, doc.MediaType)
	}
}

// wantNoRef fails if the ref exists.
func (e *env) wantNoRef(t *testing.T, name string) {
	t.Helper()
	r, err := e.GetRef(t.Context(), name)
	wantErr(t, fmt.Sprintf("GetRef(%q) = %s", name, brief(r.Data)), err, backend.ErrNotFound)
}

// wantErr fails unless err matches want, where nil matches only nil.
func wantErr(t *testing.T, call string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", call, err, want)
	}
}

// brief describes bytes in a line.
func brief(data []byte) string {
	if len(data) <= 40 {
		return fmt.Sprintf("%q", data)
	}
	return fmt.Sprintf("%d bytes with digest %.15s", len(data), digest.FromBytes(data))
}
