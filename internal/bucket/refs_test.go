package bucket_test

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
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

// TestPutRefTellsARefusalFromABrokenConnection cuts the connection as servers do
// that refuse a condition before they have read the document.
func TestPutRefTellsARefusalFromABrokenConnection(t *testing.T) {
	cut := &bucket.Failure{Kind: backend.ErrUnavailable, Temporary: true, Err: &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.ECONNRESET)}}
	lost := &bucket.Failure{Kind: backend.ErrUnavailable, Temporary: true, Err: &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}}
	other := &bucket.Failure{Kind: backend.ErrUnavailable, Temporary: true, Err: errors.New("503")}
	tests := []struct {
		name  string
		fault error
		ref   string
		cond  func(v backend.Version) backend.Condition
		want  error
	}{
		{"there already", cut, "main", func(backend.Version) backend.Condition { return backend.Absent }, backend.ErrConflict},
		{"not there", cut, "new", func(backend.Version) backend.Condition { return backend.Absent }, backend.ErrUnavailable},
		{"as it was", cut, "main", backend.Match, backend.ErrUnavailable},
		{"another version", cut, "main", func(backend.Version) backend.Condition { return backend.Match("old") }, backend.ErrConflict},
		{"gone", cut, "new", backend.Match, backend.ErrConflict},
		{"no condition", cut, "main", func(backend.Version) backend.Condition { return backend.Always }, backend.ErrUnavailable},
		{"answer lost", lost, "main", func(backend.Version) backend.Condition { return backend.Absent }, backend.ErrUnavailable},
		{"another failure", other, "main", func(backend.Version) backend.Condition { return backend.Absent }, backend.ErrUnavailable},
	}
	for _, tt := range tests {
		m := buckettest.NewMemory()
		b := bucket.New(t.Context(), m, options())
		v, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Always)
		if err != nil {
			t.Fatal(err)
		}
		m.Before = func(_ context.Context, op, _ string) error {
			if op == "put" {
				return tt.fault
			}
			return nil
		}
		_, err = b.PutRef(t.Context(), tt.ref, backend.Document{Data: []byte("[]")}, tt.cond(v))
		_, temporary := backend.Temporary(err)
		if !errors.Is(err, tt.want) || temporary == errors.Is(tt.want, backend.ErrConflict) {
			t.Errorf("%s: PutRef() = %v, temporary: %t, want %v", tt.name, err, temporary, tt.want)
		}
	}
}
