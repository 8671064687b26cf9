package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
)

// listing returns a backend of a registry whose list of tags is answered by
// serve, and a count of how often it was.
func listing(t *testing.T, serve func(w http.ResponseWriter, r *http.Request)) (b *registry.Backend, count *int) {
	t.Helper()
	count = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		if *count++; *count > 20 {
			t.Errorf("request %d for %s, want an end", *count, r.URL)
			http.Error(w, "", http.StatusTeapot)
			return
		}
		serve(w, r)
	}))
	t.Cleanup(s.Close)
	return open(t, strings.TrimPrefix(s.URL, "http://")+"/a/b", registry.Options{}), count
}

func writeTags(w http.ResponseWriter, tags ...string) {
	_ = json.NewEncoder(w).Encode(map[string]any{"name": "a/b", "tags": tags})
}

// manyTags are so many that they fill a page.
func manyTags(n int) []string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = fmt.Sprintf("tag-%05d", i)
	}
	return tags
}

func TestListRefsPages(t *testing.T) {
	many := manyTags(2500)
	for _, test := range []struct {
		name     string
		serve    func(w http.ResponseWriter, r *http.Request)
		want     []string
		requests int
	}{
		{"linked", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("last") == "" {
				w.Header().Set("Link", `</v2/a/b/tags/list?last=b&n=2>; rel="next"`)
				writeTags(w, "a", "b")
				return
			}
			writeTags(w, "c")
		}, []string{"a", "b", "c"}, 2},
		{"linked by a whole URL", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("last") == "" {
				w.Header().Set("Link", `<https://`+r.Host+`/v2/a/b/tags/list?last=b>;rel=next`)
				writeTags(w, "a")
				return
			}
			writeTags(w, "b")
		}, []string{"a", "b"}, 2},
		{"linked to another host", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `<http://169.254.169.254/v2/a/b/tags/list?last=b>; rel="next"`)
			writeTags(w, "a")
		}, []string{"a"}, 1},
		{"linked to itself", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+r.URL.String()+`>; rel="next"`)
			writeTags(w, "a")
		}, []string{"a"}, 2},
		{"full pages without link", func(w http.ResponseWriter, r *http.Request) {
			from := 0
			if last := r.URL.Query().Get("last"); last != "" {
				_, _ = fmt.Sscanf(last, "tag-%d", &from)
				from++
			}
			writeTags(w, many[from:min(from+1000, len(many))]...)
		}, many, 3},
		{"n and last ignored", func(w http.ResponseWriter, _ *http.Request) { writeTags(w, many...) }, many, 2},
		{"none", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"name":"a/b","tags":null}`)) }, nil, 1},
		{"no repository", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, refusal("NAME_UNKNOWN", "repository name not known to registry"), http.StatusNotFound)
		}, nil, 1},
		{"what is no tag", func(w http.ResponseWriter, _ *http.Request) {
			writeTags(w, "a", someDigest, "../x", "", "a")
		}, []string{"a"}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, requests := listing(t, test.serve)
			var got []string
			for ref, err := range b.ListRefs(t.Context()) {
				if err != nil {
					t.Fatalf("ListRefs() = %v, want no error", err)
				}
				got = append(got, ref.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ListRefs() differs (-want +got):\n%s", diff)
			}
			if *requests != test.requests {
				t.Errorf("ListRefs() took %d requests, want %d", *requests, test.requests)
			}
		})
	}
}

func TestListRefsFails(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"page for browsers": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"half an answer":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"tags":["a"`)) },
		"error": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, refusal("UNKNOWN", "unknown"), http.StatusInternalServerError)
		},
	} {
		b, _ := listing(t, serve)
		var all []error
		for _, err := range b.ListRefs(t.Context()) {
			all = append(all, err)
		}
		if len(all) != 1 || !errors.Is(all[0], backend.ErrUnavailable) {
			t.Errorf("%s: ListRefs() = %v, want %v once", name, all, backend.ErrUnavailable)
		}
	}
}
