package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/blob"
)

// start runs the service until the test ends.
func start(t *testing.T, args ...string) (url string, tokens []string) {
	t.Helper()
	in, stop := io.Pipe()
	lines, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(args, in, out, io.Discard) }()
	t.Cleanup(func() {
		if err := stop.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Errorf("run() = %v, want nil", err)
		}
	})
	var started struct {
		URL    string
		Tokens []string
	}
	if err := json.NewDecoder(lines).Decode(&started); err != nil {
		t.Fatal(err)
	}
	return started.URL, started.Tokens
}

func open(t *testing.T, url, token string) backend.Backend {
	t.Helper()
	b, err := gha.Open(t.Context(), gha.Options{URL: url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// TestServe has a branch read what main has written, until it is changed behind
// their backs.
func TestServe(t *testing.T) {
	url, tokens := start(t, "refs/heads/main=rw", "refs/heads/feature=rw,refs/heads/main=r")
	if len(tokens) != 2 {
		t.Fatalf("tokens = %d, want 2", len(tokens))
	}
	mine, theirs := open(t, url, tokens[0]), open(t, url, tokens[1])
	data := []byte("content")
	d := blob.Describe("", data)
	if err := mine.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Fatalf("Put() = %v, want nil", err)
	}
	for _, tt := range []struct{ name, method, left, want string }{
		{"as it was", "", "", "content"},
		{"changed", http.MethodPost, "c0ntent", "c0ntent"},
		{"gone", http.MethodPost, "", ""},
		{"evicted", http.MethodDelete, "", ""},
	} {
		if tt.method != "" {
			setContent(t, tt.method, url, d, tt.left)
		}
		var got bytes.Buffer
		r, err := theirs.Open(t.Context(), d, 0, -1)
		if err == nil {
			_, _ = got.ReadFrom(r) // what is there is compared
			_ = r.Close()
		}
		if got.String() != tt.want {
			t.Errorf("%s: Open() = %q, %v, want %q", tt.name, &got, err, tt.want)
		}
	}
}

func TestRequestsAreCounted(t *testing.T) {
	url, tokens := start(t, "refs/heads/main=rw")
	data := []byte("content")
	if err := open(t, url, tokens[0]).Put(t.Context(), blob.Describe("", data), blob.Bytes(data)); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/requests", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var counts map[string]int
	if err := json.NewDecoder(resp.Body).Decode(&counts); err != nil {
		t.Fatal(err)
	}
	if counts["create"] != 1 || counts["put"] != 1 || counts["finalize"] != 1 {
		t.Errorf("requests = %v, want a create, a put and a finalize", counts)
	}
}

func setContent(t *testing.T, method, url string, d blob.Descriptor, data string) {
	t.Helper()
	where := url + "/content?scope=refs/heads/main&key=buildkit-blob-1-" + d.Digest.String() +
		"&version=693bb7016429d80366022f036f84856888c9f13e00145f5f6f4dce303a38d6f2"
	req, err := http.NewRequestWithContext(t.Context(), method, where, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s /content = %d, want 200", method, resp.StatusCode)
	}
}

func TestScopesAreChecked(t *testing.T) {
	for _, args := range [][]string{{"refs/heads/main"}, {"refs/heads/main=x"}, {"-unknown"}} {
		if err := run(args, strings.NewReader(""), io.Discard, io.Discard); err == nil {
			t.Errorf("run(%q) = nil, want an error", args)
		}
	}
}
