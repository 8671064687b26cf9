package bucket_test

import (
	"testing"

	"github.com/larder-build/larder/internal/bucket"
)

// TestKeys has the same attributes for both layouts of BuildKit's.
func TestKeys(t *testing.T) {
	for _, tt := range []struct {
		name, prefix, blobs, manifests string
		concatenated, joined           bucket.Keys
	}{
		{
			"defaults of S3", "", "blobs/", "manifests/",
			bucket.Keys{Blobs: "blobs/", Manifests: "manifests/"},
			bucket.Keys{Blobs: "blobs/", Manifests: "manifests/"},
		},
		{
			"no slashes", "p1", "bb", "mm",
			bucket.Keys{Blobs: "p1bb", Manifests: "p1mm"},
			bucket.Keys{Blobs: "p1/bb/", Manifests: "p1/mm/"},
		},
		{
			"many slashes", "/a//b/", "./blobs/", "x/../m",
			bucket.Keys{Blobs: "/a//b/./blobs/", Manifests: "/a//b/x/../m"},
			bucket.Keys{Blobs: "/a/b/blobs/", Manifests: "/a/b/m/"},
		},
		{"nothing", "", "", "", bucket.Keys{}, bucket.Keys{}},
		{"the root", "/", "", "", bucket.Keys{Blobs: "/", Manifests: "/"}, bucket.Keys{Blobs: "/", Manifests: "/"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := bucket.Concatenated(tt.prefix, tt.blobs, tt.manifests); got != tt.concatenated {
				t.Errorf("Concatenated() = %+v, want %+v", got, tt.concatenated)
			}
			if got := bucket.Joined(tt.prefix, tt.blobs, tt.manifests); got != tt.joined {
				t.Errorf("Joined() = %+v, want %+v", got, tt.joined)
			}
		})
	}
}
