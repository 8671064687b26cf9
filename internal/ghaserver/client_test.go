package ghaserver_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/internal/ghaserver"
)

// version is a version that the service takes.
var version = strings.Repeat("a", 64)

const (
	main    = "refs/heads/main"
	feature = "refs/heads/feature"
)

// clock is a clock that tests move.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time { return c.now }

// client is as simple as one can be.
type client struct {
	t      *testing.T
	server *ghaserver.Server
	token  string
}

func newClient(t *testing.T, o ghaserver.Options) *client {
	t.Helper()
	s := ghaserver.New(t, o)
	return &client{t, s, s.Token(ghaserver.Scope{Ref: main, Permission: ghaserver.Read | ghaserver.Write})}
}

// as returns a client with another token.
func (c *client) as(scopes ...ghaserver.Scope) *client {
	return &client{c.t, c.server, c.server.Token(scopes...)}
}

// response is an answer as tests compare it.
type response struct {
	status int
	header http.Header
	body   []byte
}

// field returns a field of a JSON answer, or nil.
func (r response) field(name string) any {
	var fields map[string]any
	if json.Unmarshal(r.body, &fields) != nil {
		return nil
	}
	return fields[name]
}

func (r response) text(name string) string {
	text, _ := r.field(name).(string)
	return text
}

// do sends a request; headers come in pairs.
func (c *client) do(method, url string, body []byte, headers ...string) response {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatalf("%s = %v, want an answer", method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, data}
}

// call calls a method of the service.
func (c *client) call(method string, fields map[string]any) response {
	c.t.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.do(http.MethodPost, c.server.URL+"/twirp/github.actions.results.api.v1.CacheService/"+method, body,
		"Content-Type", "application/json", "Authorization", "Bearer "+c.token)
}

func (c *client) create(key string) response {
	c.t.Helper()
	return c.call("CreateCacheEntry", map[string]any{"key": key, "version": version})
}

func (c *client) finalize(key string, size any) response {
	c.t.Helper()
	return c.call("FinalizeCacheEntryUpload", map[string]any{"key": key, "version": version, "size_bytes": size})
}

func (c *client) lookup(key string, restore ...string) response {
	c.t.Helper()
	return c.call("GetCacheEntryDownloadURL", map[string]any{"key": key, "version": version, "restore_keys": restore})
}

// put uploads a blob in one request.
func (c *client) put(url, data string) response {
	c.t.Helper()
	return c.do(http.MethodPut, url, []byte(data), "x-ms-blob-type", "BlockBlob")
}

// save stores an entry, which must succeed.
func (c *client) save(key, data string) {
	c.t.Helper()
	created := c.create(key)
	if url := created.text("signed_upload_url"); created.status != http.StatusOK || url == "" {
		c.t.Fatalf("create(%s) = %d %s, want a URL", key, created.status, created.body)
	} else if put := c.put(url, data); put.status != http.StatusCreated {
		c.t.Fatalf("put(%s) = %d %s, want 201", key, put.status, put.body)
	}
	if done := c.finalize(key, len(data)); done.field("ok") != true {
		c.t.Fatalf("finalize(%s) = %d %s, want ok", key, done.status, done.body)
	}
}

// wantMatch fails unless a lookup finds the entry of a key; "" is a miss.
func (c *client) wantMatch(want, key string, restore ...string) {
	c.t.Helper()
	got := c.lookup(key, restore...)
	if got.status != http.StatusOK || got.text("matched_key") != want || got.field("ok") != (want != "") {
		c.t.Errorf("lookup(%s, %v) = %d %s, want a match of %q", key, restore, got.status, got.body, want)
	}
}

// wantError fails unless an answer is an error of Twirp.
func wantError(t *testing.T, call string, got response, status int, code string) {
	t.Helper()
	if got.status != status || got.text("code") != code || got.text("msg") == "" {
		t.Errorf("%s = %d %s, want %d %s with a message", call, got.status, got.body, status, code)
	}
}
