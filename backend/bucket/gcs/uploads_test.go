package gcs_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/gcstest"
)

// TestUploads counts what objects of each size cost, and leaves none half done.
func TestUploads(t *testing.T) {
	s, opts := fake(t, gcstest.Options{})
	b := open(t, opts)
	for _, tt := range []struct {
		name string
		size int
		want int // requests
	}{
		{"nothing", 0, 1},
		{"small", 100_000, 1},
		{"a whole unit", 256 << 10, 1},
		{"medium, asked for first", 3 << 20, 2},
		{"large, in chunks", 33 << 20, 1 + 1 + 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := make([]byte, tt.size)
			_, _ = rand.Read(data)
			s.Requests()
			if err := b.Put(t.Context(), blob.Describe("", data), blob.Bytes(data)); err != nil {
				t.Fatal(err)
			}
			if got := s.Requests(); len(got) != tt.want {
				t.Errorf("requests = %q, want %d", got, tt.want)
			}
			if n := s.Open(); n != 0 {
				t.Errorf("%d uploads are open, want none", n)
			}
		})
	}
}

// TestRenewal has the service itself renew what is old.
func TestRenewal(t *testing.T) {
	s, opts := fake(t, gcstest.Options{})
	opts.RefreshAge = 2 * time.Hour
	b := open(t, opts)
	data := make([]byte, 2<<20)
	d := blob.Describe("", data)
	if err := b.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Fatal(err)
	}
	s.Age("caches", "blobs/"+d.Digest.String(), 90*time.Minute)
	s.Requests()
	if err := b.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Fatal(err)
	}
	got := s.Requests()
	if !slices.ContainsFunc(got, func(r string) bool { return strings.Contains(r, "rewriteTo") }) ||
		slices.ContainsFunc(got, func(r string) bool { return strings.Contains(r, "/upload/") }) {
		t.Errorf("requests = %q, want it rewritten and not sent again", got)
	}
	found, err := b.Stat(t.Context(), d.Digest)
	if err != nil || time.Since(found[d.Digest].ModTime) > time.Hour {
		t.Errorf("Stat() = %v, %v, want a new age", found, err)
	}
}
