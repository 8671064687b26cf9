package bucket_test

import (
	"errors"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/bucket/buckettest"
)

// TestLargestDocument writes and reads documents of the limit, and beyond.
func TestLargestDocument(t *testing.T) {
	m := buckettest.NewMemory()
	b := bucket.New(t.Context(), m, options())
	data := make([]byte, backend.MaxDocumentSize+1)
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: data}, backend.Always); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("PutRef(too large) = %v, want %v", err, backend.ErrTooLarge)
	}
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: data[1:]}, backend.Always); err != nil {
		t.Errorf("PutRef(largest) = %v, want nil", err)
	}
	if ref, err := b.GetRef(t.Context(), "main"); err != nil || len(ref.Data) != backend.MaxDocumentSize {
		t.Errorf("GetRef(largest) = %d bytes, %v, want %d", len(ref.Data), err, backend.MaxDocumentSize)
	}
	m.Set("p/manifests/foreign", data)
	if _, err := b.GetRef(t.Context(), "foreign"); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("GetRef(too large) = %v, want %v", err, backend.ErrTooLarge)
	}
}

// TestRefsAreNotBlobs keeps the two apart where their prefixes do not.
func TestRefsAreNotBlobs(t *testing.T) {
	o := options()
	o.Keys = bucket.Concatenated("", "x/", "")
	b := bucket.New(t.Context(), buckettest.NewMemory(), o)
	data := []byte("x")
	d := blob.Describe("", data)
	if err := b.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Fatal(err)
	}
	name := "x/" + d.Digest.String()
	if _, err := b.PutRef(t.Context(), name, backend.Document{}, backend.Always); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("PutRef(%s) = %v, want %v", name, err, backend.ErrInvalid)
	}
	for r, err := range b.ListRefs(t.Context()) {
		t.Errorf("ListRefs() has %q, %v, want nothing", r.Name, err)
	}
}
