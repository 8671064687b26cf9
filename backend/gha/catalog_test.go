package gha

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/blob"
)

// packOf returns a pack of blobs with these names.
func packOf(names ...string) pack {
	var blobs []blob.Descriptor
	for _, name := range names {
		blobs = append(blobs, blob.Descriptor{Digest: digest.FromString(name), Size: int64(len(name))})
	}
	return newPack(blobs)
}

// namesIn returns where blobs are, by their names, of catalogs that have some of
// these.
func namesIn(c catalog, names ...string) map[string]place {
	found := map[string]place{}
	for _, name := range names {
		if at, ok := c.places()[blobPrefix+digest.FromString(name).String()]; ok {
			found[name] = at
		}
	}
	return found
}

func TestCatalog(t *testing.T) {
	one, two := packOf("a", "bb", "ccc"), packOf("bb", "dddd")
	c := catalog{}.with(one).with(two)
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]place{
		"a":    {one.Key, 6, 0, 1},
		"bb":   {two.Key, 6, 0, 2},
		"ccc":  {one.Key, 6, 3, 3},
		"dddd": {two.Key, 6, 2, 4},
	}
	names := []string{"a", "bb", "ccc", "dddd"}
	if diff := cmp.Diff(want, namesIn(decodeCatalog(data), names...), cmp.AllowUnexported(place{})); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	left, emptied := c.without(map[blob.Digest]bool{digest.FromString("a"): true, digest.FromString("ccc"): true, digest.FromString("dddd"): true})
	if diff := cmp.Diff([]string{one.Key}, emptied); diff != "" {
		t.Errorf("packs without blobs (-want +got):\n%s", diff)
	}
	if got := namesIn(left, names...); len(got) != 1 || got["bb"].pack != two.Key {
		t.Errorf("places that are left = %v, want that of bb", got)
	}
	if got := c.with(one); len(got.Packs) != 2 || len(namesIn(got, names...)) != 4 {
		t.Errorf("with a pack that was there: %d packs, want 2 with the 4 blobs", len(got.Packs))
	}
}

func TestPackKeysDiffer(t *testing.T) {
	keys := map[string]bool{}
	for _, p := range []pack{packOf("a"), packOf("a", "b"), packOf("b", "a"), packOf("ab")} {
		keys[p.Key] = true
	}
	if len(keys) != 4 {
		t.Errorf("4 packs have %d keys, want one for each", len(keys))
	}
}

// TestCatalogIsBounded adds more than a catalog has room for.
func TestCatalogIsBounded(t *testing.T) {
	const each = 1000
	c := catalog{}
	for i := range maxCataloged/each + 5 {
		names := make([]string, each)
		for j := range names {
			names[j] = fmt.Sprint(i, "/", j)
		}
		c = c.with(packOf(names...))
	}
	found := namesIn(c, "4/0", "5/0", fmt.Sprint(maxCataloged/each+4, "/0"))
	if _, forgotten := found["4/0"]; forgotten || len(found) != 2 || len(c.places()) != maxCataloged {
		t.Errorf("a catalog has %d blobs, of them %v, want %d, without the oldest", len(c.places()), found, maxCataloged)
	}
}
