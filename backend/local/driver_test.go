package local

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/larder-build/larder/backend"
)

const emptyDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func driverMux() *backend.Mux {
	m := new(backend.Mux)
	m.Register(Driver())
	return m
}

func TestDriverLocations(t *testing.T) {
	for _, test := range []struct{ name, text, dir, ref, url string }{
		{"src", "type=local,src=/c", "/c", "latest", "local:///c"},
		{"dest", "type=local,dest=c,tag=a", "c", "a", "local:c?tag=a"},
		{"digest", "type=local,src=/c,digest=" + emptyDigest, "/c", emptyDigest, "local:///c?digest=" + emptyDigest},
		{"reset", "type=local,src=/c,reset=true", "/c", "latest", "local:///c?reset=true"},
		{"absolute URL", "local:///a%20b/c?tag=x/y", "/a b/c", "x/y", "local:///a%20b/c?tag=x/y"},
		{"relative URL", "local:a%20b/c", "a b/c", "latest", "local:a%20b/c"},
		{"relative URL with dots", "local:../c", "../c", "latest", "local:../c"},
		{"two slashes", "local:////c", "//c", "latest", "local:////c"},
		{"bare absolute", "/c/d=e", "/c/d=e", "latest", "local:///c/d=e"},
		{"bare relative", "./c", "./c", "latest", "local:./c"},
		{"bare parent", "../c", "../c", "latest", "local:../c"},
		{"bare dot", ".", ".", "latest", "local:."},
		{"bare dots", "..", "..", "latest", "local:.."},
		{"bare with colon", "./c:d", "./c:d", "latest", "local:./c:d"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.HasPrefix(test.dir, "//") {
				t.Skip("this path begins with a volume on Windows")
			}
			l, err := driverMux().Parse(test.text)
			if err != nil {
				t.Fatalf("Parse(%s) = %v, want a location", test.text, err)
			}
			if l.Value("src") != test.dir || l.Refs()[0] != test.ref || l.URL() != test.url {
				t.Errorf("Parse(%s) = directory %q, ref %q, URL %s, want %q, %q, %s",
					test.text, l.Value("src"), l.Refs()[0], l.URL(), test.dir, test.ref, test.url)
			}
		})
	}
}

func TestDriverRefusesLocations(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"typo", "type=local,src=/c,mod=max", "did you mean mode?"},
		{"no directory", "type=local,tag=x", "attribute src or dest is missing"},
		{"no directory in a URL", "local://", "attribute src or dest is missing"},
		{"host", "local://c/d", "local:relative/path"},
		{"dot as host", "local://./c", "local:relative/path"},
		{"bad escape", "local:%", "invalid URL escape"},
		{"bad digest", "type=local,src=/c,digest=main", "want sha256:"},
		{"bad reset", "type=local,src=/c,reset=yes", "want true or false"},
		{"bare with query", "./c?tag=x", "local:DIR?tag=NAME"},
		{"bare with attribute", "./c,tag=x", "local:DIR?tag=NAME"},
		{"word", "cache", "a path that begins with"},
		{"hidden word", ".cache", "a path that begins with"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := driverMux().Parse(test.text)
			if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse(%s) = %v, want an error matching %v with %q", test.text, err, backend.ErrInvalid, test.want)
			}
		})
	}
}

// TestDriverRoundTrip shows that a directory of any name can be spelled.
func TestDriverRoundTrip(t *testing.T) {
	m := driverMux()
	rapid.Check(t, func(t *rapid.T) {
		dir := rapid.StringMatching(`[-a-zA-Z0-9 ,;=&?#%+"'/:@\\é☃.*\[\]]{1,20}`).
			Filter(func(s string) bool { return strings.TrimSpace(s) == s }).Draw(t, "dir")
		l, err := m.Make("local", map[string]string{"dest": dir})
		if err != nil {
			t.Fatalf("Make(%q) = %v", dir, err)
		}
		for _, text := range []string{l.Reveal(), l.RevealURL()} {
			again, err := m.Parse(text)
			if err != nil || again.Value("src") != dir {
				t.Fatalf("Parse(%s) = %v, %v, want directory %q", text, again, err, dir)
			}
		}
	})
}
