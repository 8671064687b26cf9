package ghaserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/internal/ghaserver"
)

func TestSaveAndRestore(t *testing.T) {
	for _, q := range ghaserver.AllQuirks() {
		t.Run(q.Name, func(t *testing.T) {
			var o ghaserver.Options
			q.Set(&o)
			c := newClient(t, o)
			c.wantMatch("", "k")
			c.save("k", "content")
			c.server.Settle()
			found := c.lookup("k")
			if got := c.do(http.MethodGet, found.text("signed_download_url"), nil); got.status != http.StatusOK || string(got.body) != "content" {
				t.Errorf("get(k) = %d %s, want the content", got.status, got.body)
			}
			entries := c.server.Entries()
			if len(entries) != 1 || entries[0].Key != "k" || entries[0].Scope != main || entries[0].Version != version || entries[0].Size != 7 {
				t.Errorf("Entries() = %+v, want the one that was saved", entries)
			}
		})
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	c.save("k", "content")
	c.do(http.MethodHead, c.lookup("k").text("signed_download_url"), nil)
	var got []string
	for _, r := range c.server.Requests() {
		got = append(got, r.Op)
	}
	if diff := cmp.Diff([]string{"create", "put", "finalize", "lookup", "head"}, got); diff != "" {
		t.Errorf("Requests() (-want +got):\n%s", diff)
	}
	if n := c.server.Count("lookup"); n != 1 {
		t.Errorf("Count(lookup) = %d, want 1", n)
	}
}

func TestFinalize(t *testing.T) {
	for _, tt := range []struct {
		name string
		size any
		ok   bool
		code string
	}{
		{"number", 7, true, ""},
		{"string", "7", true, ""},
		{"too small", 6, false, "not_found"},
		{"empty", 0, false, "invalid_argument"},
		{"none", nil, false, "invalid_argument"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, ghaserver.Options{})
			c.put(c.create("k").text("signed_upload_url"), "content")
			got := c.finalize("k", tt.size)
			if (got.field("ok") == true) != tt.ok || got.text("code") != tt.code {
				t.Errorf("finalize(%v) = %d %s, want ok %t, code %q", tt.size, got.status, got.body, tt.ok, tt.code)
			}
			if _, ok := got.field("entry_id").(string); tt.ok && !ok {
				t.Errorf("finalize(%v) = %s, want entry_id as a string", tt.size, got.body)
			}
		})
	}
	c := newClient(t, ghaserver.Options{})
	wantError(t, "finalize(never reserved)", c.finalize("k", 1), http.StatusNotFound, "not_found")
	c.create("k")
	wantError(t, "finalize(never uploaded)", c.finalize("k", 1), http.StatusNotFound, "not_found")
	c.save("other", "x")
	wantError(t, "finalize(again)", c.finalize("other", 1), http.StatusNotFound, "not_found")
}

func TestEntriesAreImmutable(t *testing.T) {
	clock := newClock()
	o := ghaserver.Options{Now: clock.Now}
	o.ReservationLife = time.Hour
	c := newClient(t, o)
	c.create("reserved")
	c.save("saved", "x")
	wantError(t, "create(reserved)", c.create("reserved"), http.StatusConflict, "already_exists")
	wantError(t, "create(saved)", c.create("saved"), http.StatusConflict, "already_exists")
	c.wantMatch("", "reserved")
	clock.now = clock.now.Add(2 * time.Hour)
	wantError(t, "create(saved)", c.create("saved"), http.StatusConflict, "already_exists")
	if got := c.create("reserved"); got.field("ok") != true {
		t.Errorf("create(reserved, later) = %d %s, want ok", got.status, got.body)
	}
}

func TestSoftExists(t *testing.T) {
	c := newClient(t, ghaserver.Options{Quirks: ghaserver.Quirks{SoftExists: true}})
	c.save("k", "x")
	if got := c.create("k"); got.status != http.StatusOK || got.field("ok") != false || got.text("message") != "" {
		t.Errorf("create(k) = %d %s, want 200 without ok or message", got.status, got.body)
	}
}

func TestMalformedCalls(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	for _, key := range []string{"", "a,b", strings.Repeat("k", 513)} {
		wantError(t, "create("+key+")", c.create(key), http.StatusBadRequest, "invalid_argument")
		wantError(t, "lookup(k, "+key+")", c.lookup("k", key), http.StatusBadRequest, "invalid_argument")
	}
	short := c.call("CreateCacheEntry", map[string]any{"key": "k", "version": "short"})
	wantError(t, "create(short version)", short, http.StatusBadRequest, "invalid_argument")
	wantError(t, "DeleteCacheEntry()", c.call("DeleteCacheEntry", nil), http.StatusNotFound, "bad_route")
	wantError(t, "create(protobuf)", c.do(http.MethodPost, c.server.URL+"/twirp/github.actions.results.api.v1.CacheService/CreateCacheEntry", nil,
		"Content-Type", "application/protobuf"), http.StatusNotFound, "bad_route")
	wantError(t, "create(no JSON)", c.do(http.MethodPost, c.server.URL+"/twirp/github.actions.results.api.v1.CacheService/CreateCacheEntry", []byte("{"),
		"Content-Type", "application/json", "Authorization", "Bearer "+c.token), http.StatusBadRequest, "malformed")
}

func TestByteOrderMark(t *testing.T) {
	c := newClient(t, ghaserver.Options{Quirks: ghaserver.Quirks{BOM: true}})
	if got := c.create(""); !strings.HasPrefix(string(got.body), "\ufeff{") {
		t.Errorf("create() = %q, want a byte order mark and JSON", got.body)
	}
}
