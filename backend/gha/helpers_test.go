package gha_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/ghaserver"
)

// content is size bytes that differ by seed.
func content(seed, size int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%08x", seed), size/8+1)[:size]
}

func describe(data []byte) blob.Descriptor {
	return blob.Describe(ocispec.MediaTypeImageLayerZstd, data)
}

// put stores data, which must succeed.
func put(tb testing.TB, b backend.Backend, data []byte) blob.Descriptor {
	tb.Helper()
	d := describe(data)
	if err := b.Put(tb.Context(), d, blob.Bytes(data)); err != nil {
		tb.Fatalf("Put(%d bytes) = %v, want nil", len(data), err)
	}
	return d
}

// putRef points a ref to a document, which must succeed.
func putRef(tb testing.TB, b backend.Backend, name, doc string, cond backend.Condition) backend.Version {
	tb.Helper()
	v, err := b.PutRef(tb.Context(), name, backend.Document{Data: []byte(doc)}, cond)
	if err != nil {
		tb.Fatalf("PutRef(%s, %s) = %v, want nil", name, cond, err)
	}
	return v
}

// wantRef fails unless a ref has a document; "" means that it is not there.
func wantRef(tb testing.TB, b backend.Backend, name, want string) backend.Version {
	tb.Helper()
	r, err := b.GetRef(tb.Context(), name)
	if want == "" && !errors.Is(err, backend.ErrNotFound) || want != "" && (err != nil || string(r.Data) != want) {
		tb.Errorf("GetRef(%s) = %q, %v, want %q", name, r.Data, err, want)
	}
	return r.Version
}

// read returns a range of a blob.
func read(ctx context.Context, b backend.Backend, d blob.Descriptor, off, n int64) ([]byte, error) {
	r, err := b.Open(ctx, d, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// wantBlob fails unless the blob with this content is there.
func wantBlob(tb testing.TB, b backend.Backend, data []byte) {
	tb.Helper()
	got, err := read(tb.Context(), b, describe(data), 0, -1)
	if err != nil || !bytes.Equal(got, data) {
		tb.Errorf("Open(%d bytes) = %d bytes, %v, want them", len(data), len(got), err)
	}
}

// wantNoBlob fails unless the blob is not found.
func wantNoBlob(tb testing.TB, b backend.Backend, d blob.Descriptor) {
	tb.Helper()
	_, err := read(tb.Context(), b, d, 0, -1)
	if !errors.Is(err, backend.ErrNotFound) {
		tb.Errorf("Open(%s) = %v, want %v", d.Digest, err, backend.ErrNotFound)
	}
	found, err := b.Stat(tb.Context(), d.Digest)
	if err != nil || len(found) != 0 {
		tb.Errorf("Stat(%s) = %v, %v, want nothing", d.Digest, found, err)
	}
}

// keys returns the keys of the service's entries.
func keys(s *ghaserver.Server) []string {
	var all []string
	for _, e := range s.Entries() {
		all = append(all, e.Key)
	}
	return all
}

// impatient takes others for crashed soon.
func impatient(o *gha.Options) { o.StuckAfter = 300 * time.Millisecond }

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// readOnly has a service that lets nobody write, as GitHub's does with triggers
// that are not trusted.
func readOnly(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case strings.HasSuffix(r.URL.Path, "/CreateCacheEntry"):
		_, _ = io.WriteString(w, `{"ok":false,"signed_upload_url":"","message":"cache write denied: the trigger is not trusted"}`)
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/caches"):
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"cache write denied: the trigger is not trusted"}`)
	default:
		return false
	}
	return true
}
