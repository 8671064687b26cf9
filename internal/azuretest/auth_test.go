package azuretest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/internal/azuretest"
)

// TestKeys shows which signatures are refused.
func TestKeys(t *testing.T) {
	peers(t, func(t *testing.T, p *peer) {
		t.Helper()
		p.play(t, []exchange{create, {name: "put", method: "PUT", path: "/a", header: blockBlob, body: "x", status: 201}})
		for name, spoil := range map[string]func(*http.Request){
			"another signature": func(r *http.Request) { r.Header.Set("Authorization", r.Header.Get("Authorization")[:30]+"AAAA") },
			"another path":      func(r *http.Request) { r.URL.Path += "b" },
			"another query":     func(r *http.Request) { r.URL.RawQuery = "timeout=5" },
			"another header":    func(r *http.Request) { r.Header.Set("X-Ms-Meta-Key", "value") },
			"another condition": func(r *http.Request) { r.Header.Set("If-None-Match", "*") },
			"another account": func(r *http.Request) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), azuretest.Account, "acme", 1))
			},
		} {
			req := p.request(t, exchange{method: "GET", path: "/a"}, "")
			signByKey(req)
			spoil(req)
			if status := p.status(t, req); status != http.StatusForbidden {
				t.Errorf("GET with %s = %d, want 403", name, status)
			}
		}
	})
}

func (p *peer) status(t *testing.T, req *http.Request) int {
	t.Helper()
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestSAS shows what each kind of signature allows.
func TestSAS(t *testing.T) {
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	const ok, denied = http.StatusOK, http.StatusForbidden
	peers(t, func(t *testing.T, p *peer) {
		t.Helper()
		p.play(t, []exchange{
			create,
			{name: "put", method: "PUT", path: "/a", header: blockBlob, body: "x", status: 201},
			{name: "put", method: "PUT", path: "/b", header: blockBlob, body: "x", status: 201},
		})
		get, list, properties := "/a", "?restype=container&comp=list", "?restype=container"
		for _, tt := range []struct {
			name string
			sas  azuretest.SAS
			path string
			want int
		}{
			{"container", azuretest.SAS{Container: p.container, Permissions: "rl", Expires: later}, get, ok},
			{"container, listed", azuretest.SAS{Container: p.container, Permissions: "rl", Expires: later}, list, ok},
			{"container, without list", azuretest.SAS{Container: p.container, Permissions: "r", Expires: later}, list, denied},
			{"container, without read", azuretest.SAS{Container: p.container, Permissions: "l", Expires: later}, get, denied},
			{"container, its properties", azuretest.SAS{Container: p.container, Permissions: "rl", Expires: later}, properties, denied},
			{"container, ended", azuretest.SAS{Container: p.container, Permissions: "rl", Expires: before}, get, denied},
			{"another container", azuretest.SAS{Container: "else", Permissions: "rl", Expires: later}, get, denied},
			{"blob", azuretest.SAS{Container: p.container, Blob: "a", Permissions: "r", Expires: later}, get, ok},
			{"another blob", azuretest.SAS{Container: p.container, Blob: "b", Permissions: "r", Expires: later}, get, denied},
			{"account", azuretest.SAS{Permissions: "rl", Resources: "co", Expires: later}, get, ok},
			{"account, its properties", azuretest.SAS{Permissions: "rl", Resources: "co", Expires: later}, properties, ok},
			{"account, containers only", azuretest.SAS{Permissions: "rl", Resources: "c", Expires: later}, get, denied},
			{"account, without read", azuretest.SAS{Permissions: "l", Resources: "co", Expires: later}, get, denied},
		} {
			path := tt.path + "?" + tt.sas.Sign()
			if strings.Contains(tt.path, "?") {
				path = tt.path + "&" + tt.sas.Sign()
			}
			if got := p.status(t, p.request(t, exchange{method: "GET", path: path}, "")); got != tt.want {
				t.Errorf("GET with a SAS of %s = %d, want %d", tt.name, got, tt.want)
			}
		}
	})
}

// TestTokens takes those that were named, over TLS.
func TestTokens(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tls   bool
		token string
		want  int
	}{
		{"good", true, "good", http.StatusOK},
		{"expired", true, "old", http.StatusUnauthorized},
		{"none", true, "", http.StatusUnauthorized},
		{"without TLS", false, "good", http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := azuretest.New(t, azuretest.Options{TLS: tt.tls, Tokens: []string{"good"}, Containers: []string{"cache"}})
			s.Put("cache", "a", []byte("x"))
			p := &peer{url: s.URL, client: s.Client(), container: "cache"}
			req := p.request(t, exchange{method: "GET", path: "/a"}, "")
			if tt.token != "" {
				req.Header.Set("Authorization", "Bearer "+tt.token)
			}
			if got := p.status(t, req); got != tt.want {
				t.Errorf("GET = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestNoKeys is an account that takes tokens only.
func TestNoKeys(t *testing.T) {
	s := azuretest.New(t, azuretest.Options{NoKeys: true, Containers: []string{"cache"}})
	p := &peer{url: s.URL, client: s.Client(), container: "cache"}
	req := p.request(t, exchange{method: "GET", path: "/a"}, "")
	signByKey(req)
	if got := p.status(t, req); got != http.StatusForbidden || s.Requests()[0].Code != "KeyBasedAuthenticationNotPermitted" {
		t.Errorf("GET = %d, %+v, want 403 KeyBasedAuthenticationNotPermitted", got, s.Requests())
	}
}
