package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The layers are stored as they are and their digests are known, so every
// figure of the tour is.
const tourText = `1. Two builds have exported their caches to a directory:
   main           results of 17 build steps in 15 blobs of 166000 bytes, as oci-manifest
   feature-login  results of 17 build steps in 15 blobs of 166022 bytes, as oci-manifest

2. Copy main to another place, and once more:
   published: sent 15 blobs, reused 0
   unchanged: sent 0 blobs, reused 15

3. Merge both into the tag all:
   published: sent 5 blobs, reused 15 that came with main

4. Verify it:
   ok: true, 20 blobs, 254929 bytes

5. Overwrite the largest layer with zeros, then verify and repair:
   ok: false, 1 corrupt: sha256:a68a9492edb9…
   published again: the results of 8 steps needed it, those of 16 are kept

6. Import it, with a branch before it that has no cache yet:
   my-branch      found: false
   all            found: true
   12 blobs are ready for the next build, which makes anew only what was lost.
`

func TestTour(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // Windows.
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("run() = %v", err)
	}
	if diff := cmp.Diff(tourText, out.String()); diff != "" {
		t.Errorf("run() prints (-want +got):\n%s", diff)
	}
	checkEmpty(t, dir)
}

func TestTourCanceled(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("run(canceled) = %v, want context.Canceled", err)
	}
	checkEmpty(t, dir)
}

// checkEmpty fails the test if the tour left something behind.
func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range left {
		t.Errorf("left behind: %s", filepath.Join(dir, file.Name()))
	}
}
