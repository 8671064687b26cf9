package manifest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/internal/fixtures"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// written returns a cache that BuildKit wrote to S3.
func written(t *testing.T, name string) *manifest.Manifest {
	t.Helper()
	dir := fixtures.Extract(t, "buildkit/s3")
	data, err := os.ReadFile(filepath.Join(dir, "objects", "manifests", fixtures.FileName(name)))
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := buildkit.Decode(t.Context(), "", data, nil, buildkit.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return decoded.Manifest
}

// What BuildKit's exporter sorted is in canonical order, and nothing in it is
// superfluous.
func TestBuildKitWritesCanonicalOrder(t *testing.T) {
	for _, name := range []string{"main", "feature-login", "v1.0"} {
		m := written(t, name)
		if len(m.Layers) != 17 || len(m.Records) != 25 {
			t.Fatalf("%s has %d layers and %d records, want 17 and 25", name, len(m.Layers), len(m.Records))
		}
		if diff := cmp.Diff(m, m.Canonical()); diff != "" {
			t.Errorf("Canonical of %s: -want +got:\n%s", name, diff)
		}
		if diff := cmp.Diff(m, m.Compact()); diff != "" {
			t.Errorf("Compact of %s: -want +got:\n%s", name, diff)
		}
		if _, lost := m.Usable(); lost != (manifest.Lost{}) {
			t.Errorf("Usable of %s lost %+v", name, lost)
		}
	}
}

// Two branches that share steps: nothing that either has is missing from the
// merge, and what both have stands there once.
func TestMergeOfTwoBranches(t *testing.T) {
	main, feature := written(t, "main"), written(t, "feature-login")
	merged := manifest.Merge(main, feature)
	if diff := cmp.Diff(merged, manifest.Merge(feature, merged, main)); diff != "" {
		t.Errorf("the order matters:\n%s", diff)
	}
	between := manifest.Diff(main, feature)
	if want := len(main.Records) + len(between.B.Records); len(merged.Records) != want || want == len(main.Records) {
		t.Errorf("Merge has %d records, want %d", len(merged.Records), want)
	}
	for name, m := range map[string]*manifest.Manifest{"main": main, "feature-login": feature} {
		if d := manifest.Diff(m, merged); len(d.A.Records) > 0 || len(d.Changed) > 0 {
			t.Errorf("of %s the merge lacks %v and changed %v", name, d.A.Records, d.Changed)
		}
	}
}
