package larder_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// crowded is a store that takes a second for each blob, and counts how many are on
// the way at a time.
type crowded struct {
	backend.Backend
	gathers int64

	mu        sync.Mutex
	now, most int
}

func (c *crowded) Info() backend.Info {
	info := c.Backend.Info()
	info.Gathers = c.gathers
	return info
}

func (c *crowded) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

func (c *crowded) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	c.add(1)
	defer c.add(-1)
	time.Sleep(time.Second) //nolint:forbidigo // The clock is that of a bubble.
	return c.Backend.Put(ctx, d, src)
}

// TestBlobsAtATime counts the blobs on the way: a thousand small ones where they
// are stored together, and never more bytes.
func TestBlobsAtATime(t *testing.T) {
	for _, tt := range []struct {
		name    string
		gathers int64
		size    int
		want    int
	}{
		{"stored one by one", 0, 1000, 64},
		{"stored together", 1 << 20, 1000, 300},
		{"too large to be stored together", 999, 1000, 64},
		{"large ones stored together", 1 << 20, 512 << 10, 1024 / 33},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, b := mem.New(), manifest.NewBuilder()
				for i := range 300 {
					data := make([]byte, tt.size)
					copy(data, fmt.Sprint(i))
					d := blob.Describe("application/vnd.oci.image.layer.v1.tar", data)
					if err := store.Put(t.Context(), d, blob.Bytes(data)); err != nil {
						t.Fatal(err)
					}
					b.Result(b.Record(d.Digest.String()), time.Now(), b.Layer(d, d.Digest, time.Now(), manifest.LayerHandle{}))
				}
				m, err := b.Manifest()
				if err != nil {
					t.Fatal(err)
				}
				to := &crowded{Backend: mem.New(), gathers: tt.gathers}
				target := larder.Target{Backend: wrap.Recommended(to, wrap.Options{}), Ref: "main"}
				if _, err := larder.Export(t.Context(), m, larder.ContentOf(store), []larder.Target{target}, larder.ExportOptions{}); err != nil {
					t.Fatalf("Export() = %v, want nil", err)
				}
				if to.most != tt.want {
					t.Errorf("Export() has sent %d blobs at a time, want %d", to.most, tt.want)
				}
			})
		})
	}
}
