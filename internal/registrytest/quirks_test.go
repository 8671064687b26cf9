package registrytest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/internal/registrytest"
)

// cacheManifest is a cache as BuildKit writes it by default, of blobs that
// newCache has put.
func cacheManifest(t *testing.T) []byte {
	t.Helper()
	return []byte(strings.Replace(string(manifestOf(t, []byte("{}"), []byte("layer"))),
		specs.MediaTypeImageConfig, "application/vnd.buildkit.cacheconfig.v0", 1))
}

// cacheIndex is a cache as BuildKit writes it with image-manifest=false.
func cacheIndex(t *testing.T) []byte {
	t.Helper()
	index := specs.Index{MediaType: specs.MediaTypeImageIndex}
	index.SchemaVersion = 2
	for _, b := range []struct{ mediaType, data string }{
		{specs.MediaTypeImageLayerGzip, "layer"}, {"application/vnd.buildkit.cacheconfig.v0", "{}"},
	} {
		index.Manifests = append(index.Manifests, specs.Descriptor{
			MediaType: b.mediaType, Digest: digest.FromString(b.data), Size: int64(len(b.data)),
		})
	}
	return marshal(t, index)
}

// TestRefusals puts documents that some registries refuse into all of them.
func TestRefusals(t *testing.T) {
	const (
		oci   = specs.MediaTypeImageManifest
		index = specs.MediaTypeImageIndex
	)
	image := manifestOf(t, []byte("{}"), []byte("layer"))
	other := manifestOf(t, []byte("{}"), []byte("layer"), []byte("layer"))
	tests := []struct {
		name      string
		options   registrytest.Manifests
		mediaType string
		doc       []byte
		want      string
		says      string
	}{
		{"strict, cache", registrytest.Manifests{}, oci, cacheManifest(t), "201", ""},
		{"strict, index of blobs", registrytest.Manifests{}, index, cacheIndex(t), "400 MANIFEST_BLOB_UNKNOWN", ""},
		{"any children", registrytest.Manifests{AnyChildren: true}, index, cacheIndex(t), "201", ""},
		{"ecr, index of blobs", registrytest.Manifests{ECRNoIndexes: true, AnyChildren: true}, index, cacheIndex(t), "400 MANIFEST_INVALID", "Invalid JSON syntax"},
		{"ecr, cache", registrytest.Manifests{ECRNoIndexes: true}, oci, cacheManifest(t), "201", ""},
		{"ecr, no layers", registrytest.Manifests{ECRNoEmpty: true}, oci, manifestOf(t, []byte("{}")), "405 UNSUPPORTED", "at least 1 layer"},
		{"ecr, same again", registrytest.Manifests{ECRImmutable: true}, oci, other, "201", ""},
		{"ecr, immutable", registrytest.Manifests{ECRImmutable: true}, oci, image, "400 TAG_INVALID", "'v1' already exists in the 'a' repository"},
		{"quay, cache", registrytest.Manifests{QuayNoCaches: true}, oci, cacheManifest(t), "401 UNAUTHORIZED", ""},
		{"quay, image", registrytest.Manifests{QuayNoCaches: true}, oci, image, "201", ""},
		{"artifactory, cache", registrytest.Manifests{ArtifactoryNoCaches: true}, oci, cacheManifest(t), "400 MANIFEST_INVALID", ""},
		{"artifactory, image", registrytest.Manifests{ArtifactoryNoCaches: true}, oci, image, "201", ""},
		{"harbor, index of blobs", registrytest.Manifests{HarborNoIndexes: true, AnyChildren: true}, index, cacheIndex(t), "404 NOT_FOUND", ""},
		{"nexus, same again", registrytest.Manifests{NexusNoRepush: true}, oci, other, "400 BLOB_UPLOAD_INVALID", "does not allow updating assets"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, registrytest.Options{Manifests: tt.options})
			c.s.PutBlob("a", []byte("{}"))
			c.s.PutBlob("a", []byte("layer"))
			before := c.s.PutManifest("a", "v1", oci, other)
			a := c.want(tt.want, "PUT", "/v2/a/manifests/v1", tt.doc, "Content-Type", tt.mediaType)
			if !strings.Contains(string(a.Body), tt.says) {
				t.Errorf("PUT says %s, want %q", a.Body, tt.says)
			}
			want := digest.FromBytes(tt.doc)
			if tt.want != "201" {
				want = before
			}
			if _, data, err := c.s.Manifest("a", "v1"); err != nil || digest.FromBytes(data) != want {
				t.Errorf("the tag points to %s (%v), want %s", digest.FromBytes(data), err, want)
			}
		})
	}
}

func TestNoCreate(t *testing.T) {
	c := newClient(t, registrytest.Options{
		Repositories: []string{"there"}, Manifests: registrytest.Manifests{ECRNoCreate: true},
	})
	c.want("404 NAME_UNKNOWN", "POST", "/v2/missing/blobs/uploads/", nil)
	c.want("404 NAME_UNKNOWN", "PUT", "/v2/missing/manifests/v1", manifestOf(t), "Content-Type", specs.MediaTypeImageManifest)
	c.upload("there")
}

func TestDeletionQuirks(t *testing.T) {
	tests := []struct {
		name    string
		options registrytest.Manifests
		ref     string // "" is the digest
		want    string
		left    []string
	}{
		{"none", registrytest.Manifests{NoDelete: true}, "", "405 UNSUPPORTED", []string{"one", "two"}},
		{"not by tag", registrytest.Manifests{NoTagDelete: true}, "one", "400 DIGEST_INVALID", []string{"one", "two"}},
		{"by digest", registrytest.Manifests{NoTagDelete: true}, "", "202", nil},
		{"all tags", registrytest.Manifests{DeleteAllTags: true}, "one", "202", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, registrytest.Options{Manifests: tt.options})
			m := manifestOf(t, []byte("{}"))
			d := c.s.PutManifest("a", "one", specs.MediaTypeImageManifest, m)
			c.s.PutManifest("a", "two", specs.MediaTypeImageManifest, m)
			ref := tt.ref
			if ref == "" {
				ref = d.String()
			}
			c.want(tt.want, "DELETE", "/v2/a/manifests/"+ref, nil)
			if diff := cmp.Diff(tt.left, c.s.Tags("a")); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
	c := newClient(t, registrytest.Options{Manifests: registrytest.Manifests{NoDelete: true}})
	c.want("405 UNSUPPORTED", "DELETE", "/v2/a/blobs/"+c.s.PutBlob("a", []byte("x")).String(), nil)
}

func TestUploadQuirks(t *testing.T) {
	quirk := func(q registrytest.Uploads) client { return newClient(t, registrytest.Options{Uploads: q}) }
	t.Run("no mount", func(t *testing.T) {
		c := quirk(registrytest.Uploads{NoMount: true})
		d := c.s.PutBlob("a", []byte("x"))
		c.want("202", "POST", "/v2/b/blobs/uploads/?from=a&mount="+d.String(), nil)
	})
	t.Run("harbor", func(t *testing.T) {
		c := quirk(registrytest.Uploads{HarborMountError: true})
		d := c.s.PutBlob("p/a", []byte("x"))
		c.want("201", "POST", "/v2/b/blobs/uploads/?from=p/a&mount="+d.String(), nil)
		a := c.want("401 UNAUTHORIZED", "POST", "/v2/b/blobs/uploads/?from=q/a&mount="+d.String(), nil)
		if !strings.Contains(string(a.Body), "project q not found") {
			t.Errorf("POST says %s, want that project q was not found", a.Body)
		}
	})
	t.Run("monolithic only", func(t *testing.T) {
		c := quirk(registrytest.Uploads{MonolithicOnly: true})
		at := c.upload("a")
		c.want("405 UNSUPPORTED", "PATCH", at, []byte("x"))
		c.want("201", "PUT", at+"&digest="+digest.FromString("x").String(), []byte("x"))
	})
	t.Run("acr", func(t *testing.T) {
		c := quirk(registrytest.Uploads{ACRNoResume: true})
		first := c.upload("a")
		second := c.want("202", "PATCH", first, []byte("01"), "Content-Range", "0-1").Header.Get("Location")
		c.want("404 BLOB_UPLOAD_INVALID", "PATCH", first, []byte("01"), "Content-Range", "0-1")
		c.want("404 BLOB_UPLOAD_INVALID", "PATCH", second, []byte("23"), "Content-Range", "2-3")
		c.want("404 BLOB_UPLOAD_INVALID", "GET", second, nil)

		cut := c.upload("a")
		c.s.Inject(registrytest.Fault{Op: registrytest.OpUploadChunk, Kind: registrytest.Reset, After: 0})
		if _, err := c.try("PATCH", cut, []byte("01"), "Content-Range", "0-1"); err == nil {
			t.Fatal("PATCH succeeded under a fault")
		}
		c.want("404 BLOB_UPLOAD_INVALID", "PATCH", cut, []byte("01"), "Content-Range", "0-1")
	})
	t.Run("relative locations", func(t *testing.T) {
		c := quirk(registrytest.Uploads{RelativeLocations: true})
		if at := c.upload("a"); !strings.HasPrefix(at, "/v2/a/blobs/uploads/") {
			t.Errorf("Location = %q, want a path", at)
		}
	})
	t.Run("out of order chunks", func(t *testing.T) {
		c := quirk(registrytest.Uploads{OutOfOrderChunks: true})
		at := c.upload("a")
		c.want("202", "PATCH", at, []byte("45"), "Content-Range", "4-5")
		c.want("202", "PATCH", at, []byte("01"), "Content-Range", "0-1")
		c.want("201", "PUT", at+"&digest="+digest.FromString("4501").String(), nil)
	})
	t.Run("limited bodies", func(t *testing.T) {
		c := newClient(t, registrytest.Options{MaxBody: 4})
		at := c.upload("a")
		c.want("413", "PATCH", at, []byte("01234"))
		c.want("202", "PATCH", at, []byte("0123"))
	})
}

func TestReadQuirks(t *testing.T) {
	blob := []byte("0123456789")
	quirk := func(q registrytest.Reads) (client, string) {
		c := newClient(t, registrytest.Options{Reads: q})
		return c, "/v2/a/blobs/" + c.s.PutBlob("a", blob).String()
	}
	t.Run("ignore range", func(t *testing.T) {
		c, at := quirk(registrytest.Reads{IgnoreRange: true})
		if a := c.want("200", "GET", at, nil, "Range", "bytes=2-4"); string(a.Body) != string(blob) {
			t.Errorf("GET = %q, want all of it", a.Body)
		}
		if a := c.want("200", "HEAD", at, nil); a.Header.Get("Content-Length") != "10" {
			t.Errorf("HEAD = %v, want a length of 10", a.Header)
		}
	})
	t.Run("no digest header", func(t *testing.T) {
		c, at := quirk(registrytest.Reads{NoDigestHeader: true})
		const key = "Docker-Content-Digest"
		if a := c.want("200", "HEAD", at, nil); a.Header.Get(key) != "" {
			t.Errorf("HEAD has %s, want none", a.Header.Get(key))
		}
		if a := c.want("200", "GET", at, nil); a.Header.Get(key) == "" {
			t.Error("GET has no digest, want one")
		}
	})
	t.Run("redirect", func(t *testing.T) {
		c, at := quirk(registrytest.Reads{RedirectBlobs: true})
		if a := c.want("206", "GET", at, nil, "Range", "bytes=2-4"); string(a.Body) != "234" {
			t.Errorf("GET = %q, want 234", a.Body)
		}
		want := []registrytest.Op{registrytest.OpBlobGet, registrytest.OpStorage}
		if diff := cmp.Diff(want, ops(c.s)); diff != "" {
			t.Errorf("operations (-want +got):\n%s", diff)
		}
		// The client of net/http drops it, because the host is another one.
		c.want("200", "GET", at, nil, "Authorization", "Bearer x")
		follow := http.DefaultTransport
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.s.URL+at, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := follow.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		c.want("400", "GET", resp.Header.Get("Location"), nil, "Authorization", "Bearer x")
		c.want("200", "HEAD", at, nil)
	})
	t.Run("unsorted tags", func(t *testing.T) {
		c, _ := quirk(registrytest.Reads{UnsortedTags: true})
		for _, tag := range []string{"c", "a", "b"} {
			c.s.PutManifest("a", tag, specs.MediaTypeImageManifest, manifestOf(t))
		}
		a := c.want("200", "GET", "/v2/a/tags/list?n=1", nil)
		if got := strings.TrimSpace(string(a.Body)); got != `{"name":"a","tags":["c","a","b"]}` || a.Header.Get("Link") != "" {
			t.Errorf("tags = %s with Link %q, want all in one, as they came", got, a.Header.Get("Link"))
		}
	})
	t.Run("docker hub's limit", func(t *testing.T) {
		c, _ := quirk(registrytest.Reads{DockerHubPulls: 1})
		c.s.PutManifest("a", "v1", specs.MediaTypeImageManifest, manifestOf(t))
		c.want("200", "HEAD", "/v2/a/manifests/v1", nil, "Accept", specs.MediaTypeImageManifest)
		c.want("200", "GET", "/v2/a/manifests/v1", nil, "Accept", specs.MediaTypeImageManifest)
		a := c.want("429 TOOMANYREQUESTS", "GET", "/v2/a/manifests/v1", nil, "Accept", specs.MediaTypeImageManifest)
		if got := a.Header.Get("Retry-After"); got != "3600" {
			t.Errorf("Retry-After = %q, want 3600", got)
		}
	})
	t.Run("page size", func(t *testing.T) {
		c := newClient(t, registrytest.Options{PageSize: 2, Repositories: []string{"a", "b", "c"}})
		a := c.want("200", "GET", "/v2/_catalog", nil)
		if got, want := a.Header.Get("Link"), `</v2/_catalog?last=b&n=2>; rel="next"`; got != want {
			t.Errorf("Link = %q, want %q", got, want)
		}
	})
}

func TestRateLimit(t *testing.T) {
	c := newClient(t, registrytest.Options{RateLimit: registrytest.RateLimit{Requests: 2, Per: time.Hour}})
	c.want("200", "GET", "/v2/", nil)
	c.want("200", "GET", "/v2/", nil)
	a := c.want("429 TOOMANYREQUESTS", "GET", "/v2/", nil)
	if got := a.Header.Get("Retry-After"); got != "3600" {
		t.Errorf("Retry-After = %q, want 3600", got)
	}
}

func TestContentThatChanges(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	d := c.s.PutBlob("a", []byte("x"))
	c.s.DamageBlob("a", d, []byte("y"))
	if a := c.want("200", "GET", "/v2/a/blobs/"+d.String(), nil); string(a.Body) != "y" {
		t.Errorf("GET = %q, want y", a.Body)
	}
	c.s.DropBlob("a", d)
	c.want("404 BLOB_UNKNOWN", "GET", "/v2/a/blobs/"+d.String(), nil)
}
