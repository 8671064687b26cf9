package interop

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

// TestPrefixes has BuildKit export under several names at once, to places in a
// bucket that have prefixes. larder must find them all, and BuildKit what larder
// puts beside them. The same prefixes mean other keys on S3 and on Azure: there
// the keys are a path, which is cleaned.
func TestPrefixes(t *testing.T) {
	d := newDaemon(t)
	tests := []struct {
		name string
		open func(t *testing.T) place
	}{
		{"minio", func(t *testing.T) place {
			t.Helper()
			return newBucket(t, minio.name).under("team a,b/x-", "m", "b/")
		}},
		{"versitygw", func(t *testing.T) place {
			t.Helper()
			return newBucket(t, versitygw.name).under("p1/q/", "refs/of-", "blob-")
		}},
		{"versitygw, prefixes of nothing", func(t *testing.T) place {
			t.Helper()
			return newBucket(t, versitygw.name).under("p/", "", "")
		}},
		{"minio, blobs at the root", func(t *testing.T) place {
			t.Helper()
			return newBucket(t, minio.name).under("", "m/", "")
		}},
		{"azurite, prefixes of nothing", func(t *testing.T) place {
			t.Helper()
			return newContainer(t).under("", "", "", "", "")
		}},
		{"azurite", func(t *testing.T) place {
			t.Helper()
			return newContainer(t).under("p1//q/..", "m", "./bb/", "p1/m/", "p1/bb/")
		}},
		{"azurite, from the root", func(t *testing.T) place {
			t.Helper()
			return newContainer(t).under("/p 1", "/", "b", "/p 1/", "/p 1/b/")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d.prune(t)
			dir, p := newContext(t, newSeed(), "main"), tt.open(t)
			golden := d.mustBuild(t, build{context: dir, exports: []string{maximal(p, "one;two")}})
			for _, name := range []string{"one", "two"} {
				mustDescribe(t, p, name)
			}
			if got, want := inspectAll(t, p.source("one;two")), []string{"one", "two"}; !slices.Equal(got, want) {
				t.Errorf("inspect of both names shows %q, want %q", got, want)
			}

			mustCopy(t, p.source("two"), p.target("three;four"))
			for _, name := range []string{"three", "four"} {
				mustDescribe(t, p, name)
				if got, want := p.document(t, name), p.document(t, "one"); !bytes.Equal(got, want) {
					t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
				}
				d.mustReuse(t, dir, p.source(name), golden)
			}
			if got, want := refs(t, p), []string{"four", "one", "three", "two"}; !slices.Equal(got, want) {
				t.Errorf("ls shows %q, want %q", got, want)
			}
		})
	}
}

// inspectAll returns the names of the refs that an inspection shows.
func inspectAll(t *testing.T, location string) []string {
	t.Helper()
	var names []string
	for documents := json.NewDecoder(bytes.NewReader(larder(t, "inspect", "--json", location))); documents.More(); {
		var i inspection
		if err := documents.Decode(&i); err != nil {
			t.Fatal(err)
		}
		names = append(names, i.Ref)
	}
	return names
}
