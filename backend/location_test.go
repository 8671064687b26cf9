package backend_test

import (
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// locationCases are locations with their refs and both canonical spellings.
var locationCases = []struct {
	name, text, refs, buildkit, url string
}{
	{"src", "type=local,src=/c", "latest", "type=local,src=/c", "local:///c"},
	{"dest", "type=local,dest=/c", "latest", "type=local,dest=/c", "local:///c"},
	{"src and dest agree", "type=local,src=/c,dest=/c", "latest", "type=local,src=/c", "local:///c"},
	{"type last", "src=/c,type=local", "latest", "type=local,src=/c", "local:///c"},
	{"keys in any case", "Type=local,SRC=/c,Tag=Main", "Main", "type=local,src=/c,tag=Main", "local:///c?tag=Main"},
	{"several tags", "type=local,src=/c,tag=a;b", "a b", "type=local,src=/c,tag=a;b", "local:///c?tag=a;b"},
	{"tag with slash", "type=local,src=/c,tag=feature/a", "feature/a", "type=local,src=/c,tag=feature/a", "local:///c?tag=feature/a"},
	{"tag with colon", "type=local,src=/c,tag=a:b", "a:b", "type=local,src=/c,tag=a:b", "local:///c?tag=a:b"},
	{"digest", "type=local,src=/c,digest=" + someDigest, someDigest, "type=local,src=/c,digest=" + someDigest, "local:///c?digest=" + someDigest},
	{"quoted comma", `type=local,"src=/a,b"`, "latest", `type=local,"src=/a,b"`, "local:///a,b"},
	{"quoted quote", `type=local,"src=/a""b"`, "latest", `type=local,"src=/a""b"`, "local:///a%22b"},
	{"quoted type", `"type=local","src=/c"`, "latest", "type=local,src=/c", "local:///c"},
	{"equals sign in a value", "type=local,src=/a=b", "latest", "type=local,src=/a=b", "local:///a=b"},
	{"space within", "type=local,src=/a b", "latest", "type=local,src=/a b", "local:///a%20b"},
	{"percent, question mark, hash", "type=local,src=/a%20?#", "latest", "type=local,src=/a%20?#", "local:///a%2520%3F%23"},
	{"unicode", "type=local,src=/é", "latest", "type=local,src=/é", "local:///%C3%A9"},
	{"relative", "type=local,src=c/d", "latest", "type=local,src=c/d", "local:c/d"},
	{
		"BuildKit's own attributes", "type=local,src=/c,mode=max,compression=zstd,compression-level=3,force-compression=true,ignore-error=1,image-manifest=false,oci-mediatypes=false", "latest",
		"type=local,src=/c,mode=max,ignore-error=1,compression=zstd,compression-level=3,force-compression=true,oci-mediatypes=false,image-manifest=false",
		"local:///c?mode=max&ignore-error=1&compression=zstd&compression-level=3&force-compression=true&oci-mediatypes=false&image-manifest=false",
	},
	{"URL of a path", "local:///c?tag=main", "main", "type=local,src=/c,tag=main", "local:///c?tag=main"},
	{"URL in upper case", "LOCAL:///C?TAG=Main", "Main", "type=local,src=/C,tag=Main", "local:///C?tag=Main"},
	{"URL with escapes", "local:///a%20b%2Cc?tag=x%2fy", "x/y", `type=local,"src=/a b,c",tag=x/y`, "local:///a%20b,c?tag=x/y"},
	{"URL with plus", "local:///a+b?tag=1+2", "1+2", "type=local,src=/a+b,tag=1+2", "local:///a+b?tag=1%2B2"},
	{"URL with semicolon", "local:///c?tag=a;b", "a b", "type=local,src=/c,tag=a;b", "local:///c?tag=a;b"},
	{"URL of a relative path", "local:c%2Bd?tag=x", "x", "type=local,src=c+d,tag=x", "local:c+d?tag=x"},
	{"relative path that looks like a port", "type=local,src=50/c", "latest", "type=local,src=50/c", "local:%350/c"},
	{"relative path of digits", "local:50?tag=x", "x", "type=local,src=50,tag=x", "local:50?tag=x"},
	{"URL with the path in the query", "local:?src=/c", "latest", "type=local,src=/c", "local:///c"},
	{"bare path", "/c", "latest", "type=local,src=/c", "local:///c"},
	{"bare path with equals sign", "/c=d", "latest", "type=local,src=/c=d", "local:///c=d"},

	{"bucket", "type=s3,bucket=b,region=r,prefix=p/", "buildkit", "type=s3,bucket=b,region=r,prefix=p/", "s3://b/p/?region=r"},
	{"bucket URL", "s3://b/p/q?region=r&name=x", "x", "type=s3,bucket=b,region=r,prefix=p/q,name=x", "s3://b/p/q?region=r&name=x"},
	{"bucket URL without prefix", "s3://b?region=r", "buildkit", "type=s3,bucket=b,region=r", "s3://b/?region=r"},
	{"prefix with slash", "s3://b//p?region=r", "buildkit", "type=s3,bucket=b,region=r,prefix=/p", "s3://b//p?region=r"},
	{
		"endpoint", "type=s3,bucket=b,region=r,endpoint_url=http://127.0.0.1:9000,use_path_style=true", "buildkit",
		"type=s3,bucket=b,region=r,endpoint_url=http://127.0.0.1:9000,use_path_style=true", "s3://b/?region=r&endpoint_url=http://127.0.0.1:9000&use_path_style=true",
	},
	{
		"limits of values", "type=s3,bucket=b,region=r,touch_refresh=0s,upload_parallelism=100", "buildkit",
		"type=s3,bucket=b,region=r,touch_refresh=0s,upload_parallelism=100", "s3://b/?region=r&touch_refresh=0s&upload_parallelism=100",
	},

	{"bucket that is no host", "type=s3,bucket=#,region=r", "buildkit", "type=s3,bucket=#,region=r", "s3://?bucket=%23&region=r"},
	{"bucket that would be user information", "type=s3,bucket=a@b,region=r,prefix=p", "buildkit", "type=s3,bucket=a@b,region=r,prefix=p", "s3://?bucket=a%40b&region=r&prefix=p"},
	{"bucket from elsewhere", "s3://?bucket=b&region=r", "buildkit", "type=s3,bucket=b,region=r", "s3://b/?region=r"},
	{"registry", "type=registry,ref=ghcr.io/o/r:main", "main", "type=registry,ref=ghcr.io/o/r:main", "registry://ghcr.io/o/r:main"},
	{"registry without tag", "type=registry,ref=ghcr.io/o/r", "latest", "type=registry,ref=ghcr.io/o/r", "registry://ghcr.io/o/r"},
	{"registry, several tags", "type=registry,ref=ghcr.io/o/r:a;b", "a b", "type=registry,ref=ghcr.io/o/r:a;b", "registry://ghcr.io/o/r:a;b"},
	{"registry digest", "type=registry,ref=ghcr.io/o/r@" + someDigest, someDigest, "type=registry,ref=ghcr.io/o/r@" + someDigest, "registry://ghcr.io/o/r@" + someDigest},
	{"registry URL", "registry://127.0.0.1:5000/c:main?registry.insecure=true", "main", "type=registry,ref=127.0.0.1:5000/c:main,registry.insecure=true", "registry://127.0.0.1:5000/c:main?registry.insecure=true"},
	{"bare image", "localhost/r:v1", "v1", "type=registry,ref=localhost/r:v1", "registry://localhost/r:v1"},
	{"bare image whose host is a type", "registry:5000/r", "latest", "type=registry,ref=registry:5000/r", "registry://registry:5000/r"},

	{"bare image whose host is another type", "local:5000/r:x", "x", "type=registry,ref=local:5000/r:x", "registry://local:5000/r:x"},
	{"nothing but a type", "type=gha", "buildkit", "type=gha", "gha://"},
	{"URL of nothing", "gha://", "buildkit", "type=gha", "gha://"},
	{"URL of a query", "gha://?scope=main", "main", "type=gha,scope=main", "gha://?scope=main"},
	{"URL of a query, short", "gha:?scope=main", "main", "type=gha,scope=main", "gha://?scope=main"},
}

// TestParseLocation shows what each spelling means: the refs, and both
// canonical spellings, which parse to the same location again.
func TestParseLocation(t *testing.T) {
	for _, test := range locationCases {
		t.Run(test.name, func(t *testing.T) {
			m := locationMux()
			l := parse(t, m, test.text)
			want := []string{test.refs, test.buildkit, test.url, test.buildkit, test.url}
			got := []string{strings.Join(l.Refs(), " "), l.Reveal(), l.RevealURL(), l.String(), l.URL()}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Parse(%s): refs and spellings differ (-want +got):\n%s", test.text, diff)
			}
			for _, again := range []string{l.Reveal(), l.RevealURL()} {
				if m := parse(t, m, again); !m.Equal(l) {
					t.Errorf("Parse(%s) = %v, want the same as of %s, %v", again, m, test.text, l)
				}
			}
			if err := l.Check(); err != nil {
				t.Errorf("Check() = %v, want nil", err)
			}
		})
	}
}

func parse(tb testing.TB, m *backend.Mux, text string) backend.Location {
	tb.Helper()
	l, err := m.Parse(text)
	if err != nil {
		tb.Fatalf("Parse(%s) = %v, want a location", text, err)
	}
	return l
}

func TestLocationWithRef(t *testing.T) {
	for _, test := range []struct {
		name, text string
		refs       []string
		want       string
	}{
		{"a name", "type=local,src=/c", []string{"a"}, "type=local,src=/c,tag=a"},
		{"other names", "type=local,src=/c,tag=x", []string{"a", "b"}, "type=local,src=/c,tag=a;b"},
		{"none", "type=local,src=/c,tag=x", nil, "type=local,src=/c"},
		{"a digest", "type=local,src=/c,tag=x", []string{someDigest}, "type=local,src=/c,digest=" + someDigest},
		{"a name after a digest", "type=local,src=/c,digest=" + someDigest, []string{"a"}, "type=local,src=/c,tag=a"},
		{"none after a digest", "type=local,src=/c,digest=" + someDigest, nil, "type=local,src=/c"},
		{"a name and a digest", "type=local,src=/c", []string{"a", someDigest}, "type=local,src=/c,tag=a;" + someDigest},
		{"other attributes stay", "s3://b?region=r&mode=max", []string{"a"}, "type=s3,bucket=b,region=r,name=a,mode=max"},
		{"a tag", "registry://h.io/r:x", []string{"a"}, "type=registry,ref=h.io/r:a"},
		{"no tag", "registry://h.io/r:x", nil, "type=registry,ref=h.io/r"},
		{"tags", "registry://h.io/r", []string{"a", "b"}, "type=registry,ref=h.io/r:a;b"},
		{"digest of an image", "registry://h.io/r:x", []string{someDigest}, "type=registry,ref=h.io/r@" + someDigest},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := locationMux()
			base := parse(t, m, test.text)
			before := base.Reveal()
			got := base.WithRef(test.refs...)
			if got.Reveal() != test.want {
				t.Errorf("WithRef(%q) = %s, want %s", test.refs, got.Reveal(), test.want)
			}
			if base.Reveal() != before {
				t.Errorf("WithRef changed its receiver to %s, want %s", base.Reveal(), before)
			}
			if got.NamesRefs() != (len(test.refs) > 0) {
				t.Errorf("NamesRefs() = %t with refs %q", got.NamesRefs(), test.refs)
			}
			if again := parse(t, m, got.Reveal()); !again.Equal(got) || got.Check() != nil {
				t.Errorf("Parse(%s) = %v, want the same location", got.Reveal(), again)
			}
		})
	}
}

func TestLocationCheckFindsBadRefs(t *testing.T) {
	m := locationMux()
	for _, test := range []struct {
		name, text string
		refs       []string
	}{
		{"empty", "/c", []string{""}},
		{"comma", "/c", []string{"a,b"}},
		{"semicolon", "/c", []string{"a;b"}},
		{"twice", "/c", []string{"a", "a"}},
		{"climbing", "/c", []string{"../a"}},
		{"no tag of an image", "h.io/r", []string{"feature/a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := parse(t, m, test.text).WithRef(test.refs...)
			wantInvalid(t, "Check()", l.Check())
			_, err := m.Open(t.Context(), l)
			wantInvalid(t, "Open()", err)
		})
	}
}

func TestLocationEqual(t *testing.T) {
	for _, test := range []struct {
		name, a, b string
		want       bool
	}{
		{"same", "/c", "/c", true},
		{"alias", "type=local,src=/c", "type=local,dest=/c", true},
		{"spelling", "type=s3,bucket=b,region=r,prefix=p", "s3://b/p?region=r", true},
		{"default ref", "/c", "type=local,src=/c,tag=latest", true},
		{"default ref of an image", "h.io/r", "h.io/r:latest", true},
		{"digest", "type=local,src=/c,digest=" + someDigest, "type=local,src=/c,tag=" + someDigest, true},
		{"path", "/c", "/d", false},
		{"ref", "h.io/r:a", "h.io/r:b", false},
		{"order of refs", "local:c?tag=a;b", "local:c?tag=b;a", false},
		{"attribute", "type=local,src=/c,mode=max", "/c", false},
		{"type", "gha://", "/c", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := locationMux()
			a, b := parse(t, m, test.a), parse(t, m, test.b)
			if got := a.Equal(b); got != test.want || b.Equal(a) != test.want {
				t.Errorf("%v.Equal(%v) = %t, want %t", a, b, got, test.want)
			}
		})
	}
}

func TestLocationInert(t *testing.T) {
	m := locationMux()
	l := parse(t, m, "type=s3,bucket=b,region=r,mode=max,compression=zstd,touch_refresh=1h")
	if diff := cmp.Diff([]string{"compression", "mode"}, l.Inert()); diff != "" {
		t.Errorf("Inert() differs (-want +got):\n%s", diff)
	}
	if got := parse(t, m, "/c").Inert(); got != nil {
		t.Errorf("Inert() = %q without any such attribute, want none", got)
	}
}

func TestLocationValue(t *testing.T) {
	l := parse(t, locationMux(), "type=s3,bucket=b,region=r,secret_access_key=12345678")
	want := map[string]string{"bucket": "b", "prefix": "", "blobs_prefix": "blobs/", "secret_access_key": "12345678", "no such": ""}
	for name, value := range want {
		if got := l.Value(name); got != value {
			t.Errorf("Value(%s) = %q, want %q", name, got, value)
		}
	}
	alias := parse(t, locationMux(), "type=local,dest=/c")
	if alias.Value("src") != "/c" || alias.Value("dest") != "/c" {
		t.Errorf("Value(src), Value(dest) = %q, %q, want /c for both", alias.Value("src"), alias.Value("dest"))
	}
}

// TestLocationAttrs shows that the attributes are those that were given, and
// that they cannot be changed from outside.
func TestLocationAttrs(t *testing.T) {
	m := locationMux()
	given := map[string]string{"dest": "/c", "tag": "main", "mode": "max"}
	l, err := m.Make("local", given)
	if err != nil {
		t.Fatalf("Make() = %v, want a location", err)
	}
	want := maps.Clone(given)
	given["dest"] = "/d"
	l.Attrs()["dest"] = "/d"
	l.Refs()[0] = "other"
	if diff := cmp.Diff(want, l.Attrs()); diff != "" {
		t.Errorf("Attrs() differs (-want +got):\n%s", diff)
	}
	if got := l.Refs(); got[0] != "main" {
		t.Errorf("Refs() = %q, want main", got)
	}
	names := []string{"a"}
	l = l.WithRef(names...)
	names[0] = "b"
	if got := l.Refs(); got[0] != "a" {
		t.Errorf("Refs() = %q after the names given to WithRef changed, want a", got)
	}
}

func TestZeroLocation(t *testing.T) {
	var l backend.Location
	if !l.IsZero() || l.String()+l.Reveal()+l.URL()+l.RevealURL()+l.Type()+l.Value("src") != "" || len(l.Refs()) != 0 {
		t.Errorf("the zero Location is %v, want nothing", l)
	}
	if got := l.WithRef("a"); !got.IsZero() {
		t.Errorf("WithRef(a) = %v, want the zero Location", got)
	}
	wantInvalid(t, "Check()", l.Check())
	_, err := locationMux().Open(t.Context(), l)
	wantInvalid(t, "Open()", err)
}

// TestURLOfForgetfulDriver shows that what a driver's URL does not keep as it
// is, here capital letters, stands in the query.
func TestURLOfForgetfulDriver(t *testing.T) {
	d := bucketDriver()
	format := d.URL.Format
	d.URL.Format = func(attrs map[string]string) *url.URL {
		u := format(attrs)
		u.Host = strings.ToLower(u.Host)
		return u
	}
	m := new(backend.Mux)
	m.Register(d)
	for text, want := range map[string]string{
		"type=s3,bucket=b,region=r": "s3://b/?region=r",
		"type=s3,bucket=B,region=r": "s3://?bucket=B&region=r",
	} {
		l := parse(t, m, text)
		if got := l.URL(); got != want {
			t.Errorf("URL() of %s = %s, want %s", text, got, want)
		}
		if again := parse(t, m, l.URL()); !again.Equal(l) {
			t.Errorf("Parse(%s) = %v, want %v", l.URL(), again, l)
		}
	}
}
