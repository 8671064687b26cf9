package wrap_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
)

// use is a call of some method.
type use func(ctx context.Context, b backend.Backend) error

func stat(digests ...blob.Digest) use {
	return func(ctx context.Context, b backend.Backend) error {
		_, err := b.Stat(ctx, digests...)
		return err
	}
}

func open(d blob.Descriptor, off int64) use {
	return func(ctx context.Context, b backend.Backend) error {
		_, err := b.Open(ctx, d, off, -1)
		return err
	}
}

func openRaw(d blob.Descriptor, off int64) use {
	return func(ctx context.Context, b backend.Backend) error {
		raw, _ := backend.As[backend.RawOpener](b)
		_, err := raw.OpenRaw(ctx, d, off, -1)
		return err
	}
}

func put(d blob.Descriptor, src blob.Source) use {
	return func(ctx context.Context, b backend.Backend) error { return b.Put(ctx, d, src) }
}

func remove(digests ...blob.Digest) use {
	return func(ctx context.Context, b backend.Backend) error { return b.Delete(ctx, digests...) }
}

func copyTo(src backend.Backend, d blob.Descriptor) use {
	return func(ctx context.Context, b backend.Backend) error {
		copier, _ := backend.As[backend.Copier](b)
		return copier.CopyFrom(ctx, src, d)
	}
}

func getRef(name string) use {
	return func(ctx context.Context, b backend.Backend) error {
		_, err := b.GetRef(ctx, name)
		return err
	}
}

func putRef(name string, size int, cond backend.Condition) use {
	return func(ctx context.Context, b backend.Backend) error {
		_, err := b.PutRef(ctx, name, backend.Document{Data: make([]byte, size)}, cond)
		return err
	}
}

func deleteRef(name string, cond backend.Condition) use {
	return func(ctx context.Context, b backend.Backend) error { return b.DeleteRef(ctx, name, cond) }
}

func list(ctx context.Context, b backend.Backend) error     { return listError(b.List(ctx)) }
func listRefs(ctx context.Context, b backend.Backend) error { return listError(b.ListRefs(ctx)) }

// resized returns someBlob with another size.
func resized(size int64) blob.Descriptor {
	d := someBlob
	d.Size = size
	return d
}

func TestCheckRefuses(t *testing.T) {
	bad, good, src := blob.Descriptor{Digest: "sha256:../x", Size: 1}, someBlob.Digest, blob.Bytes(nil)
	tests := []struct {
		name string
		do   use
		want error
	}{
		{"stat of no digest", stat(good, ""), backend.ErrInvalid},
		{"open of no digest", open(bad, 0), backend.ErrInvalid},
		{"open at a negative offset", open(someBlob, -1), backend.ErrInvalid},
		{"open beyond the size", open(someBlob, 6), backend.ErrInvalid},
		{"open with an impossible size", open(resized(-2), 0), backend.ErrInvalid},
		{"open raw of no digest", openRaw(bad, 0), backend.ErrInvalid},
		{"open raw beyond the size", openRaw(someBlob, 6), backend.ErrInvalid},
		{"put of no digest", put(bad, src), backend.ErrInvalid},
		{"put of unknown size", put(resized(-1), src), backend.ErrInvalid},
		{"put of nothing", put(someBlob, nil), backend.ErrInvalid},
		{"copy of no digest", copyTo(&recorder{}, bad), backend.ErrInvalid},
		{"copy from nowhere", copyTo(nil, someBlob), backend.ErrInvalid},
		{"delete of no digest", remove(good, "latest"), backend.ErrInvalid},
		{"get of no name", getRef(""), backend.ErrInvalid},
		{"get of a path", getRef("a/../b"), backend.ErrInvalid},
		{"put of a bad name", putRef("a,b", 0, backend.Always), backend.ErrInvalid},
		{"put of a digest as ref", putRef(string(good), 0, backend.Always), backend.ErrInvalid},
		{"put of a large document", putRef("main", 101, backend.Always), backend.ErrTooLarge},
		{"delete of a bad name", deleteRef(" a", backend.Always), backend.ErrInvalid},
		{"delete of a digest as ref", deleteRef(string(good), backend.Always), backend.ErrInvalid},
		{"delete of what is absent", deleteRef("main", backend.Absent), backend.ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := &small{recorder{caps: everything}}
			err := test.do(t.Context(), wrap.Check(store))
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if e := (*backend.Error)(nil); !errors.As(err, &e) || !errors.Is(e.Kind, test.want) || e.Backend != "recorder" {
				t.Errorf("got %#v, want a backend.Error of kind %v", err, test.want)
			}
			if len(store.calls) > 0 {
				t.Errorf("the store was asked: %v", store.calls)
			}
		})
	}
}

// small takes documents of at most 100 bytes.
type small struct{ recorder }

func (s *small) Info() backend.Info {
	info := s.recorder.Info()
	info.MaxDocumentSize = 100
	return info
}

func TestCheckAllows(t *testing.T) {
	tests := []struct {
		name string
		do   use
	}{
		{"open at the end", open(someBlob, 5)},
		{"open of unknown size", open(resized(-1), 1<<40)},
		{"open raw", openRaw(someBlob, 5)},
		{"put of an empty blob", put(blob.Describe("", nil), blob.Bytes(nil))},
		{"get by digest", getRef(string(someBlob.Digest))},
		{"put of the largest document", putRef("main", 100, backend.Always)},
		{"put with absent", putRef("main", 1, backend.Absent)},
		{"put with match", putRef("main", 1, backend.Match("v1"))},
		{"delete with match", deleteRef("main", backend.Match("v1"))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := &small{recorder{caps: everything}}
			if err := test.do(t.Context(), wrap.Check(store)); err != nil || len(store.calls) != 1 {
				t.Errorf("got %v and the calls %v, want nil and one", err, store.calls)
			}
		})
	}
}

// TestCheckCapabilities takes one capability away at a time.
func TestCheckCapabilities(t *testing.T) {
	good := someBlob.Digest
	tests := []struct {
		name    string
		without func(*backend.Capabilities)
		do      use
	}{
		{"CreateRef", func(c *backend.Capabilities) { c.CreateRef = false }, putRef("main", 1, backend.Absent)},
		{"ReplaceRef", func(c *backend.Capabilities) { c.ReplaceRef = false }, putRef("main", 1, backend.Match("v"))},
		{"DeleteRef", func(c *backend.Capabilities) { c.DeleteRef = false }, deleteRef("main", backend.Always)},
		{"ConditionalDeleteRef", func(c *backend.Capabilities) { c.ConditionalDeleteRef = false }, deleteRef("main", backend.Match("v"))},
		{"ListRefs", func(c *backend.Capabilities) { c.ListRefs = false }, listRefs},
		{"DeleteBlobs", func(c *backend.Capabilities) { c.DeleteBlobs = false }, remove(good)},
		{"ListBlobs", func(c *backend.Capabilities) { c.ListBlobs = false }, list},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := &recorder{caps: everything}
			if err := test.do(t.Context(), wrap.Check(store)); err != nil || len(store.calls) != 1 {
				t.Fatalf("with it: %v and the calls %v, want nil and one", err, store.calls)
			}
			store = &recorder{caps: everything}
			test.without(&store.caps)
			err := test.do(t.Context(), wrap.Check(store))
			if !errors.Is(err, backend.ErrUnsupported) || !strings.Contains(err.Error(), test.name) || len(store.calls) > 0 {
				t.Errorf("without it: %v and the calls %v, want ErrUnsupported naming it, and none", err, store.calls)
			}
		})
	}
}

func TestCheckBatches(t *testing.T) {
	other := blob.Describe("", []byte("other")).Digest
	store := &recorder{caps: everything}
	b := wrap.Check(store)
	if found, err := b.Stat(t.Context()); found == nil || err != nil {
		t.Errorf("Stat() of none = %v, %v, want an empty map", found, err)
	}
	if err := b.Delete(t.Context()); err != nil {
		t.Errorf("Delete() of none = %v, want nil", err)
	}
	if len(store.calls) > 0 {
		t.Errorf("batches of none arrive as %v, want not at all", store.calls)
	}
	repeated := []blob.Digest{someBlob.Digest, other, someBlob.Digest}
	if _, err := b.Stat(t.Context(), repeated...); err != nil {
		t.Errorf("Stat(repeated) = %v, want nil", err)
	}
	if got, want := store.args[0][0], any(repeated[:2]); !cmp.Equal(got, want) {
		t.Errorf("Stat(repeated) arrives with %v, want %v", got, want)
	}
}

// TestCheckClosedAndEnded calls every method on a closed backend, and with a
// context that has ended.
func TestCheckClosedAndEnded(t *testing.T) {
	uses := map[string]use{
		"Stat": stat(someBlob.Digest), "Stat of none": stat(), "Open": open(someBlob, 0), "OpenRaw": openRaw(someBlob, 0),
		"Put": put(someBlob, blob.Bytes(nil)), "CopyFrom": copyTo(&recorder{}, someBlob), "Delete": remove(someBlob.Digest),
		"List": list, "GetRef": getRef("main"), "PutRef": putRef("main", 1, backend.Always),
		"DeleteRef": deleteRef("main", backend.Always), "ListRefs": listRefs,
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, do := range uses {
		store := &recorder{caps: everything}
		b := wrap.Check(store)
		if err := do(ctx, b); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context = %v, want context.Canceled", name, err)
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Errorf("Close() twice = %v, want nil", err)
		}
		if err := do(t.Context(), b); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s after Close = %v, want fs.ErrClosed", name, err)
		}
		if !slices.Equal(store.calls, []string{"Close"}) {
			t.Errorf("%s: the store was asked %v, want only Close, once", name, store.calls)
		}
	}
}
