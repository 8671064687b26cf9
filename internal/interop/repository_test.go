package interop

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repository is a repository of a registry, type=registry.
type repository struct {
	host, name string
}

// The user of the registries that know one; see internal/testbed.
const (
	registryUser     = "writer"
	registryPassword = "testbed"
)

// The registries of the testbed, by the names it has for them.
var (
	openReg   = registryKind("registry")
	basicReg  = registryKind("registry-htpasswd")
	tokenReg  = registryKind("registry-token")
	debianReg = oldRegistryKind("registry-debian")
)

func registryKind(server string) kind {
	return kind{name: server, encoding: ociManifest, open: func(t *testing.T) place {
		t.Helper()
		return newRepository(t, server)
	}}
}

func oldRegistryKind(server string) kind {
	k := registryKind(server)
	k.old = true
	return k
}

// newRepository names a repository at a server of the testbed.
func newRepository(t *testing.T, server string) repository {
	t.Helper()
	return repository{address(t, server), "interop/" + strings.ToLower(rand.Text())}
}

// registryLogin is user and password as Docker's configuration keeps them.
func registryLogin() string {
	return base64.StdEncoding.EncodeToString([]byte(registryUser + ":" + registryPassword))
}

// writeDockerConfig writes the configuration by which both buildctl and larder
// log in where they have to.
func writeDockerConfig(dir string) error {
	type login struct {
		Auth string `json:"auth"`
	}
	logins := map[string]login{}
	for _, k := range []kind{basicReg, tokenReg} {
		logins[os.Getenv(variable(k.name))] = login{registryLogin()}
	}
	text, err := json.Marshal(map[string]any{"auths": logins})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600)
}

func (r repository) ref(tag string) string { return r.host + "/" + r.name + ":" + tag }

func (r repository) source(tag string) string { return "type=registry,ref=" + r.ref(tag) }

func (r repository) target(tag string) string { return r.source(tag) }

func (r repository) everything() string { return r.host + "/" + r.name }

func (r repository) document(t *testing.T, tag string) []byte {
	t.Helper()
	return r.mustGet(t, "manifests/"+tag)
}

func (r repository) blob(t *testing.T, digest string) []byte {
	t.Helper()
	return r.mustGet(t, "blobs/"+digest)
}

// spoil deletes a blob. A registry lets nobody change one: see rotten.
func (r repository) spoil(t *testing.T, digest string, d damage) {
	t.Helper()
	if d(r.blob(t, digest)) != nil {
		t.Fatal("a registry's blob can only be removed")
	}
	if _, err := r.request(t.Context(), http.MethodDelete, "blobs/"+digest); err != nil {
		t.Fatal(err)
	}
}

func (r repository) mustGet(t *testing.T, path string) []byte {
	t.Helper()
	body, err := r.request(t.Context(), http.MethodGet, path)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// request asks the registry, and logs in if it must.
func (r repository) request(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.host+"/v2/"+r.name+"/"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "*/*")
	for _, manifest := range []string{
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
	} {
		req.Header.Add("Accept", manifest)
	}
	got, err := ask(req)
	if err == nil && got.status == http.StatusUnauthorized {
		if err := logIn(req, got.header.Get("WWW-Authenticate")); err != nil {
			return nil, err
		}
		got, err = ask(req)
	}
	if err == nil && got.status >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %d: %s", method, req.URL, got.status, got.body)
	}
	return got.body, err
}

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func ask(req *http.Request) (answer, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, body}, err
}

// logIn adds to a request what a challenge asks for.
func logIn(req *http.Request, challenge string) error {
	scheme, rest, _ := strings.Cut(challenge, " ")
	if strings.EqualFold(scheme, "Basic") {
		req.SetBasicAuth(registryUser, registryPassword)
		return nil
	}
	query, realm := url.Values{}, ""
	for field := range strings.SplitSeq(rest, `",`) {
		name, value, _ := strings.Cut(field, "=")
		if value = strings.Trim(value, `"`); name == "realm" {
			realm = value
		} else {
			query.Set(name, value)
		}
	}
	grant, err := http.NewRequestWithContext(req.Context(), http.MethodGet, realm+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	grant.SetBasicAuth(registryUser, registryPassword)
	got, err := ask(grant)
	if err != nil {
		return err
	}
	var granted struct{ Token string }
	if err := json.Unmarshal(got.body, &granted); err != nil {
		return fmt.Errorf("GET %s: %w in %q", grant.URL, err, got.body)
	}
	req.Header.Set("Authorization", "Bearer "+granted.Token)
	return nil
}
