package ghaserver_test

import (
	"crypto/rand"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/ghaserver"
)

// azures are where contents are kept by Azure or what stands in for it, by name.
func azures(t *testing.T) map[string]ghaserver.Contents {
	t.Helper()
	accounts := map[string]string{"in the process": azuretest.New(t, azuretest.Options{}).URL}
	if azurite := os.Getenv("LARDER_TEST_AZURITE"); azurite != "" {
		accounts["Azurite"] = azurite
	} else if os.Getenv("LARDER_TEST_REQUIRE") == "1" {
		t.Fatal("LARDER_TEST_AZURITE is not set, and LARDER_TEST_REQUIRE asks for every server")
	}
	found := map[string]ghaserver.Contents{}
	for name, account := range accounts {
		c, err := azuretest.NewContainer(t.Context(), account, "gha-"+strings.ToLower(rand.Text()))
		if err != nil {
			t.Fatal(err)
		}
		found[name] = c
	}
	return found
}

func TestContentsOutside(t *testing.T) {
	for name, contents := range azures(t) {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, ghaserver.Options{Contents: contents})
			c.save("k", "0123456789")
			c.create("empty")
			wantError(t, "finalize(nothing uploaded)", c.finalize("empty", 1), http.StatusNotFound, "not_found")
			c.put(c.create("short").text("signed_upload_url"), "x")
			wantError(t, "finalize(another size)", c.finalize("short", 2), http.StatusNotFound, "not_found")
			where := c.lookup("k").text("signed_download_url")
			if strings.HasPrefix(where, c.server.URL) {
				t.Errorf("lookup(k) = %s, want another server", where)
			}
			if got := c.do(http.MethodGet, where, nil, "Range", "bytes=2-4"); string(got.body) != "234" {
				t.Errorf("get(k) = %d %s, want 234", got.status, got.body)
			}
			if got := c.put(where, "x"); got.status != http.StatusForbidden {
				t.Errorf("put(to read) = %d, want 403", got.status)
			}
			c.server.Plant(main, "k", version, []byte("planted"))
			where = c.lookup("k").text("signed_download_url")
			if got := c.do(http.MethodGet, where, nil); string(got.body) != "planted" {
				t.Errorf("get(k) = %d %s, want what was planted", got.status, got.body)
			}
			c.server.DropBlob(main, "k", version)
			if got := c.do(http.MethodGet, where, nil); got.status != http.StatusNotFound {
				t.Errorf("get(k without content) = %d, want 404", got.status)
			}
		})
	}
}
