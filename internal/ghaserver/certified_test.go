package ghaserver_test

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/internal/ghaserver"
	"github.com/larder-build/larder/internal/testserver"
)

// mainScope is that of a run on the main branch.
var mainScope = ghaserver.Scope{Ref: main, Permission: ghaserver.Read | ghaserver.Write}

// variants are services that GitHub's client has to get on with. It takes no byte
// order mark.
func variants(t *testing.T) map[string]ghaserver.Options {
	t.Helper()
	all := map[string]ghaserver.Options{
		"strict":      {},
		"soft exists": {Quirks: ghaserver.Quirks{SoftExists: true}},
		"plain URLs":  {Quirks: ghaserver.Quirks{PlainURLs: true}},
	}
	for name, contents := range azures(t) {
		all["contents "+name] = ghaserver.Options{Contents: contents}
	}
	return all
}

// TestActionsCache has GitHub's own client save and restore.
func TestActionsCache(t *testing.T) {
	all := variants(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			s := ghaserver.New(t, all[name])
			testActionsCache(t, second(s, mainScope))
		})
	}
	t.Run("first version", func(t *testing.T) {
		testActionsCache(t, first(ghaserver.New(t, ghaserver.Options{}), mainScope))
	})
}

// TestActionsCacheByAzureSDK has it read contents as it does GitHub's own: by
// Azure's SDK, in ranges.
func TestActionsCacheByAzureSDK(t *testing.T) {
	host := ""
	s := ghaserver.New(t, ghaserver.Options{ContentHost: func() string { return host }})
	var err error
	if host, err = azureHost(s); err != nil {
		t.Fatal(err)
	}
	testActionsCache(t, second(s, mainScope))
	if n := s.Count("head"); n == 0 {
		t.Error("no HEAD was sent, want one for each restore by Azure's SDK")
	}
}

func testActionsCache(t *testing.T, environ []string) {
	t.Helper()
	data := noise(1 << 20)
	from, to := newActionsCache(t, environ...), newActionsCache(t, environ...)
	from.write("deps/file", data)
	from.save("deps", "deps-1", "Unable to reserve cache with key deps-1", "deps-1")
	got := to.restores(
		step{Do: "restore", Path: "deps", Key: "other"},
		step{Do: "restore", Path: "deps", Key: "other", RestoreKeys: []string{"no", "neither"}},
		step{Do: "restore", Path: "elsewhere", Key: "deps-1"}, // the paths are part of what is looked for
		step{Do: "restore", Path: "deps", Key: "deps-1", LookupOnly: true},
		step{Do: "restore", Path: "deps", Key: "deps-1"},
		step{Do: "restore", Path: "deps", Key: "deps-2", RestoreKeys: []string{"no", "deps-"}},
	)
	if diff := cmp.Diff([]string{"", "", "", "deps-1", "deps-1", "deps-1"}, got); diff != "" {
		t.Errorf("restore (-want +got):\n%s", diff)
	}
	to.want("deps/file", data)
}

// TestActionsCacheInBlocks saves more than goes up in one request.
func TestActionsCacheInBlocks(t *testing.T) {
	for _, tt := range []struct {
		name          string
		environ       func(*ghaserver.Server, ...ghaserver.Scope) []string
		blocks, lists int
	}{{"first version", first, 5, 0}, {"second version", second, 3, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			s := ghaserver.New(t, ghaserver.Options{Quirks: ghaserver.Quirks{SDKBlocks: true}})
			a := newActionsCache(t, tt.environ(s, mainScope)...)
			data := noise(140 << 20)
			a.write("large/file", data)
			a.save("large", "large", "")
			if blocks, lists := s.Count("put block"), s.Count("put block list"); blocks != tt.blocks || lists != tt.lists {
				t.Errorf("it went up in %d blocks and %d lists, want %d and %d", blocks, lists, tt.blocks, tt.lists)
			}
			a.write("large/file", nil)
			if got := a.restores(step{Do: "restore", Path: "large", Key: "large"}); got[0] != "large" {
				t.Errorf("restore(large) = %q, want it", got)
			}
			a.want("large/file", data)
		})
	}
}

// TestActionsCacheInScopes has branches read main's entries and not each other's.
func TestActionsCacheInScopes(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	reading := ghaserver.Scope{Ref: main, Permission: ghaserver.Read}
	branch := func(ref string) ghaserver.Scope {
		return ghaserver.Scope{Ref: ref, Permission: ghaserver.Read | ghaserver.Write}
	}
	onMain := newActionsCache(t, second(s, mainScope)...)
	onA := newActionsCache(t, second(s, branch("refs/heads/a"), reading)...)
	onB := newActionsCache(t, second(s, branch("refs/heads/b"), reading)...)
	untrusted := newActionsCache(t, second(s, reading)...)
	for a, key := range map[*actionsCache]string{onMain: "k-main", onA: "k-a"} {
		a.write("dir/file", []byte(key))
		a.save("dir", key, "")
	}
	untrusted.write("dir/file", []byte("evil"))
	got := untrusted.do(step{Do: "save", Path: "dir", Key: "k-evil"})[0]
	if got.Result != float64(-1) || !strings.Contains(got.Said, "cache write denied:") {
		t.Errorf("save(k-evil) = %v, want that it is denied\n%s", got.Result, got.Said)
	}
	for name, tt := range map[string]struct {
		on   *actionsCache
		want string
	}{"main": {onMain, "k-main"}, "a": {onA, "k-a"}, "b": {onB, "k-main"}, "untrusted": {untrusted, "k-main"}} {
		if got := tt.on.restores(step{Do: "restore", Path: "dir", Key: "none", RestoreKeys: []string{"k-"}}); got[0] != tt.want {
			t.Errorf("on %s restore(k-) = %q, want %q", name, got, tt.want)
		}
	}
}

// inapplicable are tests of go-actions-cache that do not concern a service, or
// that only GitHub can pass: TestAllKeys asks api.github.com itself.
const inapplicable = "TestAllKeys"

// TestGoActionsCache runs the own tests of the client that BuildKit has.
func TestGoActionsCache(t *testing.T) {
	tests := testserver.FromTestbed(t, "LARDER_TEST_GO_ACTIONS_CACHE")
	o := ghaserver.Options{Contents: azures(t)["Azurite"]}
	t.Run("first version", func(t *testing.T) {
		goActionsCache(t, tests, append(first(ghaserver.New(t, o), mainScope), "ACTIONS_CACHE_API_FORCE_VERSION=v1"))
	})
	t.Run("second version", func(t *testing.T) {
		goActionsCache(t, tests, append(second(ghaserver.New(t, o), mainScope), "ACTIONS_CACHE_API_FORCE_VERSION=v2"))
	})
}

func goActionsCache(t *testing.T, tests string, environ []string) {
	t.Helper()
	t.Parallel() // they sleep most of the time
	cmd := exec.CommandContext(t.Context(), tests, "-test.v", "-test.skip", inapplicable)
	cmd.Env = append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	for _, name := range []string{"SaveLoad", "ExistingKey", "ChunkedSave", "PartialKeyOrder", "Mutable", "MutableRace", "MutableCrash"} {
		if !strings.Contains(string(out), "--- PASS: Test"+name+" ") {
			t.Errorf("Test%s has not passed:\n%s", name, out)
		}
	}
}
