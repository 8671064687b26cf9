package s3_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/internal/s3test"
)

func newMux() *backend.Mux {
	m := &backend.Mux{}
	m.Register(s3.Driver())
	return m
}

func TestLocations(t *testing.T) {
	m := newMux()
	for _, tt := range []struct{ name, in, want, url string }{
		{"least", "type=s3,bucket=b", "type=s3,bucket=b", "s3://b"},
		{
			"BuildKit's attributes",
			"type=s3,bucket=b,region=eu-west-1,prefix=ci/,manifests_prefix=m/,blobs_prefix=x/,name=main;v1,touch_refresh=12h,endpoint_url=https://minio.example:9000,use_path_style=true,upload_parallelism=8,mode=max,retry_mode=adaptive",
			"",
			"s3://b/ci/?region=eu-west-1&endpoint_url=https://minio.example:9000&manifests_prefix=m/&blobs_prefix=x/&name=main;v1&touch_refresh=12h&use_path_style=true&upload_parallelism=8&retry_mode=adaptive&mode=max",
		},
		{"a URL", "s3://b/ci/?name=main", "type=s3,bucket=b,prefix=ci/,name=main", "s3://b/ci/?name=main"},
		{"a prefix without a slash", "s3://b/ci?name=main", "type=s3,bucket=b,prefix=ci,name=main", "s3://b/ci?name=main"},
		{"a prefix that begins with a slash", "type=s3,bucket=b,prefix=/a", "type=s3,bucket=b,prefix=/a", "s3://b//a"},
		{"a bucket that is no host", "type=s3,bucket=B_1,prefix=a/", "type=s3,bucket=B_1,prefix=a/", "s3://?bucket=B_1&prefix=a/"},
		{"prefixes of nothing", "type=s3,bucket=b,prefix=,manifests_prefix=,blobs_prefix=", "type=s3,bucket=b,prefix=,manifests_prefix=,blobs_prefix=", "s3://b?prefix=&manifests_prefix=&blobs_prefix="},
		{"secrets", "type=s3,bucket=b,access_key_id=id,secret_access_key=hidden,session_token=hidden", "type=s3,bucket=b,access_key_id=id,secret_access_key=REDACTED,session_token=REDACTED", "s3://b?access_key_id=id&secret_access_key=REDACTED&session_token=REDACTED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := m.Parse(tt.in)
			if err != nil {
				t.Fatalf("Parse(%s) = %v, want nil", tt.in, err)
			}
			if got := l.String(); tt.want != "" && got != tt.want {
				t.Errorf("Parse(%s).String() = %s, want %s", tt.in, got, tt.want)
			}
			if got := l.URL(); sorted(got) != sorted(tt.url) {
				t.Errorf("Parse(%s).URL() = %s, want %s", tt.in, got, tt.url)
			}
			if again, err := m.Parse(l.RevealURL()); err != nil || !again.Equal(l) {
				t.Errorf("Parse(its own URL) = %v, %v, want %v", again, err, l)
			}
		})
	}
}

// sorted returns a URL with the parts of its query in order.
func sorted(u string) string {
	path, query, _ := strings.Cut(u, "?")
	parts := strings.Split(query, "&")
	slices.Sort(parts)
	return path + "?" + strings.Join(parts, "&")
}

func TestInvalidLocations(t *testing.T) {
	m := newMux()
	for _, tt := range []struct{ name, in, want string }{
		{"no bucket", "type=s3,name=main", "bucket"},
		{"an endpoint without a scheme", "type=s3,bucket=b,endpoint_url=minio:9000", `endpoint_url is "minio:9000", want a URL such as https://`},
		{"an attribute of nobody", "type=s3,bucket=b,buket=c", "did you mean bucket"},
		{"a truth that is none", "type=s3,bucket=b,use_path_style=yes", `use_path_style is "yes", want true or false`},
		{"no parallelism", "type=s3,bucket=b,upload_parallelism=0", `upload_parallelism is "0", want a whole number from 1`},
		{"a store of nobody", "type=s3,bucket=b,quirks=wasabi", `quirks is "wasabi", want one of aws, minio`},
		{"a bound that is no time", "type=s3,bucket=b,touch_refresh=1d", `touch_refresh is "1d", want a duration`},
		{"a port", "s3://b:9000/x", "want s3://bucket/prefix"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := m.Parse(tt.in)
			if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse(%s) = %v, want %v that says %q", tt.in, err, backend.ErrInvalid, tt.want)
			}
		})
	}
}

// TestEnvironment shows BuildKit's fall-backs, which need the environment to be
// allowed.
func TestEnvironment(t *testing.T) {
	s := newFake(t, s3test.Options{Region: "eu-west-1"})
	vars := map[string]string{"AWS_BUCKET": cache, "AWS_REGION": "eu-west-1"}
	m := newMux()
	text := "type=s3,name=main,endpoint_url=" + s.URL + ",access_key_id=" + accessKey + ",secret_access_key=" + secretKey
	if _, err := m.Parse(text); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("Parse(no bucket, no environment) = %v, want %v", err, backend.ErrInvalid)
	}
	m.Options.Getenv = func(name string) string { return vars[name] }
	l, err := m.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	put(t, b, []byte("x"))
	if got := s.Keys(cache); len(got) != 1 || !strings.HasPrefix(got[0], "blobs/sha256:") {
		t.Errorf("Put() by the environment's bucket made %q, want a blob", got)
	}
}

// TestKeys shows that keys are BuildKit's: put together without a separator,
// the algorithm of the digest included.
func TestKeys(t *testing.T) {
	s := newFake(t, s3test.Options{})
	m := newMux()
	l, err := m.Parse("type=s3,bucket=" + cache + ",quirks=aws,prefix=px,manifests_prefix=m,blobs_prefix=b-,name=main;v1,endpoint_url=" + s.URL +
		",access_key_id=" + accessKey + ",secret_access_key=" + secretKey)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	d := put(t, b, []byte("x"))
	for _, name := range l.Refs() {
		if _, err := b.PutRef(t.Context(), name, backend.Document{Data: []byte("{}")}, backend.Absent); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"pxb-" + d.Digest.String(), "pxmmain", "pxmv1"}
	if got := s.Keys(cache); !slices.Equal(got, want) {
		t.Errorf("keys = %q, want %q", got, want)
	}
}
