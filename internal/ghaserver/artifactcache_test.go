package ghaserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/internal/ghaserver"
)

// ask sends a request of the protocol's first version.
func (c *client) ask(method, path, body string, headers ...string) response {
	c.t.Helper()
	headers = append([]string{"Accept", "application/json;api-version=6.0-preview.1", "Authorization", "Bearer " + c.token}, headers...)
	return c.do(method, c.server.URL+"/_apis/artifactcache/"+path, []byte(body), headers...)
}

// reserve returns the path of a new entry.
func (c *client) reserve(key string) string {
	c.t.Helper()
	got := c.ask(http.MethodPost, "caches", fmt.Sprintf(`{"key":%q,"version":"v"}`, key))
	var entry struct{ CacheID int64 }
	if err := json.Unmarshal(got.body, &entry); got.status != http.StatusCreated || err != nil || entry.CacheID == 0 {
		c.t.Fatalf("reserve(%s) = %d %s, want an id", key, got.status, got.body)
	}
	return fmt.Sprintf("caches/%d", entry.CacheID)
}

func (c *client) chunk(entry, data string, off int) response {
	c.t.Helper()
	return c.ask(http.MethodPatch, entry, data, "Content-Type", "application/octet-stream",
		"Content-Range", fmt.Sprintf("bytes %d-%d/*", off, off+len(data)-1))
}

func (c *client) commit(entry string, size int) response {
	c.t.Helper()
	return c.ask(http.MethodPost, entry, fmt.Sprintf(`{"size":%d}`, size))
}

// saveFirst stores an entry by the first version, which must succeed.
func (c *client) saveFirst(key, data string) {
	c.t.Helper()
	entry := c.reserve(key)
	if got := c.chunk(entry, data, 0); got.status != http.StatusNoContent {
		c.t.Fatalf("chunk(%s) = %d %s, want 204", key, got.status, got.body)
	}
	if got := c.commit(entry, len(data)); got.status != http.StatusNoContent {
		c.t.Fatalf("commit(%s) = %d %s, want 204", key, got.status, got.body)
	}
}

// wantComplaint fails unless an answer is an error of the first version.
func wantComplaint(t *testing.T, call string, got response, status int, key string) {
	t.Helper()
	if got.status != status || got.text("typeKey") != key || got.text("message") == "" {
		t.Errorf("%s = %d %s, want %d %s with a message", call, got.status, got.body, status, key)
	}
}

func TestFirstVersion(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	if got := c.ask(http.MethodGet, "cache?keys=k&version=v", ""); got.status != http.StatusNoContent || len(got.body) != 0 {
		t.Errorf("lookup(k) = %d %s, want 204 and nothing", got.status, got.body)
	}
	entry := c.reserve("k")
	c.chunk(entry, "tent", 3) // in any order
	c.chunk(entry, "con", 0)
	if got := c.commit(entry, 7); got.status != http.StatusNoContent {
		t.Errorf("commit(k) = %d %s, want 204", got.status, got.body)
	}
	got := c.ask(http.MethodGet, "cache?keys=none,k&version=v", "")
	if got.status != http.StatusOK || got.text("cacheKey") != "k" || got.text("scope") != main || got.text("creationTime") == "" {
		t.Errorf("lookup(none, k) = %d %s, want k", got.status, got.body)
	}
	where := got.text("archiveLocation")
	if got := c.do(http.MethodGet, where, nil); got.status != http.StatusOK || string(got.body) != "content" {
		t.Errorf("get(k) = %d %s, want the content", got.status, got.body)
	}
	if got := c.do(http.MethodGet, where, nil, "Range", "bytes=3-"); got.status != http.StatusPartialContent || string(got.body) != "tent" {
		t.Errorf("get(k, range) = %d %s, want the end of the content", got.status, got.body)
	}
	var ops []string
	for _, r := range c.server.Requests() {
		ops = append(ops, r.Op)
	}
	if diff := cmp.Diff([]string{"lookup", "create", "put block", "put block", "finalize", "lookup", "get", "get"}, ops); diff != "" {
		t.Errorf("Requests() (-want +got):\n%s", diff)
	}
}

func TestFirstVersionList(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	for _, key := range []string{"a-1", "a-2", "b-1"} {
		c.saveFirst(key, "x")
	}
	got := c.ask(http.MethodGet, "caches?key=a-", "")
	if n, _ := got.field("totalCount").(float64); n != 2 {
		t.Errorf("list(a-) = %d %s, want 2 entries", got.status, got.body)
	}
}

func TestFirstVersionRefuses(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	c.saveFirst("saved", "x")
	reserved := c.reserve("reserved")
	c.chunk(reserved, "abc", 0)
	reader := c.as(ghaserver.Scope{Ref: main, Permission: ghaserver.Read})
	blind := c.as(ghaserver.Scope{Ref: main, Permission: ghaserver.Write})
	for _, tt := range []struct {
		name   string
		got    response
		status int
		key    string
	}{
		{"saved", c.ask(http.MethodPost, "caches", `{"key":"saved","version":"v"}`), http.StatusConflict, "ArtifactCacheItemAlreadyExistsException"},
		{"reserved", c.ask(http.MethodPost, "caches", `{"key":"reserved","version":"v"}`), http.StatusConflict, "ArtifactCacheItemAlreadyExistsException"},
		{"key", c.ask(http.MethodPost, "caches", `{"key":"","version":"v"}`), http.StatusBadRequest, "InvalidCacheKeyException"},
		{"no JSON", c.ask(http.MethodPost, "caches", `{`), http.StatusBadRequest, "VssPropertyValidationException"},
		{"size", c.commit(reserved, 4), http.StatusBadRequest, "InvalidCacheSizeException"},
		{"range", c.ask(http.MethodPatch, reserved, "abc", "Content-Range", "bytes 0-1/*"), http.StatusBadRequest, "InvalidRangeException"},
		{"range with a total", c.ask(http.MethodPatch, reserved, "abc", "Content-Range", "bytes 0-2/3"), http.StatusBadRequest, "InvalidRangeException"},
		{"unknown entry", c.chunk("caches/99", "abc", 0), http.StatusNotFound, "CacheNotFoundException"},
		{"commit of an unknown entry", c.commit("caches/99", 3), http.StatusNotFound, "CacheNotFoundException"},
		{"no version of the API", c.ask(http.MethodGet, "cache?keys=k&version=v", "", "Accept", "*/*"), http.StatusBadRequest, "VssVersionNotSpecifiedException"},
		{"reader that writes", reader.ask(http.MethodPost, "caches", `{"key":"k","version":"v"}`), http.StatusForbidden, "AccessDeniedException"},
		{"writer that reads", blind.ask(http.MethodGet, "cache?keys=k&version=v", ""), http.StatusForbidden, "AccessDeniedException"},
		{"no token", (&client{t, c.server, ""}).ask(http.MethodGet, "cache?keys=k&version=v", ""), http.StatusUnauthorized, "UnauthorizedRequestException"},
		{"no route", c.ask(http.MethodDelete, "caches/1", ""), http.StatusNotFound, "VssResourceNotFoundException"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantComplaint(t, tt.name, tt.got, tt.status, tt.key) })
	}
}

func TestFirstVersionLimits(t *testing.T) {
	clock := newClock()
	o := ghaserver.Options{Now: clock.Now}
	o.Creations, o.Per, o.Quota = 1, time.Minute, 100
	c := newClient(t, o)
	wantComplaint(t, "reserve(too large)", c.ask(http.MethodPost, "caches", `{"key":"a","version":"v","cacheSize":101}`), http.StatusBadRequest, "InvalidCacheSizeException")
	got := c.ask(http.MethodPost, "caches", `{"key":"b","version":"v"}`)
	wantComplaint(t, "reserve(second)", got, http.StatusTooManyRequests, "RequestBlockedException")
	if after := got.header.Get("Retry-After"); after != "60" {
		t.Errorf("Retry-After = %q, want 60", after)
	}
	o = ghaserver.Options{}
	o.BudgetExhausted = true
	got = newClient(t, o).ask(http.MethodPost, "caches", `{"key":"b","version":"v"}`)
	if !strings.Contains(got.text("message"), "insufficient usage") {
		t.Errorf("reserve(nobody pays) = %d %s, want insufficient usage", got.status, got.body)
	}
}

// TestFirstVersionQuirks has what other servers do differently.
func TestFirstVersionQuirks(t *testing.T) {
	with := func(set func(*ghaserver.Options)) *client {
		clock := newClock()
		o := ghaserver.Options{Now: clock.Now}
		set(&o)
		return newClient(t, o)
	}
	c := with(func(o *ghaserver.Options) { o.Overwrites = true })
	c.saveFirst("k", "old")
	c.saveFirst("k", "new")
	got := c.do(http.MethodGet, c.ask(http.MethodGet, "cache?keys=k&version=v", "").text("archiveLocation"), nil)
	if string(got.body) != "new" {
		t.Errorf("get(overwritten) = %s, want the new content", got.body)
	}
	c = with(func(o *ghaserver.Options) { o.LowerCase = true })
	c.saveFirst("Key", "x")
	if got := c.ask(http.MethodGet, "cache?keys=KEY&version=v", ""); got.text("cacheKey") != "key" {
		t.Errorf("lookup(KEY) = %d %s, want key", got.status, got.body)
	}
	c = with(func(o *ghaserver.Options) { o.CoarseTimes = true })
	c.saveFirst("k1", "x")
	c.saveFirst("k2", "x")
	if got := c.ask(http.MethodGet, "cache?keys=k&version=v", ""); got.text("cacheKey") != "k1" {
		t.Errorf("lookup(k) = %d %s, want the first of the same second", got.status, got.body)
	}
	c = with(func(o *ghaserver.Options) { o.Retired = true })
	if got := c.ask(http.MethodGet, "cache?keys=k&version=v", ""); got.status < 400 || !strings.Contains(got.text("message"), "shutting down") {
		t.Errorf("lookup(retired) = %d %s, want to hear of it", got.status, got.body)
	}
	c = with(func(o *ghaserver.Options) { o.BOM = true })
	if got := c.commit("caches/9", 1); !strings.HasPrefix(string(got.body), "\ufeff{") {
		t.Errorf("commit(unknown) = %q, want a byte order mark and JSON", got.body)
	}
	c = with(func(o *ghaserver.Options) { o.PageErrors = true })
	if got := c.commit("caches/9", 1); got.status != http.StatusNotFound || json.Valid(got.body) {
		t.Errorf("commit(unknown) = %d %q, want a page", got.status, got.body)
	}
	c = with(func(o *ghaserver.Options) { o.NoHead = true })
	c.saveFirst("k", "x")
	where := c.ask(http.MethodGet, "cache?keys=k&version=v", "").text("archiveLocation")
	if got := c.do(http.MethodHead, where, nil); got.status != http.StatusForbidden {
		t.Errorf("head(k) = %d, want 403", got.status)
	}
}
