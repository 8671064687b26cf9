package registrytest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/internal/registrytest"
)

const octets = "application/octet-stream"

func TestMonolithicUpload(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	blob := []byte("some bytes")
	d := digest.FromBytes(blob)
	// distribution does not read the body of the POST.
	a := c.want("202", "POST", "/v2/a/b/blobs/uploads/?digest="+d.String(), blob)
	if got := a.Header.Get("Range"); got != "0-0" {
		t.Errorf("Range = %q, want 0-0", got)
	}
	put := c.want("201", "PUT", a.Header.Get("Location")+"&digest="+d.String(), blob, "Content-Type", octets)
	if got := put.Header.Get("Docker-Content-Digest"); got != d.String() {
		t.Errorf("Docker-Content-Digest = %q, want %q", got, d)
	}
	got := c.want("200", "GET", put.Header.Get("Location"), nil)
	if string(got.Body) != string(blob) || got.Header.Get("ETag") != `"`+d.String()+`"` {
		t.Errorf("GET = %q with ETag %s, want %q with %s", got.Body, got.Header.Get("ETag"), blob, d)
	}
	c.want("304", "GET", put.Header.Get("Location"), nil, "If-None-Match", `"`+d.String()+`"`)
	if n := c.s.Uploads("a/b"); n != 0 {
		t.Errorf("%d uploads are left, want 0", n)
	}
}

func TestSinglePost(t *testing.T) {
	c := newClient(t, registrytest.Options{Uploads: registrytest.Uploads{SinglePost: true}})
	blob := []byte("some bytes")
	c.want("201", "POST", "/v2/a/blobs/uploads/?digest="+digest.FromBytes(blob).String(), blob)
	c.want("400 DIGEST_INVALID", "POST", "/v2/a/blobs/uploads/?digest="+digest.FromString("x").String(), blob)
	if got := c.s.Blobs("a"); len(got) != 1 {
		t.Errorf("blobs = %v, want one", got)
	}
}

func TestChunkedUpload(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	first := c.upload("a")
	a := c.want("202", "PATCH", first, []byte("0123"), "Content-Range", "0-3", "Content-Type", octets)
	if got := a.Header.Get("Range"); got != "0-3" {
		t.Errorf("Range = %q, want 0-3", got)
	}
	second := a.Header.Get("Location")
	c.want("416 RANGE_INVALID", "PATCH", first, []byte("4567"), "Content-Range", "4-7")
	c.want("416 RANGE_INVALID", "PATCH", second, []byte("4567"), "Content-Range", "5-8")
	c.want("416 RANGE_INVALID", "PATCH", second, []byte("0123"), "Content-Range", "0-3")
	c.want("400 SIZE_INVALID", "PATCH", second, []byte("4567"), "Content-Range", "4-8")
	c.want("500 UNKNOWN", "PATCH", second, []byte("4567"), "Content-Range", "bytes 4-7/8")
	c.want("500 UNKNOWN", "PATCH", second, []byte("4567"), "Content-Type", "text/plain")
	status := c.want("204", "GET", second, nil)
	if got := status.Header.Get("Range"); got != "0-3" {
		t.Errorf("Range = %q, want 0-3", got)
	}
	last := c.want("202", "PATCH", status.Header.Get("Location"), []byte("4567"), "Content-Range", "4-7").Header.Get("Location")
	c.want("400 DIGEST_INVALID", "PUT", last+"&digest=nonsense", nil)
	c.want("201", "PUT", last+"&digest="+digest.FromString("0123456789").String(), []byte("89"), "Content-Range", "8-9")
	if got, _ := c.s.Blob("a", digest.FromString("0123456789")); string(got) != "0123456789" {
		t.Errorf("blob = %q, want 0123456789", got)
	}
}

func TestUploadThatIsGone(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	wrong := c.upload("a")
	c.want("400 DIGEST_INVALID", "PUT", wrong+"&digest="+digest.FromString("y").String(), []byte("x"))
	canceled := c.upload("a")
	c.want("204", "DELETE", canceled, nil)
	for _, at := range []string{wrong, canceled} {
		c.want("404 BLOB_UPLOAD_UNKNOWN", "GET", at, nil)
		c.want("404 BLOB_UPLOAD_UNKNOWN", "PATCH", at, []byte("x"))
	}
	c.want("404 BLOB_UPLOAD_INVALID", "PATCH", strings.Split(c.upload("a"), "?")[0], []byte("x"))
	if got := c.s.Blobs("a"); len(got) != 0 {
		t.Errorf("blobs = %v, want none", got)
	}
}

func TestRanges(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	at := "/v2/a/blobs/" + c.s.PutBlob("a", []byte("0123456789")).String()
	for asked, want := range map[string]string{
		"bytes=2-4": "206 bytes 2-4/10 234",
		"bytes=7-":  "206 bytes 7-9/10 789",
		"bytes=-2":  "206 bytes 8-9/10 89",
		"bytes=10-": "416 bytes */10",
		"":          "200  0123456789",
	} {
		a := c.do("GET", at, nil, "Range", asked)
		got := strings.TrimSpace(fmt.Sprintf("%d %s %s", a.Status, a.Header.Get("Content-Range"), strings.TrimPrefix(string(a.Body), "invalid range: failed to overlap\n")))
		if got != want {
			t.Errorf("GET with Range %q = %q, want %q", asked, got, want)
		}
	}
	if got := c.do("HEAD", at, nil).Header.Get("Content-Length"); got != "10" {
		t.Errorf("HEAD: Content-Length = %q, want 10", got)
	}
	c.want("404 BLOB_UNKNOWN", "GET", "/v2/a/blobs/"+digest.FromString("x").String(), nil)
	c.want("400 DIGEST_INVALID", "GET", "/v2/a/blobs/sha256:12", nil)
}

func TestMount(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	d := c.s.PutBlob("a", []byte("x"))
	post := "/v2/b/blobs/uploads/?mount=" + d.String() + "&from="
	c.want("202", "POST", post+"nobody", nil)
	a := c.want("201", "POST", post+"a", nil)
	if got := a.Header.Get("Location"); got != c.s.URL+"/v2/b/blobs/"+d.String() {
		t.Errorf("Location = %q, want the blob's", got)
	}
	want := []registrytest.Op{registrytest.OpMount, registrytest.OpMount}
	if diff := cmp.Diff(want, ops(c.s)); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	if _, ok := c.s.Blob("b", d); !ok {
		t.Error("the blob was not mounted")
	}
}

func TestManifests(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	config, layer := []byte("{}"), []byte("layer")
	m := manifestOf(t, config, layer)
	d := digest.FromBytes(m).String()
	const oci = specs.MediaTypeImageManifest
	put := func(want, ref, mediaType string, body []byte) {
		t.Helper()
		c.want(want, "PUT", "/v2/a/manifests/"+ref, body, "Content-Type", mediaType)
	}
	c.s.PutBlob("a", config)
	put("400 MANIFEST_BLOB_UNKNOWN", "v1", oci, m)
	c.want("404 MANIFEST_UNKNOWN", "GET", "/v2/a/manifests/v1", nil, "Accept", oci)
	c.s.PutBlob("a", layer)
	put("400 MANIFEST_INVALID", "v1", "text/plain", m)
	put("400 MANIFEST_INVALID", "v1", specs.MediaTypeImageIndex, m)
	put("400 MANIFEST_INVALID", "v1", oci, []byte("{"))
	put("400 MANIFEST_INVALID", "v1", oci, []byte(`{"schemaVersion":1}`))
	put("400 MANIFEST_INVALID", "v1", oci, bytes.Replace(m, []byte(`"schemaVersion":2`), []byte(`"schemaVersion":1`), 1))
	put("400 MANIFEST_INVALID", "v1", oci, append(bytes.Clone(m), bytes.Repeat([]byte(" "), 4<<20)...))
	put("400 MANIFEST_INVALID", "v1", "application/vnd.docker.distribution.manifest.v2+json", m)
	put("400 MANIFEST_INVALID", "v1", oci, bytes.Replace(m, []byte(`"layers"`), []byte(`"manifests"`), 1))
	put("400 MANIFEST_INVALID", "v1", specs.MediaTypeImageIndex, bytes.Replace(m, []byte(oci), []byte(specs.MediaTypeImageIndex), 1))
	put("400 TAG_INVALID", "-v1", oci, m)
	put("400 DIGEST_INVALID", digest.FromString("x").String(), oci, m)
	put("201", "v1", oci, m)
	put("201", d, oci, m)
	for _, ref := range []string{"v1", d} {
		a := c.want("200", "GET", "/v2/a/manifests/"+ref, nil, "Accept", "text/plain, "+oci+";q=0.5")
		if string(a.Body) != string(m) || a.Header.Get("Docker-Content-Digest") != d || a.Header.Get("Content-Type") != oci {
			t.Errorf("GET %s = %s with %v, want what was put", ref, a.Body, a.Header)
		}
		c.want("404 MANIFEST_UNKNOWN", "GET", "/v2/a/manifests/"+ref, nil, "Accept", "*/*")
		c.want("304", "GET", "/v2/a/manifests/"+ref, nil, "Accept", oci, "If-None-Match", `"`+d+`"`)
	}
	c.want("404", "HEAD", "/v2/a/manifests/v2", nil, "Accept", oci)
}

func TestIndexes(t *testing.T) {
	tests := []struct {
		name        string
		anyChildren bool
		put         func(*registrytest.Server, []byte)
		want        string
	}{
		{"missing child", true, func(*registrytest.Server, []byte) {}, "400 MANIFEST_BLOB_UNKNOWN"},
		{"manifest", false, func(s *registrytest.Server, m []byte) { s.PutManifest("a", "", specs.MediaTypeImageManifest, m) }, "201"},
		{"blob", false, func(s *registrytest.Server, m []byte) { s.PutBlob("a", m) }, "400 MANIFEST_BLOB_UNKNOWN"},
		{"blob where any will do", true, func(s *registrytest.Server, m []byte) { s.PutBlob("a", m) }, "201"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, registrytest.Options{Manifests: registrytest.Manifests{AnyChildren: tt.anyChildren}})
			child := manifestOf(t, []byte("{}"))
			tt.put(c.s, child)
			index := specs.Index{MediaType: specs.MediaTypeImageIndex, Manifests: []specs.Descriptor{{
				MediaType: specs.MediaTypeImageManifest, Digest: digest.FromBytes(child), Size: int64(len(child)),
			}}}
			index.SchemaVersion = 2
			c.want(tt.want, "PUT", "/v2/a/manifests/v1", marshal(t, index), "Content-Type", specs.MediaTypeImageIndex)
		})
	}
}

func TestDelete(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	m := manifestOf(t, []byte("{}"))
	blob := c.s.PutBlob("a", []byte("{}"))
	d := c.s.PutManifest("a", "one", specs.MediaTypeImageManifest, m)
	c.s.PutManifest("a", "two", specs.MediaTypeImageManifest, m)
	c.want("202", "DELETE", "/v2/a/manifests/one", nil)
	c.want("404 MANIFEST_UNKNOWN", "DELETE", "/v2/a/manifests/one", nil)
	if diff := cmp.Diff([]string{"two"}, c.s.Tags("a")); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	c.want("202", "DELETE", "/v2/a/manifests/"+d.String(), nil)
	if got := c.s.Tags("a"); len(got) != 0 {
		t.Errorf("tags = %v, want none after their manifest", got)
	}
	c.want("202", "DELETE", "/v2/a/blobs/"+blob.String(), nil)
	c.want("404 BLOB_UNKNOWN", "DELETE", "/v2/a/blobs/"+blob.String(), nil)
}

func TestLists(t *testing.T) {
	c := newClient(t, registrytest.Options{Repositories: []string{"empty"}})
	for _, tag := range []string{"c", "a", "d", "b"} {
		c.s.PutManifest("x", tag, specs.MediaTypeImageManifest, manifestOf(t, []byte(tag)))
	}
	tests := []struct{ path, body, link string }{
		{"/v2/x/tags/list", `{"name":"x","tags":["a","b","c","d"]}`, ""},
		{"/v2/x/tags/list?n=2", `{"name":"x","tags":["a","b"]}`, `</v2/x/tags/list?last=b&n=2>; rel="next"`},
		{"/v2/x/tags/list?n=2&last=b", `{"name":"x","tags":["c","d"]}`, ""},
		{"/v2/x/tags/list?last=bb", `{"name":"x","tags":["c","d"]}`, ""},
		{"/v2/x/tags/list?n=0", `{"name":"x","tags":[]}`, ""},
		{"/v2/empty/tags/list", `{"name":"empty","tags":[]}`, ""},
		{"/v2/_catalog?n=1", `{"repositories":["empty"]}`, `</v2/_catalog?last=empty&n=1>; rel="next"`},
		{"/v2/_catalog", `{"repositories":["empty","x"]}`, ""},
	}
	for _, tt := range tests {
		a := c.want("200", "GET", tt.path, nil)
		if got := strings.TrimSpace(string(a.Body)); got != tt.body || a.Header.Get("Link") != tt.link {
			t.Errorf("GET %s = %s, Link %q, want %s, %q", tt.path, got, a.Header.Get("Link"), tt.body, tt.link)
		}
	}
	c.want("404 NAME_UNKNOWN", "GET", "/v2/nobody/tags/list", nil)
	c.want("400 PAGINATION_NUMBER_INVALID", "GET", "/v2/x/tags/list?n=many", nil)
	c.want("400 NAME_INVALID", "GET", "/v2/Upper/tags/list", nil)
	c.want("404 NAME_UNKNOWN", "GET", "/v2/"+strings.Repeat("x", 255)+"/tags/list", nil)
	c.want("400 NAME_INVALID", "GET", "/v2/"+strings.Repeat("x", 256)+"/tags/list", nil)
	c.want("404 UNSUPPORTED", "GET", "/v2/x/referrers/"+digest.FromString("x").String(), nil)
	c.want("200", "GET", "/v2/", nil)
}

func TestRequestsAreNoted(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	c.want("404", "HEAD", "/v2/a/blobs/"+digest.FromString("x").String(), nil)
	at := c.upload("a")
	c.want("202", "PATCH", at, []byte("12345"))
	got := c.s.Requests()
	if len(got) != 3 || c.s.Count() != 3 || c.s.Count(registrytest.OpUploadChunk, registrytest.OpBlobHead) != 2 {
		t.Fatalf("requests = %v, want three", got)
	}
	r := got[2]
	if r.Method != http.MethodPatch || r.Repository != "a" || r.Received != 5 || r.Status != 202 {
		t.Errorf("request = %+v, want the third, a PATCH of 5 bytes in a, answered 202", r)
	}
	c.s.Forget()
	if n := c.s.Count(); n != 0 {
		t.Errorf("Count = %d after Forget, want 0", n)
	}
}
