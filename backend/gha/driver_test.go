package gha_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/internal/ghaserver"
)

// openAt opens a location in an environment.
func openAt(t *testing.T, text string, env map[string]string) (backend.Backend, error) {
	t.Helper()
	m := &backend.Mux{Options: backend.OpenOptions{Getenv: func(name string) string { return env[name] }}}
	m.Register(gha.Driver())
	l, err := m.Parse(text)
	if err != nil {
		return nil, err
	}
	b, err := m.Open(t.Context(), l)
	if err == nil {
		t.Cleanup(func() { _ = b.Close() })
	}
	return b, err
}

func TestLocations(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	token := s.Token(writer)
	runner := map[string]string{"ACTIONS_RESULTS_URL": s.URL + "/", "ACTIONS_RUNTIME_TOKEN": token}
	for _, tt := range []struct {
		name, text string
		env        map[string]string
	}{
		{"environment", "type=gha,scope=demo", runner},
		{"environment, as a URL", "gha://?scope=demo", runner},
		{"attributes", "type=gha,scope=demo,url_v2=" + s.URL + ",token=" + token, nil},
		{"url of the second version", "type=gha,scope=demo,version=2,url=" + s.URL + ",token=" + token, nil},
		{"BuildKit's other attributes", "type=gha,scope=demo,timeout=10m,repository=a/b,ghtoken=x,mode=max", runner},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := openAt(t, tt.text, tt.env)
			if err != nil {
				t.Fatalf("Open(location) = %v, want a backend", err)
			}
			putRef(t, b, "demo", tt.name, backend.Always)
			wantRef(t, b, "demo", tt.name)
			if got := b.Info().Location; strings.Contains(got, token) || strings.Contains(got, "demo") {
				t.Errorf("Info().Location = %s, want neither a token nor a ref", got)
			}
		})
	}
}

func TestLocationsThatAreNone(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no token", "type=gha,url_v2=http://h/", "ACTIONS_RUNTIME_TOKEN"},
		{"no url", "type=gha,token=CANARY", "ACTIONS_RESULTS_URL"},
		{"another version", "type=gha,version=3,token=CANARY,url=http://h/", "want 1"},
		{"first version at a URL of the second", "type=gha,version=1,token=CANARY,url_v2=http://h/", "of the other one"},
		{"first version without a url", "type=gha,version=1,token=CANARY", "ACTIONS_CACHE_URL"},
		{"url that is none", "type=gha,token=CANARY,url_v2=h", "want http://HOST/"},
		{"url with a query", "type=gha,token=CANARY,url_v2=http://h/?a=b", "want http://HOST/"},
		{"ref with a number", "type=gha,token=CANARY,url_v2=http://h/,scope=a#1", "has a #"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := openAt(t, tt.text, nil)
			if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("Open(%s) = %v, want %v that says %q", tt.text, err, backend.ErrInvalid, tt.want)
			}
		})
	}
	_, err := gha.Open(t.Context(), gha.FromEnv(func(string) string { return "" }))
	if r, ok := errors.AsType[backend.Remedier](err); !ok || !strings.Contains(r.Remedy(), "ghaction-github-runtime") {
		t.Errorf("Open(empty environment) = %v, want a remedy", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gha.Open(ended, gha.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open(ended) = %v, want %v", err, context.Canceled)
	}
}

// TestForeignTokens has tokens of other services, which say nothing of scopes.
func TestForeignTokens(t *testing.T) {
	for _, token := range []string{"opaque", "a.b.c", "eyJh.e30.x", "eyJh.eyJhYyI6Im5vIGpzb24ifQ.x", "eyJh.eyJhYyI6IltdIn0.x"} {
		if _, err := gha.Open(t.Context(), gha.Options{URL: "http://127.0.0.1/", Token: token}); err != nil {
			t.Errorf("Open(token %s) = %v, want a backend", token, err)
		}
	}
	s := ghaserver.New(t, ghaserver.Options{})
	b := open(t, s, nil, ghaserver.Scope{Ref: "", Permission: 3})
	putRef(t, b, "demo", "x", backend.Always)
	if got := keys(s); got[0] != "index-demo-1-e3b0c442#1" {
		t.Errorf("keys = %v, want the hash of the empty scope", got)
	}
}

func ExampleFromEnv() {
	// In a job this is os.Getenv.
	getenv := func(name string) string {
		return map[string]string{
			"ACTIONS_RESULTS_URL":   "https://results-receiver.actions.githubusercontent.com/",
			"ACTIONS_RUNTIME_TOKEN": "the job's",
		}[name]
	}
	b, err := gha.Open(context.Background(), gha.FromEnv(getenv))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.Info().Location)
	fmt.Println(b.Close())
	// Output:
	// type=gha,url_v2=https://results-receiver.actions.githubusercontent.com/
	// <nil>
}
