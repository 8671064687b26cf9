package backend_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

// transparent is a wrapper that may be bypassed.
type transparent struct{ backend.Backend }

func (w transparent) Unwrap() backend.Backend { return w.Backend }

// opaque is a wrapper that may not.
type opaque struct{ backend.Backend }

// copier is a backend with an optional interface.
type copier struct {
	backend.Backend
	name string
}

func (copier) CopyFrom(context.Context, backend.Backend, blob.Descriptor) error { return nil }

// rawOpener is a wrapper that yields something else when read raw.
type rawOpener struct{ transparent }

func (rawOpener) OpenRaw(ctx context.Context, _ blob.Descriptor, _, _ int64) (io.ReadCloser, error) {
	return blob.Bytes([]byte("raw")).Open(ctx)
}

func TestAs(t *testing.T) {
	plain := mem.New()
	found := copier{plain, "inner"}
	for _, tt := range []struct {
		name string
		b    backend.Backend
		want string
	}{
		{"none", nil, ""},
		{"no copier", plain, ""},
		{"no copier behind a wrapper", transparent{plain}, ""},
		{"itself", found, "inner"},
		{"behind wrappers", transparent{transparent{found}}, "inner"},
		{"outermost", transparent{copier{transparent{found}, "outer"}}, "outer"},
		{"behind an opaque wrapper", opaque{found}, ""},
		{"behind an opaque wrapper behind another", transparent{opaque{found}}, ""},
		{"wrapper of nothing", transparent{nil}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := backend.As[backend.Copier](tt.b)
			if ok != (tt.want != "") {
				t.Fatalf("As(%s) = %v, %t, want %t", tt.name, got, ok, tt.want != "")
			}
			if c, _ := got.(copier); c.name != tt.want {
				t.Errorf("As(%s) = %q, want %q", tt.name, c.name, tt.want)
			}
		})
	}
}

func TestAsFindsConcreteTypes(t *testing.T) {
	want := mem.New()
	if got, ok := backend.As[*mem.Backend](transparent{want}); got != want || !ok {
		t.Errorf("As(wrapped store) = %p, %t, want %p", got, ok, want)
	}
}

func read(t *testing.T, src blob.Source) (string, error) {
	t.Helper()
	r, err := src.Open(t.Context())
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	return string(data), err
}

func TestSourceOf(t *testing.T) {
	b := mem.New()
	d := blob.Describe("", []byte("content"))
	src := backend.SourceOf(b, d)
	if _, err := read(t, src); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Open(missing) = %v, want %v", err, backend.ErrNotFound)
	}
	if err := b.Put(t.Context(), d, blob.Bytes([]byte("content"))); err != nil {
		t.Fatalf("Put() = %v, want nil", err)
	}
	for range 2 {
		if got, err := read(t, src); err != nil || got != "content" {
			t.Errorf("Open() = %q, %v, want content", got, err)
		}
	}
}

func TestRawSourceOf(t *testing.T) {
	b := mem.New()
	d := blob.Describe("", []byte("content"))
	if err := b.Put(t.Context(), d, blob.Bytes([]byte("content"))); err != nil {
		t.Fatalf("Put() = %v, want nil", err)
	}
	for _, tt := range []struct {
		name string
		b    backend.Backend
		want string
	}{
		{"no raw opener", b, "content"},
		{"raw opener", rawOpener{transparent{b}}, "raw"},
		{"raw opener behind a wrapper", transparent{rawOpener{transparent{b}}}, "raw"},
		{"raw opener behind an opaque wrapper", opaque{rawOpener{transparent{b}}}, "content"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := read(t, backend.RawSourceOf(tt.b, d)); err != nil || got != tt.want {
				t.Errorf("Open() = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
