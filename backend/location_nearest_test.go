package backend

import "testing"

func TestNearest(t *testing.T) {
	candidates := []string{"mode", "tag", "src", "dest", "secret_access_key", "access_key_id", "force-compression", "compression", "url_v2", "url"}
	for _, test := range []struct{ word, want string }{
		{"mod", "mode"},
		{"moed", "mode"},
		{"tags", "tag"},
		{"tga", "tag"},
		{"dst", "dest"},
		{"scr", "src"},
		{"secretaccesskey", "secret_access_key"},
		{"access-key-id", "access_key_id"},
		{"ag", "tag"},
		{"url_v", "url_v2"},
		{"frce-compression", "force-compression"},
		{"m", ""},
		{"x", ""},
		{"region", ""},
	} {
		got, ok := nearest(test.word, candidates)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("nearest(%q) = %q, %t, want %q", test.word, got, ok, test.want)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"kitten", "sitting", 3},
		{"ab", "ba", 1},
		{"abcd", "acbd", 1},
		{"ca", "abc", 3},
	} {
		if got := edits(test.a, test.b); got != test.want || edits(test.b, test.a) != got {
			t.Errorf("edits(%q, %q) = %d, want %d both ways", test.a, test.b, got, test.want)
		}
	}
}
