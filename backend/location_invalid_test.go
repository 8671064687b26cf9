package backend_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
)

func wantInvalid(tb testing.TB, call string, err error) {
	tb.Helper()
	if !errors.Is(err, backend.ErrInvalid) {
		tb.Errorf("%s = %v, want an error matching %v", call, err, backend.ErrInvalid)
	}
}

// invalidLocations are mistakes with what has to be said about them.
var invalidLocations = []struct{ name, text, want string }{
	{"nothing", "", "it is empty"},
	{"space before", " type=gha", "a space at one end"},
	{"space after", "/c ", "a space at one end"},
	{"line break", "type=gha\n", "control character"},
	{"NUL", "/c\x00d", "control character"},
	{"no UTF-8", "/c\xff", "not UTF-8"},
	{"a word", "mycache", "a path that begins with ./ or /"},
	{"a path that looks like a word", "my/cache", "want type=TYPE"},
	{"path with a query", "/c?tag=main", "local:DIR?tag=NAME"},
	{"path with attributes", "../c,tag=main", "local:DIR?tag=NAME"},

	{"unknown attribute", "type=local,src=/c,mod=max", "unknown attribute mod for type=local, did you mean mode?"},
	{"unknown attribute, swapped letters", "type=s3,bucket=b,reigon=r", "did you mean region?"},
	{"unknown attribute, underscore", "type=local,src=/c,ignore_error=true", "did you mean ignore-error?"},
	{"unknown alias", "type=local,dst=/c", "did you mean dest?"},
	{"unknown attribute, none near", "type=gha,bucket=b", "unknown attribute bucket for type=gha, want one of type, scope, token"},
	{"attribute of another type", "type=gha,ref=x", "unknown attribute ref for type=gha"},
	{"unknown attribute in a URL", "local:///c?tga=x", "did you mean tag?"},
	{"twice", "type=local,src=/c,tag=a,tag=a", "attribute tag is given twice"},
	{"twice in other case", "type=local,src=/c,tag=a,TAG=b", "attribute tag is given twice"},
	{"twice in a URL", "local:///c?tag=a&tag=b", "attribute tag is given twice"},
	{"path and query", "local:///c?src=/c", "attribute src is given twice"},
	{"aliases differ", "type=local,src=/c,dest=/d", "attributes src and dest mean the same and differ"},
	{"tag and digest", "type=local,src=/c,tag=a,digest=" + someDigest, "attributes tag and digest exclude each other"},
	{"missing", "type=local,tag=a", "attribute src or dest is missing for type=local"},
	{"missing in a URL", "local:?tag=a", "attribute src or dest is missing"},
	{"missing second", "type=s3,bucket=b", "attribute region is missing"},
	{"empty", "type=local,src=", "attribute src is empty"},
	{"empty in a URL", "local:///c?tag=", "attribute tag is empty"},
	{"space before a key", "type=gha, scope=main", "stray space before or after the key scope"},
	{"space after a key", "type=gha,scope =main", "stray space before or after the key scope"},
	{"space before a value", "type=gha,scope= main", "attribute scope has a space at one end"},
	{"space after a value", "type=gha,scope=main ,mode=max", "attribute scope has a space at one end"},
	{"encoded space after a value", "gha://?scope=main%20", "attribute scope has a space at one end"},
	{"encoded NUL", "gha://?scope=a%00b", "attribute scope has a control character"},
	{"encoded bytes that are no UTF-8", "gha://?scope=%ff", "attribute scope is not UTF-8"},
	{"encoded bytes in a path", "local:///a%0Ab", "attribute src has a control character"},
	{"no value", "type=local,src=/c,mode", "attribute 3 has no =, want key=value"},
	{"comma at the end", "type=gha,", "attribute 2 has no ="},
	{"no key", "type=gha,=x", "the key of attribute 2 is malformed"},
	{"quotation mark within", `type=local,src="/a,b"`, "quote a whole field"},
	{"quotation mark open", `type=local,"src=/a`, "quote a whole field"},
	{"question mark alone", "gha://?", "attribute 1 has no ="},
	{"empty attribute in a query", "gha://?scope=a&&mode=max", "attribute 2 has no ="},
	{"bad escape in a query", "gha://?scope=%zz", "attribute 1 of the query is not percent-encoded"},
	{"bad escape in a path", "local:///%zz", "malformed URL"},
	{"bad escape in a relative path", "local:%zz", "invalid URL escape"},
	{"fragment", "local:///c#tag", "write # as %23"},
	{"empty fragment", "local:///c#", "write # as %23"},
	{"user information", "s3://me@b", "user information in a URL"},
	{"host where there is none", "gha://main", "gha: a host or path in a URL that has none"},
	{"host of a path", "local://c/d", "local: want no host"},
	{"bucket without slashes", "s3:b", "want s3://bucket"},

	{"bad choice", "type=gha,mode=maximum", `attribute mode is "maximum", want one of min, max`},
	{"bad bool", "type=gha,ignore-error=yes", `attribute ignore-error is "yes", want true or false`},
	{"bad compression", "type=gha,compression=lz4", "want one of uncompressed, gzip, estargz, zstd"},
	{"bad level", "type=gha,compression-level=23", "want a whole number from 0 to 22"},
	{"level is no number", "type=gha,compression-level=best", "want a whole number"},
	{"bad duration", "type=s3,bucket=b,region=r,touch_refresh=1d", `attribute touch_refresh is "1d", want a duration`},
	{"negative duration", "type=s3,bucket=b,region=r,touch_refresh=-1h", "want a duration"},
	{"bad number", "type=s3,bucket=b,region=r,upload_parallelism=0", "want a whole number from 1 to 100"},
	{"missing scheme", "type=s3,bucket=b,region=r,endpoint_url=127.0.0.1:9000", "want a URL such as https://host:port"},
	{"other scheme", "type=s3,bucket=b,region=r,endpoint_url=ftp://h", "want a URL such as https://host:port"},
	{"endpoint without host", "type=s3,bucket=b,region=r,endpoint_url=https:///x", "want a URL such as https://host:port"},
	{"bad digest", "type=local,src=/c,digest=sha256:123", "attribute digest is"},
	{"bad secret", "type=s3,bucket=b,region=r,secret_access_key=short", "attribute secret_access_key: want at least 8 characters"},
	{"redacted secret", "type=gha,token=REDACTED", "this location was printed"},

	{"empty ref", "type=local,src=/c,tag=a;", "ref name is empty"},
	{"ref twice", "type=local,src=/c,tag=a;b;a", `attribute tag names "a" twice`},
	{"ref climbs", "type=local,src=/c,tag=../x", "between slashes"},
	{"ref too long", "type=local,src=/c,tag=" + strings.Repeat("x", 256), "256 bytes, want at most 255"},
	{"ref of a registry", "type=registry,ref=ghcr.io/o/r:-x", "attribute ref: want a tag"},
	{"no host in a ref", "type=registry,ref=alpine", "attribute ref: want host/repository:tag"},

	{"no type", "src=/c,tag=x", "attribute type is missing, want one of gha, local, registry, s3"},
	{"empty type", "type=,src=/c", "attribute type is empty"},
	{"type twice", "type=local,type=gha", "attribute type is given twice"},
	{"type twice in a URL", "gha://?type=gha", "attribute type is given twice"},
	{"unknown type", "type=bazel,url=x", "unknown type bazel, want one of gha, local, registry, s3"},
	{"misspelled type", "type=locla,src=/c", "unknown type locla, did you mean local?"},
	{"type in upper case", "type=GHA", "unknown type GHA, did you mean gha?"},
	{"unknown scheme", "https://h.io/x", "unknown type https, want one of"},
	{"malformed type", "type=a/b", "malformed type"},
	{"known type without driver", "type=azblob,name=x", "type azblob is not available here (gha, local, registry, s3): this program was built without its driver, package github.com/larder-build/larder/backend/azblob"},
	{"known scheme without driver", "azblob://account/container", "package github.com/larder-build/larder/backend/azblob"},
	{"inline", "type=inline", "package github.com/larder-build/larder/backend/registry or github.com/larder-build/larder/backend/local"},
}

// TestParseInvalidLocation shows that every mistake is an error that says what
// is wrong and what would be right.
func TestParseInvalidLocation(t *testing.T) {
	for _, test := range invalidLocations {
		t.Run(test.name, func(t *testing.T) {
			l, err := locationMux().Parse(test.text)
			wantInvalid(t, "Parse("+test.text+")", err)
			if err == nil {
				t.Fatalf("Parse(%q) = %v, want an error", test.text, l)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse(%q) = %q, want it to contain %q", test.text, err, test.want)
			}
			if !l.IsZero() {
				t.Errorf("Parse(%q) = %v with an error, want the zero Location", test.text, l)
			}
		})
	}
}

// TestParseWithoutDrivers shows that a Mux without drivers names the package to
// register, for bare locations too.
func TestParseWithoutDrivers(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"type=local,src=/c", "larder/backend/local"},
		{"local:dir", "larder/backend/local"},
		{"mem://x", "larder/backend/mem"},
		{"type=registry,ref=h.io/r", "larder/backend/registry"},
		{"ghcr.io/o/r:main", "larder/backend/registry"},
		{"registry:5000/r", "larder/backend/registry"},
		{"s3://b", "larder/backend/s3"},
		{"gha:", "larder/backend/gha"},
		{"type=x", "no driver is registered"},
	} {
		_, err := new(backend.Mux).Parse(test.text)
		wantInvalid(t, "Parse("+test.text+")", err)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Parse(%q) = %v, want it to contain %q", test.text, err, test.want)
		}
	}
}
