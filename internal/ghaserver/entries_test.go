package ghaserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/internal/ghaserver"
)

func TestLookupOrder(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	for _, key := range []string{"a#1", "a#2", "a", "b-old", "b-new"} {
		c.save(key, "x")
	}
	for _, tt := range []struct {
		name, want, key string
		restore         []string
	}{
		{"exact before newest", "a", "a", nil},
		{"newest of a prefix", "a#2", "a#", nil},
		{"newest of a prefix, other", "b-new", "b", nil},
		{"primary before restore keys", "a#2", "a#", []string{"b-old"}},
		{"restore keys in order", "b-old", "none", []string{"b-old", "a"}},
		{"prefix of a restore key", "b-new", "none", []string{"b-"}},
		{"miss", "", "none", []string{"nothing"}},
		{"case counts", "", "A", nil},
	} {
		t.Run(tt.name, func(t *testing.T) { c.wantMatch(tt.want, tt.key, tt.restore...) })
	}
}

func TestExactKey(t *testing.T) {
	c := newClient(t, ghaserver.Options{Quirks: ghaserver.Quirks{ExactKey: true}})
	c.save("k#1", "x")
	c.wantMatch("k#1", "k#1")
	c.wantMatch("", "k#")
	c.wantMatch("k#1", "k#", "k#")
}

func TestVersionsAreApart(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	c.server.Plant(main, "k", strings.Repeat("b", 64), []byte("x"))
	c.wantMatch("", "k")
	c.save("k", "x")
	c.wantMatch("k", "k")
}

func TestScopes(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	own := ghaserver.Scope{Ref: feature, Permission: ghaserver.Read | ghaserver.Write}
	branch := c.as(own, ghaserver.Scope{Ref: main, Permission: ghaserver.Read})
	other := c.as(ghaserver.Scope{Ref: "refs/heads/other", Permission: 3}, ghaserver.Scope{Ref: main, Permission: 1})
	c.save("shared-main", "x")
	branch.wantMatch("shared-main", "shared")
	branch.save("shared-branch", "x")
	c.save("shared-newer", "x")
	branch.wantMatch("shared-branch", "shared") // its own come first
	branch.wantMatch("shared-newer", "shared-newer")
	c.wantMatch("shared-newer", "shared")
	other.wantMatch("shared-newer", "shared")
	other.wantMatch("", "shared-branch")
	branch.save("shared-main", "x") // another scope, another entry
}

func TestPermissions(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	reader := c.as(ghaserver.Scope{Ref: main, Permission: ghaserver.Read})
	if got := reader.create("k"); got.status != http.StatusOK || got.field("ok") != false || !strings.HasPrefix(got.text("message"), "cache write denied:") {
		t.Errorf("create(k) of a reader = %d %s, want 200 with cache write denied", got.status, got.body)
	}
	if got := reader.finalize("k", 1); got.field("ok") != false || !strings.HasPrefix(got.text("message"), "cache write denied:") {
		t.Errorf("finalize(k) of a reader = %d %s, want 200 with cache write denied", got.status, got.body)
	}
	writer := c.as(ghaserver.Scope{Ref: "", Permission: ghaserver.Write}) // as Gitea's
	writer.save("k", "x")
	got := writer.lookup("k")
	wantError(t, "lookup(k) of a writer", got, http.StatusForbidden, "permission_denied")
	if !strings.Contains(got.text("msg"), "cache read denied:") {
		t.Errorf("lookup(k) of a writer = %s, want cache read denied", got.body)
	}
}

func TestTokens(t *testing.T) {
	clock := newClock()
	c := newClient(t, ghaserver.Options{Now: clock.Now})
	c.wantMatch("", "k")
	for name, token := range map[string]string{"none": "", "no JWT": "token", "changed": c.token + "A", "of another": newClient(t, ghaserver.Options{}).token} {
		wantError(t, "lookup with token "+name, (&client{t, c.server, token}).lookup("k"), http.StatusUnauthorized, "unauthenticated")
	}
	clock.now = clock.now.Add(7 * time.Hour)
	wantError(t, "lookup with an expired token", c.lookup("k"), http.StatusUnauthorized, "unauthenticated")
}

func TestVisibleAfter(t *testing.T) {
	clock := newClock()
	o := ghaserver.Options{Now: clock.Now}
	o.VisibleAfter = 2 * time.Second
	c := newClient(t, o)
	c.save("k", "x")
	c.wantMatch("", "k")
	clock.now = clock.now.Add(2 * time.Second)
	c.wantMatch("k", "k")
}

func TestCreations(t *testing.T) {
	clock := newClock()
	o := ghaserver.Options{Now: clock.Now}
	o.Creations, o.Per = 2, time.Minute
	c := newClient(t, o)
	c.create("a")
	clock.now = clock.now.Add(20 * time.Second)
	c.create("b")
	got := c.create("c")
	wantError(t, "create(third)", got, http.StatusTooManyRequests, "resource_exhausted")
	if after := got.header.Get("Retry-After"); after != "40" {
		t.Errorf("Retry-After = %q, want 40", after)
	}
	c.wantMatch("", "c") // lookups are not limited
	clock.now = clock.now.Add(40 * time.Second)
	if got := c.create("c"); got.field("ok") != true {
		t.Errorf("create(third, later) = %d %s, want ok", got.status, got.body)
	}
}

func TestQuota(t *testing.T) {
	clock := newClock()
	o := ghaserver.Options{Now: clock.Now}
	o.Quota = 25
	c := newClient(t, o)
	for _, key := range []string{"a", "b"} {
		c.save(key, "0123456789")
		clock.now = clock.now.Add(time.Second)
	}
	c.wantMatch("a", "a") // which uses it
	clock.now = clock.now.Add(time.Second)
	c.save("c", "0123456789")
	c.wantMatch("a", "a")
	c.wantMatch("", "b")
	c.wantMatch("c", "c")
}

func TestBudgetExhausted(t *testing.T) {
	c := newClient(t, ghaserver.Options{Limits: ghaserver.Limits{BudgetExhausted: true}})
	c.server.Plant(main, "k", version, []byte("x"))
	got := c.create("new")
	wantError(t, "create(new)", got, http.StatusForbidden, "permission_denied")
	if !strings.Contains(got.text("msg"), "insufficient usage") {
		t.Errorf("create(new) = %s, want insufficient usage", got.body)
	}
	c.wantMatch("k", "k")
}

func TestPlantReserveEvict(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	c.server.Reserve(main, "k", version)
	wantError(t, "create(reserved)", c.create("k"), http.StatusConflict, "already_exists")
	c.server.Plant(main, "k", version, []byte("planted"))
	url := c.lookup("k").text("signed_download_url")
	if got := c.do(http.MethodGet, url, nil); string(got.body) != "planted" {
		t.Errorf("get(k) = %d %s, want what was planted", got.status, got.body)
	}
	if !c.server.DropBlob(main, "k", version) || c.server.DropBlob(main, "other", version) {
		t.Error("DropBlob(k) and (other) = want true, false")
	}
	c.wantMatch("k", "k")
	if got := c.do(http.MethodGet, url, nil); got.status != http.StatusNotFound {
		t.Errorf("get(k without blob) = %d, want 404", got.status)
	}
	if !c.server.Evict(main, "k", version) || c.server.Evict(main, "k", version) {
		t.Error("Evict(k) twice = want true, false")
	}
	c.wantMatch("", "k")
	c.save("k", "x")
}
