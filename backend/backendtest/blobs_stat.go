package backendtest

import (
	"testing"

	"github.com/larder-build/larder/blob"
)

// manyDigests is more than the stores that larder knows take in one request:
// S3 deletes 1000 objects, Azure 256.
const manyDigests = 1100

func statCases() []testCase {
	return []testCase{
		{name: "stat/absent blobs are absent from the answer", run: statAbsent},
		{name: "stat/repeated digests count once", run: statRepeated},
		{name: "stat/takes any number of digests", run: statMany},
		{name: "stat/of nothing is empty", run: statNothing},
	}
}

func statAbsent(t *testing.T, e *env) {
	first, second := e.put(t, content(1, 100)), e.put(t, nil)
	found, err := e.Stat(t.Context(), absent(1).Digest, first.Digest, absent(2).Digest, second.Digest)
	if err != nil {
		t.Fatalf("Stat(2 absent, 2 present) = %v, want nil", err)
	}
	if len(found) != 2 {
		t.Errorf("Stat(2 absent, 2 present) has %d blobs, want 2: %v", len(found), found)
	}
	for _, d := range []blob.Descriptor{first, second} {
		got, ok := found[d.Digest]
		if !ok || got.Digest != d.Digest || got.Size != d.Size && got.Size != -1 {
			t.Errorf("Stat(...)[%s] = %+v, %t, want size %d or -1", d.Digest, got, ok, d.Size)
		}
	}
}

func statRepeated(t *testing.T, e *env) {
	d := e.put(t, content(1, 100))
	found, err := e.Stat(t.Context(), d.Digest, absent(1).Digest, d.Digest, absent(1).Digest, d.Digest)
	if _, ok := found[d.Digest]; err != nil || len(found) != 1 || !ok {
		t.Errorf("Stat(one blob three times) = %v, %v, want that blob", found, err)
	}
}

func statMany(t *testing.T, e *env) {
	first, last := e.put(t, content(1, 10)), e.put(t, content(2, 10))
	digests := []blob.Digest{first.Digest}
	for i := range manyDigests {
		digests = append(digests, absent(i).Digest)
	}
	digests = append(digests, last.Digest)
	found, err := e.Stat(t.Context(), digests...)
	if err != nil || len(found) != 2 {
		t.Fatalf("Stat(%d digests) = %d blobs, %v, want 2", len(digests), len(found), err)
	}
	for _, d := range []blob.Descriptor{first, last} {
		if _, ok := found[d.Digest]; !ok {
			t.Errorf("Stat(%d digests)[%s] = absent, want present", len(digests), d.Digest)
		}
	}
}

func statNothing(t *testing.T, e *env) {
	e.put(t, content(1, 10))
	if found, err := e.Stat(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("Stat() = %v, %v, want none", found, err)
	}
}
