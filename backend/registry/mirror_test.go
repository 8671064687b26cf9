package registry_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/internal/registrytest"
)

// reflected returns a registry with a blob, and one that may mirror it.
func reflected(t *testing.T, data []byte) (origin, mirror *registrytest.Server) {
	t.Helper()
	origin, mirror = registrytest.New(t, registrytest.Options{}), registrytest.New(t, registrytest.Options{})
	origin.PutBlob("a/b", data)
	return origin, mirror
}

func TestMirrorHasTheBlob(t *testing.T) {
	data := content(1, 1000)
	origin, mirror := reflected(t, data)
	mirror.PutBlob("proxy/a/b", data)
	b := open(t, origin.Host+"/a/b", registry.Options{Mirrors: []string{mirror.Host + "/proxy"}})
	if got, err := read(t.Context(), b, describe(data), 10, 20); err != nil || !bytes.Equal(got, data[10:30]) {
		t.Errorf("Open(10, 20) = %q, %v, want %q", got, err, data[10:30])
	}
	if here, there := origin.Count(registrytest.OpBlobGet), mirror.Count(registrytest.OpBlobGet); here != 0 || there != 1 {
		t.Errorf("Open() asked the registry %d times and the mirror %d times, want 0 and 1", here, there)
	}
}

func TestOriginIsReadPastMirrors(t *testing.T) {
	data := content(1, 1000)
	origin, mirror := reflected(t, data)
	mirror.PutBlob("a/b", data)
	b := open(t, origin.Host+"/a/b", registry.Options{Mirrors: []string{mirror.Host}})
	if got, err := read(backend.WithOrigin(t.Context()), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Open() of the origin = %d bytes, %v, want the blob", len(got), err)
	}
	if got := mirror.Count(registrytest.OpBlobGet); got != 0 {
		t.Errorf("Open() of the origin asked the mirror %d times", got)
	}
}

// TestMirrorLacksTheBlob shows that this is no failure: the next may be there.
func TestMirrorLacksTheBlob(t *testing.T) {
	data := content(1, 1000)
	origin, mirror := reflected(t, data)
	b := open(t, origin.Host+"/a/b", registry.Options{Mirrors: []string{mirror.Host}})
	for range 5 {
		if got, err := read(t.Context(), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
			t.Errorf("Open() = %d bytes, %v, want the blob", len(got), err)
		}
	}
	if got := mirror.Count(registrytest.OpBlobGet); got != 5 {
		t.Errorf("5 Open() asked the mirror %d times, want 5", got)
	}
	if _, err := read(t.Context(), b, describe(content(2, 9)), 0, -1); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Open(what nobody has) = %v, want %v", err, backend.ErrNotFound)
	}
}

// TestMirrorsInOrder asks two, of which the second has the blob.
func TestMirrorsInOrder(t *testing.T) {
	data := content(1, 1000)
	origin, first := reflected(t, data)
	second := registrytest.New(t, registrytest.Options{})
	second.PutBlob("a/b", data)
	b := open(t, origin.Host+"/a/b", registry.Options{Mirrors: []string{first.Host, second.Host}})
	if got, err := read(t.Context(), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Open() = %d bytes, %v, want the blob", len(got), err)
	}
	if got := []int{first.Count(registrytest.OpBlobGet), second.Count(registrytest.OpBlobGet), origin.Count(registrytest.OpBlobGet)}; got[0] != 1 || got[1] != 1 || got[2] != 0 {
		t.Errorf("Open() asked the mirrors and the registry %v times, want [1 1 0]", got)
	}
}

// TestBrokenMirrorIsLeft shows that a mirror which keeps failing, at once or in
// the middle, costs no content and a few requests.
func TestBrokenMirrorIsLeft(t *testing.T) {
	for name, fault := range map[string]registrytest.Fault{
		"refuses":   {Failure: registrytest.Failure{Status: http.StatusInternalServerError}},
		"resets":    {Kind: registrytest.Reset},
		"truncates": {Kind: registrytest.Truncate, After: 100},
		"stalls":    {Kind: registrytest.Stall, After: 100},
	} {
		t.Run(name, func(t *testing.T) {
			data := content(1, 1000)
			origin, mirror := reflected(t, data)
			mirror.PutBlob("a/b", data)
			fault.Op, fault.Times = registrytest.OpBlobGet, -1
			mirror.Inject(fault)
			b := wrap.Recommended(
				open(t, origin.Host+"/a/b", registry.Options{Mirrors: []string{mirror.Host}}),
				wrap.Options{Retry: wrap.RetryOptions{First: time.Microsecond}, Timeout: wrap.TimeoutOptions{Stall: 100 * time.Millisecond}},
			)
			for range 10 {
				if got, err := read(t.Context(), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
					t.Errorf("Open() = %d bytes, %v, want the blob", len(got), err)
				}
			}
			// net/http repeats a request that a connection of before has lost.
			if got := mirror.Count(registrytest.OpBlobGet); got < 3 || got > 4 {
				t.Errorf("10 Open() asked the mirror %d times, want 3, perhaps one repeated", got)
			}
		})
	}
}

// TestMirrorIsPassed shows what never goes to a mirror: what is written, whether
// something is there, and what a tag points to.
func TestMirrorIsPassed(t *testing.T) {
	origin, mirror := reflected(t, nil)
	b := open(t, origin.Host+"/a/b", registry.Options{Mirrors: []string{mirror.Host}})
	d := put(t, b, content(1, 100))
	if _, err := b.Stat(t.Context(), d.Digest); err != nil {
		t.Errorf("Stat() = %v, want nil", err)
	}
	doc := backend.Document{MediaType: "application/vnd.oci.image.index.v1+json", Data: []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)}
	version, err := b.PutRef(t.Context(), "main", doc, backend.Always)
	if err != nil {
		t.Fatalf("PutRef() = %v, want nil", err)
	}
	mirror.PutManifest("a/b", "main", doc.MediaType, []byte("something older"))
	if got, err := b.GetRef(t.Context(), "main"); err != nil || got.Version != version {
		t.Errorf("GetRef(main) = %s, %v, want the registry's, %s", got.Version, err, version)
	}
	for _, err := range b.ListRefs(t.Context()) {
		if err != nil {
			t.Errorf("ListRefs() = %v, want nil", err)
		}
	}
	if got := len(mirror.Requests()); got != 0 {
		t.Errorf("the mirror got %d requests, want none", got)
	}
	mirror.PutManifest("a/b", "", doc.MediaType, doc.Data)
	origin.Forget()
	if got, err := b.GetRef(t.Context(), string(version)); err != nil || got.Version != version || len(origin.Requests()) != 0 {
		t.Errorf("GetRef(digest) = %s, %v with %d requests to the registry, want the mirror's", got.Version, err, len(origin.Requests()))
	}
}

func TestMalformedMirror(t *testing.T) {
	for _, mirror := range []string{"", "https://mirror.example", "mirror.example/", "no-host", "Mirror.example/UPPER"} {
		if b, err := registry.Open(t.Context(), "h.io/a", registry.Options{Mirrors: []string{mirror}}); !errors.Is(err, backend.ErrInvalid) {
			t.Errorf("Open(mirror %q) = %v, %v, want %v", mirror, b, err, backend.ErrInvalid)
		}
	}
}

// TestMirrorAndProxyOfLocations opens a registry that only a proxy knows, by
// what the location says.
func TestMirrorAndProxyOfLocations(t *testing.T) {
	data := content(1, 1000)
	origin, mirror := reflected(t, data)
	mirror.PutBlob("a/b", data)
	target, err := url.Parse(origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	var passed atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Plain HTTP: nobody there takes CONNECT.
		if r.Method == http.MethodConnect || r.Header.Get("Proxy-Authorization") == "" {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		passed.Add(1)
		where := target
		if r.URL.Host == "mirror.test" {
			where = &url.URL{Scheme: "http", Host: mirror.Host}
		}
		httputil.NewSingleHostReverseProxy(where).ServeHTTP(w, r)
	}))
	defer proxy.Close()
	through := strings.Replace(proxy.URL, "http://", "http://user:s3cret@", 1)
	l, err := mux().Parse("type=registry,ref=registry.test/a/b:main,registry.insecure=true,mirror=mirror.test,proxy=" + through)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(l.String()+l.URL(), "s3cret") {
		t.Errorf("String() = %s, want no secret in it", l)
	}
	b, err := mux().Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("GetRef() = %v, want %v", err, backend.ErrNotFound)
	}
	if got, err := read(t.Context(), b, describe(data), 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Open() = %d bytes, %v, want the blob", len(got), err)
	}
	if passed.Load() == 0 || mirror.Count(registrytest.OpBlobGet) != 1 {
		t.Errorf("%d requests went through the proxy and %d to the mirror for a blob, want some and one", passed.Load(), mirror.Count(registrytest.OpBlobGet))
	}
	for _, attr := range []string{"mirror=https://h.io", "mirror=h.io;", "proxy=h.io:3128", "proxy=ftp://h.io"} {
		if l, err := mux().Parse("type=registry,ref=h.io/a," + attr); !errors.Is(err, backend.ErrInvalid) {
			t.Errorf("Parse(%s) = %v, %v, want %v", attr, l, err, backend.ErrInvalid)
		}
	}
}
