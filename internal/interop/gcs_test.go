package interop

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// gcs is Google Cloud Storage, type=gs, which BuildKit does not know: what
// larder puts there is to have the form of BuildKit's other object stores.
var gcs = kind{name: "gcs", encoding: flat, foreign: true, open: func(t *testing.T) place {
	t.Helper()
	b := googleBucket{endpoint: address(t, "gcs"), name: "interop-" + strings.ToLower(rand.Text())}
	b.request(t, http.MethodPost, "?project=testbed", []byte(`{"name":"`+b.name+`"}`))
	return b
}}

type googleBucket struct{ endpoint, name string }

func (b googleBucket) everything() string {
	return "type=gs,bucket=" + b.name + ",endpoint_url=" + b.endpoint
}

func (b googleBucket) source(name string) string { return b.everything() + ",name=" + name }

func (b googleBucket) target(name string) string { return b.source(name) }

func (b googleBucket) document(t *testing.T, name string) []byte {
	t.Helper()
	return b.object(t, http.MethodGet, "manifests/"+name)
}

func (b googleBucket) blob(t *testing.T, digest string) []byte {
	t.Helper()
	return b.object(t, http.MethodGet, "blobs/"+digest)
}

func (b googleBucket) spoil(t *testing.T, digest string, d damage) {
	t.Helper()
	if d(b.blob(t, digest)) != nil {
		t.Fatal("here blobs can only be removed")
	}
	b.object(t, http.MethodDelete, "blobs/"+digest)
}

func (b googleBucket) object(t *testing.T, method, key string) []byte {
	t.Helper()
	return b.request(t, method, "/"+b.name+"/o/"+url.PathEscape(key)+"?alt=media", nil)
}

func (b googleBucket) request(t *testing.T, method, path string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.endpoint+"/storage/v1/b"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ask(req)
	if err == nil && got.status >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %d: %s", method, req.URL, got.status, got.body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got.body
}
