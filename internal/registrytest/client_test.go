package registrytest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/internal/registrytest"
)

// client asks a registry in plain HTTP.
type client struct {
	t *testing.T
	s *registrytest.Server
}

func newClient(t *testing.T, o registrytest.Options) client {
	t.Helper()
	return client{t, registrytest.New(t, o)}
}

// answer is an answer that was read.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// code is the error's code in the body.
func (a answer) code() string {
	var body struct {
		Errors []struct{ Code string }
	}
	if json.Unmarshal(a.Body, &body) != nil || len(body.Errors) == 0 {
		return ""
	}
	return body.Errors[0].Code
}

// summary is "status CODE", for comparisons.
func (a answer) summary() string { return strings.TrimSpace(fmt.Sprint(a.Status, " ", a.code())) }

// try asks for a path or an absolute URL; headers are alternating names and values.
func (c client) try(method, path string, body []byte, headers ...string) (answer, error) {
	c.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = c.s.URL + path
	}
	var r io.Reader = http.NoBody
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, path, r)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, data}, err
}

func (c client) do(method, path string, body []byte, headers ...string) answer {
	c.t.Helper()
	a, err := c.try(method, path, body, headers...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// want asks and checks the status and, for errors, the code.
func (c client) want(want, method, path string, body []byte, headers ...string) answer {
	c.t.Helper()
	a := c.do(method, path, body, headers...)
	if got := a.summary(); got != want {
		c.t.Errorf("%s %s = %s, want %s\n%s", method, path, got, want, a.Body)
	}
	return a
}

// upload begins an upload and returns its location.
func (c client) upload(repo string) string {
	c.t.Helper()
	return c.want("202", "POST", "/v2/"+repo+"/blobs/uploads/", nil).Header.Get("Location")
}

// manifestOf is an image manifest of blobs, the first being the config.
func manifestOf(t *testing.T, blobs ...[]byte) []byte {
	t.Helper()
	m := specs.Manifest{MediaType: specs.MediaTypeImageManifest}
	m.SchemaVersion = 2
	for i, b := range blobs {
		d := specs.Descriptor{MediaType: specs.MediaTypeImageLayerGzip, Digest: digest.FromBytes(b), Size: int64(len(b))}
		if i == 0 {
			d.MediaType = specs.MediaTypeImageConfig
			m.Config = d
		} else {
			m.Layers = append(m.Layers, d)
		}
	}
	return marshal(t, m)
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// ops are the operations of all requests so far.
func ops(s *registrytest.Server) []registrytest.Op {
	var all []registrytest.Op
	for _, r := range s.Requests() {
		all = append(all, r.Op)
	}
	return all
}

// trusting is a transport that knows the server's certificate.
func trusting(t *testing.T, s *registrytest.Server) http.RoundTripper {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.CA()) {
		t.Fatalf("CA = %q, want a certificate", s.CA())
	}
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
}
