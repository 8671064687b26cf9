package all_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/all"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/gcstest"
	"github.com/larder-build/larder/internal/ghaserver"
	"github.com/larder-build/larder/internal/registrytest"
	"github.com/larder-build/larder/internal/s3test"
)

// TestMuxOpensEveryType stores a ref at a location of each type and reads it
// back, through what the location names.
func TestMuxOpensEveryType(t *testing.T) {
	dir := filepath.ToSlash(t.TempDir())
	server := registrytest.New(t, registrytest.Options{})
	objects := s3test.New(t, s3test.Options{Buckets: []string{"cache"}})
	blobs := azuretest.New(t, azuretest.Options{Containers: []string{"cache"}})
	google := gcstest.New(t, gcstest.Options{Buckets: []string{"cache"}})
	actions := ghaserver.New(t, ghaserver.Options{})
	m := all.Mux(all.Options{})
	opened := map[string]bool{}
	for _, text := range []string{
		"type=local,dest=" + dir + "/a,tag=main",
		"local:///" + strings.TrimPrefix(dir, "/") + "/b?tag=main",
		"type=mem,store=a,name=main",
		"mem://b?name=main",
		"type=registry,ref=" + server.Host + "/cache/a:main",
		"registry://" + server.Host + "/cache/b:main",
		server.Host + "/cache/c:main",
		"type=s3,bucket=cache,name=main,endpoint_url=" + objects.URL + ",access_key_id=" + s3test.AccessKey + ",secret_access_key=" + s3test.SecretKey,
		"s3://cache/p/?name=main&endpoint_url=" + url.QueryEscape(objects.URL) + "&access_key_id=" + s3test.AccessKey + "&secret_access_key=" + url.QueryEscape(s3test.SecretKey),
		"type=azblob,account_url=" + blobs.URL + ",container=cache,name=main,secret_access_key=" + azuretest.Key,
		"type=gs,bucket=cache,endpoint_url=" + google.URL + ",name=main",
		"gs://cache/prefix/?endpoint_url=" + url.QueryEscape(google.URL) + "&name=main",
		"type=gha,scope=main,url_v2=" + actions.URL + ",token=" + actions.Token(ghaserver.Scope{Ref: "refs/heads/main", Permission: 3}),
		"azblob://cache?account_url=" + url.QueryEscape(blobs.URL) + "&name=main&secret_access_key=" + url.QueryEscape(azuretest.Key),
	} {
		l, err := m.Parse(text)
		if err != nil {
			t.Fatalf("Parse(%s) = %v, want a location", text, err)
		}
		b, err := m.Open(t.Context(), l)
		if err != nil {
			t.Fatalf("Open(%s) = %v, want a backend", text, err)
		}
		t.Cleanup(func() { _ = b.Close() })
		opened[l.Type()] = true
		if got := b.Info(); got.Driver != l.Type() || got.Location != l.WithRef().String() {
			t.Errorf("Info() = %s at %s, want %s at %v", got.Driver, got.Location, l.Type(), l.WithRef())
		}
		if _, err := b.GetRef(t.Context(), l.Refs()[0]); !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("GetRef(main) = %v in a new store at %s, want %v", err, text, backend.ErrNotFound)
		}
	}
	for _, d := range m.Drivers() {
		if !opened[d.Type] {
			t.Errorf("no location of type %s was opened, want all types", d.Type)
		}
	}
}

// TestMuxPassesOptions shows that every option reaches the drivers.
func TestMuxPassesOptions(t *testing.T) {
	opts := all.Options{
		Getenv: os.Getenv, Logger: slog.Default(), Transport: http.DefaultTransport,
		Now: func() time.Time { return time.Unix(7, 0) }, TempDir: "/t",
	}
	got := all.Mux(opts).Options
	if got.Getenv == nil || got.Logger != opts.Logger || got.Transport != opts.Transport || got.TempDir != opts.TempDir || !got.Now().Equal(opts.Now()) {
		t.Errorf("Mux().Options = %+v, want %+v", got, opts)
	}
	if got := all.Mux(all.Options{}).Options; got.Getenv != nil {
		t.Error("the zero Options consult the environment, want none")
	}
}

// TestMuxWraps shows that what is opened is behind the safeguards unless they
// are opted out of: Check, the outermost, can be told by its being opaque.
func TestMuxWraps(t *testing.T) {
	bare := wrap.Options{NoCheck: true, NoVerify: true, NoRetry: true, NoLimit: true, NoTimeout: true}
	for _, test := range []struct {
		name  string
		opts  wrap.Options
		found bool
	}{
		{"all", wrap.Options{}, false},
		{"all but Check", wrap.Options{NoCheck: true}, true},
		{"none", bare, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := all.Mux(all.Options{Wrap: test.opts})
			l, err := m.Parse("mem://a")
			if err != nil {
				t.Fatal(err)
			}
			b, err := m.Open(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close() })
			if _, found := backend.As[*mem.Backend](b); found != test.found {
				t.Errorf("As(*mem.Backend) = %t behind %T, want %t", found, b, test.found)
			}
			if _, direct := b.(*mem.Backend); direct != (test.name == "none") {
				t.Errorf("Open() = %T with the wrappers %s", b, test.name)
			}
		})
	}
}

// TestMuxKnowsTypes shows what is said of types that are not there.
func TestMuxKnowsTypes(t *testing.T) {
	m := all.Mux(all.Options{})
	for _, text := range []string{"type=floppy", "floppy://x"} {
		_, err := m.Parse(text)
		if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), "unknown type floppy, want one of azblob, gha, ") {
			t.Errorf("Parse(%s) = %v, want the types that there are", text, err)
		}
	}
}

// TestCommonAttributes shows that what BuildKit allows for every type is
// accepted for every type, and reported as without effect.
func TestCommonAttributes(t *testing.T) {
	m := all.Mux(all.Options{})
	var want []string
	for _, a := range backend.CommonAttrs() {
		want = append(want, a.Name)
	}
	slices.Sort(want)
	for _, d := range m.Drivers() {
		attrs := map[string]string{
			"mode": "max", "ignore-error": "true", "compression": "zstd", "compression-level": "3",
			"force-compression": "true", "oci-mediatypes": "true", "image-manifest": "true",
		}
		for _, a := range d.Attrs {
			if a.Required {
				attrs[a.Name] = "x"
			}
		}
		l, err := m.Make(d.Type, attrs)
		if err != nil {
			t.Errorf("Make(%s, %v) = %v, want a location", d.Type, attrs, err)
			continue
		}
		if diff := cmp.Diff(want, l.Inert()); diff != "" {
			t.Errorf("Inert() of type %s differs (-want +got):\n%s", d.Type, diff)
		}
	}
}

// TestMuxesAreApart shows that what one Mux holds in memory another does not.
func TestMuxesAreApart(t *testing.T) {
	doc := backend.Document{Data: []byte("{}")}
	open := func(m *backend.Mux) backend.Backend {
		l, err := m.Parse("mem://a")
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Open(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	m := all.Mux(all.Options{})
	if _, err := open(m).PutRef(t.Context(), "x", doc, backend.Always); err != nil {
		t.Fatalf("PutRef() = %v, want nil", err)
	}
	if _, err := open(m).GetRef(t.Context(), "x"); err != nil {
		t.Errorf("GetRef() = %v through the same Mux, want the document", err)
	}
	if _, err := open(all.Mux(all.Options{})).GetRef(t.Context(), "x"); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("GetRef() = %v through another Mux, want %v", err, backend.ErrNotFound)
	}
}

func ExampleMux() {
	mux := all.Mux(all.Options{Getenv: os.Getenv, Logger: slog.Default()})
	for _, text := range []string{"type=local,dest=/var/cache/app,tag=main;v1", "local:cache?tag=main", "./cache", "cache"} {
		location, err := mux.Parse(text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(location.Type(), location.Value("src"), location.Refs())
	}
	// Output:
	// local /var/cache/app [main v1]
	// local cache [main]
	// local ./cache [latest]
	// invalid location: want type=TYPE,key=value,..., a URL such as local:///dir, or a path that begins with ./ or / and has neither ? nor ,
}

// TestProvidersCredentials opens a registry of a cloud provider where only the
// provider's own credentials help: they are looked for if there is an
// environment, and not otherwise.
func TestProvidersCredentials(t *testing.T) {
	server := registrytest.New(t, registrytest.Options{TLS: true, Auth: &registrytest.Auth{
		Users: []registrytest.User{{Name: "oauth2accesstoken", Password: "token-of-the-machine"}},
	}})
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		fmt.Fprint(w, `{"access_token":"token-of-the-machine","expires_in":3599,"token_type":"Bearer"}`)
	}))
	defer metadata.Close()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("APPDATA", t.TempDir())
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(metadata.URL, "http://"))
	everywhere := server.Everywhere()
	defer everywhere.CloseIdleConnections()
	for name, test := range map[string]struct {
		getenv func(string) string
		want   error
	}{
		"with an environment":    {func(string) string { return "" }, backend.ErrNotFound},
		"without an environment": {nil, backend.ErrDenied},
	} {
		m := all.Mux(all.Options{Getenv: test.getenv, Transport: everywhere})
		l, err := m.Parse("europe-docker.pkg.dev/project/repository/cache")
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Open(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, test.want) {
			t.Errorf("%s: GetRef() = %v, want %v", name, err, test.want)
		}
		if err := b.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	}
}
