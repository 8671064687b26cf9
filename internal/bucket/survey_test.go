package bucket_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/bucket/buckettest"
)

// numbered returns digests that are spread as those of content.
func numbered(from, to int) []blob.Digest {
	var all []blob.Digest
	for i := from; i < to; i++ {
		all = append(all, digest.FromString(fmt.Sprint(i)))
	}
	return all
}

// TestStatAsksLeast asks for blobs of which some are there, and counts what that
// takes.
func TestStatAsksLeast(t *testing.T) {
	for _, tt := range []struct {
		name        string
		there       int // blobs in the store, from 0 on
		asked, from int // blobs asked for
		change      func(*buckettest.Memory)
		lists       int // at most
		heads       int // at most
	}{
		{name: "few", there: 50, asked: 63, heads: 63},
		{name: "many in an empty store", asked: 2000, lists: 1},
		{name: "many in a small store", there: 98, asked: 2000, lists: 1},
		{name: "some in a large store", there: 5000, asked: 100, from: 4950, lists: 1, heads: 100},
		{name: "many in a large store", there: 5000, asked: 4000, from: 3000, lists: 1 + 16*5},
		{name: "all of a store of a few pages", there: 300, asked: 300, lists: 1 + 16},
		{name: "without the right to list", there: 50, asked: 100, change: func(m *buckettest.Memory) {
			m.Before = func(_ context.Context, op, _ string) error {
				if op == "list" {
					return backend.ErrDenied
				}
				return nil
			}
		}, lists: 1, heads: 100},
		{name: "in a store that does not list", there: 50, asked: 100, change: func(m *buckettest.Memory) { m.Can.NoList = true }, heads: 100},
		{name: "in a store without order", there: 50, asked: 100, change: func(m *buckettest.Memory) { m.Can.Unordered = true }, heads: 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := buckettest.NewMemory()
			m.PageSize = 100
			for _, d := range numbered(0, tt.there) {
				m.Set("p/blobs/"+d.String(), []byte("x"))
			}
			m.Set("p/blobs/foreign", nil)
			m.Set("p/blobs/sha256:foreign", nil)
			if tt.change != nil {
				tt.change(m)
			}
			b := bucket.New(t.Context(), m, options())
			asked := numbered(tt.from, tt.from+tt.asked)
			found, err := b.Stat(t.Context(), asked...)
			if err != nil {
				t.Fatalf("Stat() = %v, want nil", err)
			}
			want := map[blob.Digest]bool{}
			for _, d := range numbered(tt.from, min(tt.there, tt.from+tt.asked)) {
				want[d] = true
			}
			got := map[blob.Digest]bool{}
			for d, info := range found {
				got[d] = info.Digest == d && info.Size == 1 && !info.ModTime.IsZero()
			}
			if !maps.Equal(got, want) {
				t.Errorf("Stat() has %d blobs, want %d", len(got), len(want))
			}
			counts := m.Counts()
			if counts["list"] > tt.lists || counts["head"] > tt.heads {
				t.Errorf("Stat() took %v, want at most %d lists and %d heads", counts, tt.lists, tt.heads)
			}
		})
	}
}
