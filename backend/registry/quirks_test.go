package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/internal/registrytest"
	"github.com/larder-build/larder/manifest/buildkit"
)

// TestServicesRefusals exports to registries that refuse a cache, each in its
// own way: the error says what the service said, means what it meant, and what
// was there remains.
func TestServicesRefusals(t *testing.T) {
	for _, test := range []struct {
		name     string
		options  registrytest.Options
		encoding buildkit.Encoding
		kind     error
		says     string
		before   bool // there has to be a cache before
	}{
		{
			"ECR, index",
			registrytest.Options{Manifests: registrytest.Manifests{ECRNoIndexes: true, AnyChildren: true}},
			buildkit.OCIIndex, backend.ErrInvalid, "Invalid JSON syntax", false,
		},
		{
			"ECR, no repository",
			registrytest.Options{Manifests: registrytest.Manifests{ECRNoCreate: true}},
			"", backend.ErrNotFound, "The repository with name", false,
		},
		{
			"ECR, immutable tag",
			registrytest.Options{Manifests: registrytest.Manifests{ECRImmutable: true}},
			"", backend.ErrExists, "cannot be overwritten because the repository is immutable", true,
		},
		{
			"Quay",
			registrytest.Options{Manifests: registrytest.Manifests{QuayNoCaches: true}},
			"", backend.ErrDenied, "not authorized", false,
		},
		{
			"Harbor, index",
			registrytest.Options{Manifests: registrytest.Manifests{HarborNoIndexes: true, AnyChildren: true}},
			buildkit.OCIIndex, backend.ErrNotFound, "leave out image-manifest=false", false,
		},
		{
			"Nexus",
			registrytest.Options{Manifests: registrytest.Manifests{NexusNoRepush: true}},
			"", backend.ErrExists, "does not allow updating assets", true,
		},
		{
			"Artifactory",
			registrytest.Options{Manifests: registrytest.Manifests{ArtifactoryNoCaches: true}},
			"", backend.ErrInvalid, "manifest invalid", false,
		},
		{
			"a CDN",
			registrytest.Options{MaxBody: 4000},
			"", backend.ErrTooLarge, "upload in chunks below it", false,
		},
		{
			"Docker Hub, pulls",
			registrytest.Options{Reads: registrytest.Reads{DockerHubPulls: 1}},
			"", backend.ErrLimited, "You have reached your pull rate limit", true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := registrytest.New(t, test.options)
			export := func(layers int) error {
				m, blobs := cacheOf(t, layers, 5000)
				b := wrap.Recommended(open(t, s.Host+"/team/cache", registry.Options{}), wrap.Options{Retry: wrap.RetryOptions{Budget: time.Millisecond, First: time.Microsecond}})
				_, err := larder.Export(t.Context(), m, blobs, []larder.Target{{Backend: b, Ref: "main"}}, larder.ExportOptions{Encoding: test.encoding})
				return err
			}
			if test.before {
				if err := export(1); err != nil {
					t.Fatalf("the first Export() = %v, want nil", err)
				}
			}
			_, before, _ := s.Manifest("team/cache", "main")
			err := export(2)
			if !errors.Is(err, test.kind) || err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Export() = %v, want %v that says %q", err, test.kind, test.says)
			}
			if _, after, _ := s.Manifest("team/cache", "main"); string(after) != string(before) {
				t.Errorf("the tag points to %q, want what it did, %q", after, before)
			}
		})
	}
}

// TestEmptyManifest shows what ECR says of one, which no export writes.
func TestEmptyManifest(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{Manifests: registrytest.Manifests{ECRNoEmpty: true}})
	b := open(t, s.Host+"/team/cache", registry.Options{})
	m, blobs := cacheOf(t, 0, 1)
	report, err := larder.Export(t.Context(), m, blobs, []larder.Target{{Backend: b, Ref: "main"}}, larder.ExportOptions{})
	if err != nil || len(s.Tags("team/cache")) != 0 {
		t.Errorf("Export(nothing) = %+v, %v with the tags %q, want none written", report, err, s.Tags("team/cache"))
	}
	config := put(t, b, []byte("{}"))
	doc := backend.Document{Data: []byte(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + config.Digest.String() + `","size":2},"layers":[]}`)}
	if _, err := b.PutRef(t.Context(), "main", doc, backend.Always); !errors.Is(err, backend.ErrUnsupported) || !strings.Contains(err.Error(), "at least 1 layer") {
		t.Errorf("PutRef(no layers) = %v, want %v in ECR's words", err, backend.ErrUnsupported)
	}
}

// TestChunksPassACDN shows what chunks are for: a proxy that limits requests.
func TestChunksPassACDN(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{MaxBody: 4000})
	put(t, open(t, s.Host+"/a/b", registry.Options{ChunkSize: 4000}), content(1, 10_000))
}

// TestVanishedBlob has a blob go from under its manifest, as at Google's: an
// import does without its records.
func TestVanishedBlob(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	b := open(t, s.Host+"/a/b", registry.Options{})
	at := larder.Target{Backend: b, Ref: "main"}
	m, blobs := cacheOf(t, 3, 5000)
	if _, err := larder.Export(t.Context(), m, blobs, []larder.Target{at}, larder.ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	s.DropBlob("a/b", m.Layers[1].Digest)
	found, _, err := larder.Import(t.Context(), []larder.Target{at}, larder.ImportOptions{})
	if err != nil || len(found.Manifest.Layers) != 2 {
		t.Errorf("Import() = %+v, %v, want the two layers that are left", found, err)
	}
}

// TestRateLimit shows that a limit names the time to wait.
func TestRateLimit(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{RateLimit: registrytest.RateLimit{Requests: 2, Per: time.Hour}})
	b := open(t, s.Host+"/a/b", registry.Options{})
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
		t.Fatalf("GetRef() = %v, want %v", err, backend.ErrNotFound)
	}
	_, err := b.GetRef(t.Context(), "main")
	if after, temporary := backend.Temporary(err); !errors.Is(err, backend.ErrLimited) || !temporary || after < 59*time.Minute {
		t.Errorf("GetRef(over the limit) = %v, temporary %t after %v, want %v after about an hour", err, temporary, after, backend.ErrLimited)
	}
}
