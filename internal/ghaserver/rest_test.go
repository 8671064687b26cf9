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

// rest sends a request of the REST API.
func (c *client) rest(permission int, method, path string) response {
	c.t.Helper()
	return c.do(method, c.server.URL+"/repos/octo/cache/actions/"+path, nil,
		"Authorization", "Bearer "+c.server.RESTToken(permission), "Accept", "application/vnd.github+json")
}

// listed are the keys in an answer, and the total.
func listed(t *testing.T, r response) (keys []string, total int) {
	t.Helper()
	var page struct {
		Total  int                    `json:"total_count"`
		Caches []struct{ Key string } `json:"actions_caches"`
	}
	if err := json.Unmarshal(r.body, &page); err != nil || r.status != http.StatusOK {
		t.Fatalf("list = %d %s, want a page", r.status, r.body)
	}
	for _, e := range page.Caches {
		keys = append(keys, e.Key)
	}
	return keys, page.Total
}

func TestRESTList(t *testing.T) {
	clock := newClock()
	c := newClient(t, ghaserver.Options{Now: clock.Now})
	branch := c.as(ghaserver.Scope{Ref: feature, Permission: 3})
	for _, key := range []string{"a-1", "a-2", "b-1"} {
		clock.now = clock.now.Add(time.Second)
		c.save(key, "content of "+key)
	}
	branch.save("a-3", "x")
	c.create("a-reserved")
	clock.now = clock.now.Add(time.Second)
	c.wantMatch("a-1", "a-1") // which uses it
	for _, tt := range []struct {
		query string
		want  []string
		total int
	}{
		{"sort=created_at&direction=asc", []string{"a-1", "a-2", "b-1", "a-3"}, 4},
		{"", []string{"a-1", "a-3", "b-1", "a-2"}, 4},
		{"key=a-&sort=created_at", []string{"a-3", "a-2", "a-1"}, 3},
		{"ref=feature", []string{"a-3"}, 1},
		{"ref=refs/heads/main&key=a-&sort=size_in_bytes&direction=asc", []string{"a-1", "a-2"}, 2},
		{"sort=created_at&direction=asc&per_page=2", []string{"a-1", "a-2"}, 4},
		{"sort=created_at&direction=asc&per_page=2&page=2", []string{"b-1", "a-3"}, 4},
		{"per_page=2&page=3", nil, 4},
	} {
		t.Run(tt.query, func(t *testing.T) {
			keys, total := listed(t, c.rest(ghaserver.Read, http.MethodGet, "caches?"+tt.query))
			if diff := cmp.Diff(tt.want, keys); diff != "" || total != tt.total {
				t.Errorf("list(%s) has %d of %v, want %d of %v", tt.query, total, keys, tt.total, tt.want)
			}
		})
	}
	if got := c.rest(ghaserver.Read, http.MethodGet, "caches?per_page=2").header.Get("Link"); !strings.Contains(got, "page=2") || !strings.Contains(got, `rel="next"`) {
		t.Errorf("Link = %q, want the next page", got)
	}
}

func TestRESTDelete(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	branch := c.as(ghaserver.Scope{Ref: feature, Permission: 3})
	for _, key := range []string{"k", "k-2", "other"} {
		c.save(key, "x")
		branch.save(key, "x")
	}
	const both = ghaserver.Read | ghaserver.Write
	if keys, _ := listed(t, c.rest(both, http.MethodDelete, "caches?key=k&ref="+feature)); len(keys) != 1 {
		t.Errorf("delete(k of a ref) has removed %v, want one", keys)
	}
	c.wantMatch("k", "k") // that of main
	if keys, _ := listed(t, c.rest(both, http.MethodDelete, "caches?key=k-2")); len(keys) != 2 {
		t.Errorf("delete(k-2) has removed %v, want both", keys)
	}
	c.save("k-2", "x") // its key is free
	var page struct {
		Caches []struct{ ID int64 } `json:"actions_caches"`
	}
	if err := json.Unmarshal(c.rest(both, http.MethodGet, "caches?key=other&ref="+main).body, &page); err != nil || len(page.Caches) != 1 {
		t.Fatalf("list(other) = %+v, %v, want one", page, err)
	}
	one := fmt.Sprintf("caches/%d", page.Caches[0].ID)
	for _, tt := range []struct {
		name string
		got  response
		want int
	}{
		{"by id, with a token that reads", c.rest(ghaserver.Read, http.MethodDelete, one), http.StatusForbidden},
		{"by id", c.rest(both, http.MethodDelete, one), http.StatusNoContent},
		{"by id, again", c.rest(both, http.MethodDelete, one), http.StatusNotFound},
		{"unknown key", c.rest(both, http.MethodDelete, "caches?key=none"), http.StatusNotFound},
		{"no key", c.rest(both, http.MethodDelete, "caches"), http.StatusUnprocessableEntity},
		{"the runtime token", c.do(http.MethodGet, c.server.URL+"/repos/octo/cache/actions/caches", nil, "Authorization", "Bearer "+c.token), http.StatusUnauthorized},
		{"another repository", c.do(http.MethodGet, c.server.URL+"/repos/octo/other/actions/caches", nil, "Authorization", "Bearer "+c.server.RESTToken(both)), http.StatusNotFound},
	} {
		if tt.got.status != tt.want {
			t.Errorf("delete(%s) = %d %s, want %d", tt.name, tt.got.status, tt.got.body, tt.want)
		}
	}
	c.wantMatch("", "other")
}

func TestRESTUsageAndRate(t *testing.T) {
	clock := newClock()
	o := ghaserver.Options{Now: clock.Now}
	o.RESTRequests = 2
	c := newClient(t, o)
	c.save("a", "0123456789")
	c.save("b", "01234")
	got := c.rest(ghaserver.Read, http.MethodGet, "cache/usage")
	if got.field("active_caches_size_in_bytes") != float64(15) || got.field("active_caches_count") != float64(2) {
		t.Errorf("usage = %d %s, want 15 bytes in 2", got.status, got.body)
	}
	if got := c.rest(ghaserver.Read, http.MethodGet, "cache/retention-limit"); got.field("max_cache_retention_days") != float64(7) {
		t.Errorf("retention-limit = %d %s, want 7 days", got.status, got.body)
	}
	got = c.rest(ghaserver.Read, http.MethodGet, "cache/usage")
	if got.status != http.StatusForbidden || got.header.Get("X-Ratelimit-Remaining") != "0" || got.header.Get("X-Ratelimit-Reset") == "" {
		t.Errorf("usage(third) = %d %v, want to be told when to come back", got.status, got.header)
	}
	clock.now = clock.now.Add(time.Hour)
	if got := c.rest(ghaserver.Read, http.MethodGet, "cache/usage"); got.status != http.StatusOK {
		t.Errorf("usage(an hour later) = %d %s, want 200", got.status, got.body)
	}
}
