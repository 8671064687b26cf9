package larder_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/internal/registrytest"
	"github.com/larder-build/larder/manifest"
)

// registryTargets opens a location in a registry.
func registryTargets(tb testing.TB, location string) []larder.Target {
	tb.Helper()
	mux := &backend.Mux{}
	mux.Register(registry.Driver())
	l, err := mux.Parse(location)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := mux.Open(tb.Context(), l)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return larder.TargetsOf(b, l)
}

// TestInlineInRegistry pushes images without cache and gives them one, as a
// location of type inline says: a registry takes manifests only if all that they
// refer to is there.
func TestInlineInRegistry(t *testing.T) {
	server := registrytest.New(t, registrytest.Options{})
	for name, from := range map[string]larder.Target{
		"image": fixture(t, inlineImage, "1.0"),
		"index": fixture(t, inlineIndex, "1.0-multi"),
	} {
		t.Run(name, func(t *testing.T) {
			ref := server.Host + "/app/" + name
			plain := larder.Target{Backend: mem.New(), Ref: "cache"}
			copyTo(t, from, larder.CopyOptions{}, plain)
			pushed := registryTargets(t, "type=registry,ref="+ref+":pushed")[0]
			copyTo(t, from, larder.CopyOptions{}, pushed)
			if diff := cmp.Diff(document(t, from), document(t, pushed)); diff != "" {
				t.Errorf("the pushed image differs (-local +registry):\n%s", diff)
			}

			image := strip(t, pushed, "bare")
			inline := registryTargets(t, "type=inline,ref="+ref+":bare")
			report := copyTo(t, plain, larder.CopyOptions{}, inline...)
			if got := report.Targets[0]; got.Outcome != larder.Published || got.Attached == 0 || got.Sent.Blobs != 0 {
				t.Errorf("Copy() = %s with %d records attached, %d blobs sent, want published, some, 0", got.Outcome, got.Attached, got.Sent.Blobs)
			}
			if got := degradations(report); !slices.Equal(got, []larder.DegradationKind{larder.UnguardedPublish}) {
				t.Errorf("Copy() reports %v, want one %s", got, larder.UnguardedPublish)
			}
			if diff := cmp.Diff(manifest.Merge(inspect(t, pushed).Manifest), manifest.Merge(inspect(t, image).Manifest)); diff != "" {
				t.Errorf("the image has another cache than BuildKit's (-want +got):\n%s", diff)
			}
			if again := copyTo(t, plain, larder.CopyOptions{}, inline...); again.Targets[0].Outcome != larder.Unchanged {
				t.Errorf("Copy() again = %s, want unchanged", again.Targets[0].Outcome)
			}
		})
	}
}
