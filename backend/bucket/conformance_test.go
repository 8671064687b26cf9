package bucket_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/bucket"
	larderblob "github.com/larder-build/larder/blob"
)

// conform runs the suite over buckets that open makes.
func conform(t *testing.T, opts bucket.Options, h backendtest.Harness, open func(testing.TB) *blob.Bucket) {
	t.Helper()
	opts.Prefix, opts.RefreshAge, opts.PartSize, opts.KeepOpen = "p/", -1, 100_000, true
	h.New = func(tb testing.TB) backend.Backend {
		tb.Helper()
		b := open(tb)
		tb.Cleanup(func() {
			if err := b.Close(); err != nil {
				tb.Error(err)
			}
		})
		return bucket.New(tb.Context(), b, opts)
	}
	h.Reopen = func(tb testing.TB, b backend.Backend) backend.Backend {
		tb.Helper()
		return bucket.New(tb.Context(), bucketOf(tb, b), opts)
	}
	h.Plant = func(tb testing.TB, b backend.Backend, d larderblob.Digest, data []byte) {
		tb.Helper()
		if err := bucketOf(tb, b).WriteAll(context.WithoutCancel(tb.Context()), "p/blobs/"+d.String(), data, nil); err != nil {
			tb.Fatal(err)
		}
	}
	if os.Getenv("LARDER_SOAK") == "full" {
		h.Rounds = 500
	}
	h.PartSize = 200_000
	backendtest.Run(t, h)
}

func bucketOf(tb testing.TB, b backend.Backend) *blob.Bucket {
	tb.Helper()
	of, ok := b.(*bucket.Backend)
	if !ok {
		tb.Fatalf("backend is a %T, want one of this package", b)
	}
	return of.Bucket()
}

func TestConformanceMemory(t *testing.T) {
	opts := bucket.Options{Driver: "mem", Location: "type=mem", Service: bucket.Creating{}}
	conform(t, opts, backendtest.Harness{PageSize: 1000}, func(testing.TB) *blob.Bucket { return memblob.OpenBucket(nil) })
}

func TestConformanceFiles(t *testing.T) {
	opts := bucket.Options{Driver: "file", Location: "type=file", Service: bucket.FileService{}}
	conform(t, opts, backendtest.Harness{Refuses: func(name string) bool {
		return strings.Contains(name, "/") || len(name) > 234
	}}, func(tb testing.TB) *blob.Bucket {
		tb.Helper()
		b, err := fileblob.OpenBucket(tb.TempDir(), &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
		if err != nil {
			tb.Fatal(err)
		}
		return b
	})
}
