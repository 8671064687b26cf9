package buildkit_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

// TestRelink changes what describes the replaced document, wherever it is
// listed, and no other byte.
func TestRelink(t *testing.T) {
	old, replacement := blob.Describe("", []byte("old")), []byte("longer than before")
	described := blob.Describe("", replacement)
	entry := func(d blob.Descriptor, data string) string {
		return fmt.Sprintf(`{ "size" : %d, "platform":{"os":"linux","digest":%q},"digest":%q, "data":%q }`, d.Size, old.Digest, d.Digest, data)
	}
	const other = `{"digest":"sha256:other","size":3,"annotations":{"about":"`
	index := func(d blob.Descriptor, data string) string {
		return "{\n" + `"x":[1],"manifests" : [` + other + string(old.Digest) + `"}}, ` + entry(d, data) + " ,\n" + entry(d, data) + `],"schemaVersion":2}`
	}
	before, want := index(old, "b2xk"), index(described, "bG9uZ2VyIHRoYW4gYmVmb3Jl")
	got, err := buildkit.Relink([]byte(before), map[blob.Digest][]byte{old.Digest: replacement})
	if err != nil || string(got) != want {
		t.Errorf("Relink() = %s, %v, want %s", got, err, want)
	}
	got, err = buildkit.Relink([]byte(before), nil)
	if err != nil || string(got) != before {
		t.Errorf("Relink(nothing) = %s, %v, want the index as it was", got, err)
	}
}

func TestRelinkRefuses(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `{}`, `{"config":{},"layers":[]}`, `{"manifests":[],"config":{}}`,
		`{"manifests":{}}`, `{"manifests":[1]}`, `{"manifests":[{"digest":1}]}`, `{"manifests":[{"digest":"a","digest":"b"}]}`,
	} {
		if got, err := buildkit.Relink([]byte(text), nil); !errors.Is(err, blob.ErrInvalid) {
			t.Errorf("Relink(%s) = %s, %v, want %v", text, got, err, blob.ErrInvalid)
		}
	}
}
