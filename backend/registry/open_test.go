package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/registrytest"
)

// serving returns a backend of a registry that answers with serve.
func serving(t *testing.T, serve http.HandlerFunc) *registry.Backend {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			serve(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return open(t, strings.TrimPrefix(s.URL, "http://")+"/a/b", registry.Options{})
}

// TestOpenOtherRange shows that bytes from another place than asked for are not
// taken for the right ones.
func TestOpenOtherRange(t *testing.T) {
	b := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-9/100")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(content(1, 10))
	})
	if got, err := read(t.Context(), b, describe(content(1, 100)), 50, 10); !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("Open(50, 10) = %q, %v, want %v", got, err, backend.ErrUnavailable)
	}
}

// TestOpenCompressed shows that nothing is unpacked on the way, even if a
// registry says that it has packed a blob.
func TestOpenCompressed(t *testing.T) {
	data := []byte("\x1f\x8bno gzip at all")
	b := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("GET with Accept-Encoding %q, want identity", got)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(data)
	})
	if got, err := read(t.Context(), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Open() = %q, %v, want %q", got, err, data)
	}
}

// TestOpenManifest reads a manifest as a blob, whole and in part.
func TestOpenManifest(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	b := open(t, newRepository(s.Host), registry.Options{})
	config := put(t, b, []byte("{}"))
	data := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},"layers":[]}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, config.Digest)
	d := blob.Describe(ocispec.MediaTypeImageManifest, data)
	if err := b.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Fatalf("Put(manifest) = %v, want nil", err)
	}
	for _, r := range [][2]int64{{0, -1}, {5, 10}, {5, -1}, {int64(len(data)), -1}, {3, 0}} {
		want := data[r[0]:]
		if r[1] >= 0 {
			want = want[:r[1]]
		}
		if got, err := read(t.Context(), b, d, r[0], r[1]); err != nil || !bytes.Equal(got, want) {
			t.Errorf("Open(manifest, %d, %d) = %q, %v, want %q", r[0], r[1], got, err, want)
		}
	}
	if ref, err := b.GetRef(t.Context(), d.Digest.String()); err != nil || !bytes.Equal(ref.Data, data) || ref.MediaType != d.MediaType {
		t.Errorf("GetRef(digest) = %s %q, %v, want the manifest", ref.MediaType, ref.Data, err)
	}
	wrong := blob.Bytes(append([]byte(" "), data...))
	if err := b.Put(t.Context(), d, wrong); !errors.Is(err, backend.ErrCorrupt) {
		t.Errorf("Put(another manifest) = %v, want %v", err, backend.ErrCorrupt)
	}
}

// TestStatByGet asks a registry that sends HEAD to a store which refuses it.
func TestStatByGet(t *testing.T) {
	b := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Range", "bytes 0-0/100")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write([]byte("x"))
	})
	d := describe(content(1, 100))
	found, err := b.Stat(t.Context(), d.Digest)
	if got, ok := found[d.Digest]; err != nil || !ok || got.Size != 100 {
		t.Errorf("Stat() = %v, %v, want 100 bytes", found, err)
	}
}

// TestDeleteWhereItIsRefused shows the errors of registries that delete nothing
// or not by tag.
func TestDeleteWhereItIsRefused(t *testing.T) {
	for name, options := range map[string]registrytest.Manifests{
		"nothing": {NoDelete: true}, "no tag": {NoTagDelete: true},
	} {
		s := registrytest.New(t, registrytest.Options{Manifests: options})
		b := open(t, newRepository(s.Host), registry.Options{})
		if err := b.DeleteRef(t.Context(), "main", backend.Always); !errors.Is(err, backend.ErrUnsupported) {
			t.Errorf("%s: DeleteRef() = %v, want %v", name, err, backend.ErrUnsupported)
		}
		err := b.Delete(t.Context(), put(t, b, content(1, 10)).Digest)
		if wantErr := options.NoDelete; errors.Is(err, backend.ErrUnsupported) != wantErr {
			t.Errorf("%s: Delete() = %v, want %v: %t", name, err, backend.ErrUnsupported, wantErr)
		}
	}
}
