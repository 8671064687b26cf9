package cli

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/larder-build/larder/internal/ghaserver"
)

// TestPacks copies, verifies, saves and restores with small blobs lying together
// in GitHub's cache.
func TestPacks(t *testing.T) {
	server := ghaserver.New(t, ghaserver.Options{})
	token := server.Token(ghaserver.Scope{Ref: "refs/heads/main", Permission: ghaserver.Read | ghaserver.Write})
	store := "type=gha,scope=demo,url_v2=" + server.URL + ",token=" + token
	packing := store + ",pack=64KiB"
	inLayout(t, "buildkit/local-max-two-tags")
	s := shell{}
	s.must(t, "copy", "--from", mainRef, "--to", packing)
	isPack := func(e ghaserver.Entry) bool { return strings.HasPrefix(e.Key, "larder-pack-") }
	if entries := server.Entries(); !slices.ContainsFunc(entries, isPack) {
		t.Errorf("copy has stored %v, want a pack among them", entries)
	}
	for _, from := range []string{packing, store} { // which does not matter to who reads
		s.must(t, "verify", from)
		s.must(t, "copy", "--from", from, "--to", "./back")
		if err := os.RemoveAll("back"); err != nil {
			t.Fatal(err)
		}
	}

	s = inProject(t)
	dirs := []string{"one", "two"}
	for _, dir := range dirs {
		if err := os.CopyFS(dir, os.DirFS("modules")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/name", []byte(dir), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.must(t, slices.Concat([]string{"save", "--to", packing, "--key", "deps"}, dirs)...)
	s.must(t, "restore", "--from", store, "--key", "deps", "--into", "out")
	for _, dir := range dirs {
		if got := readFile(t, "out/"+dir+"/name"); got != dir {
			t.Errorf("%s/name is restored as %q, want %q", dir, got, dir)
		}
	}
}
