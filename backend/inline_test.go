package backend_test

import (
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
)

// imagesMux returns a Mux of which two drivers hold images.
func imagesMux() *backend.Mux {
	m := new(backend.Mux)
	for _, d := range []backend.Driver{layoutDriver(), imageDriver(), scopeDriver()} {
		d.Images = d.Type != "gha"
		m.Register(d)
	}
	return m
}

func TestInlineLocations(t *testing.T) {
	for _, test := range []struct{ name, text, refs, buildkit, url string }{
		{"registry", "type=inline,ref=h.io/r:v1", "v1", "type=inline,ref=h.io/r:v1", "inline://?ref=h.io/r:v1"},
		{"registry, default tag", "type=inline,ref=h.io/r", "latest", "type=inline,ref=h.io/r", "inline://?ref=h.io/r"},
		{"layout", "type=inline,src=/c,tag=a;b", "a b", "type=inline,src=/c,tag=a;b", "inline://?src=/c&tag=a;b"},
		{"alias, type last", "dest=/c,type=inline", "latest", "type=inline,dest=/c", "inline://?dest=/c"},
		{"URL", "inline://?dest=/c&tag=a", "a", "type=inline,dest=/c,tag=a", "inline://?dest=/c&tag=a"},
		{"BuildKit's attributes", "type=inline,ref=h.io/r,mode=max", "latest", "type=inline,ref=h.io/r,mode=max", "inline://?ref=h.io/r&mode=max"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := imagesMux()
			l, err := m.Parse(test.text)
			if err != nil {
				t.Fatalf("Parse(%s) = %v", test.text, err)
			}
			if got := strings.Join(l.Refs(), " "); l.Type() != backend.TypeInline || got != test.refs {
				t.Errorf("Parse(%s) has type %s and refs %s, want inline and %s", test.text, l.Type(), got, test.refs)
			}
			if l.String() != test.buildkit || l.URL() != test.url {
				t.Errorf("Parse(%s) prints as %s and %s, want %s and %s", test.text, l, l.URL(), test.buildkit, test.url)
			}
			for _, text := range []string{l.String(), l.URL()} {
				if again, err := m.Parse(text); err != nil || !again.Equal(l) {
					t.Errorf("Parse(%s) = %v, %v, want %v", text, again, err, l)
				}
			}
			if made, err := m.Make("inline", l.Attrs()); err != nil || !made.Equal(l) {
				t.Errorf("Make(inline, %v) = %v, %v, want %v", l.Attrs(), made, err, l)
			}
		})
	}
}

// TestInlineLocationsOpenTheStore shows that the driver with the attributes
// opens the location, also with other refs.
func TestInlineLocationsOpenTheStore(t *testing.T) {
	m := imagesMux()
	for _, text := range []string{"type=inline,ref=h.io/r:v1", "type=inline,src=/c,tag=v1"} {
		l, err := m.Parse(text)
		if err != nil {
			t.Fatalf("Parse(%s) = %v", text, err)
		}
		b, err := m.Open(t.Context(), l.WithRef("v2"))
		if err != nil {
			t.Fatalf("Open(%s) = %v", l.WithRef("v2"), err)
		}
		got, ok := b.(*opened)
		if want := strings.ReplaceAll(text, "v1", "v2"); !ok || got.location.String() != want {
			t.Errorf("Open(%s) = %v, want %s", l.WithRef("v2"), b.Info().Location, want)
		}
	}
}

func TestInvalidInlineLocations(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"no place", "type=inline", "attribute src or dest, or ref is missing for type=inline"},
		{"no place in a URL", "inline://?mode=max", "attribute src or dest, or ref is missing for type=inline"},
		{"two places", "type=inline,src=/c,ref=h.io/r", "unknown attribute ref for type=inline"},
		{"attribute of another store", "type=inline,ref=h.io/r,tag=v1", "unknown attribute tag for type=inline"},
		{"path in a URL", "inline:///c?tag=v1", "a host or path in a URL that has none"},
		{"bad ref", "type=inline,ref=alpine", "want host/repository:tag"},
		{"misspelled", "type=inlin,ref=h.io/r", "did you mean inline?"},
	} {
		l, err := imagesMux().Parse(test.text)
		wantInvalid(t, "Parse("+test.text+")", err)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Parse(%s) = %v, %v, want %q", test.name, test.text, l, err, test.want)
		}
	}
}
