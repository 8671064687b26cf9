package azblob_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/internal/azuretest"
)

func mux() *backend.Mux {
	m := &backend.Mux{}
	m.Register(azblob.Driver())
	return m
}

func TestLocations(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		refs       []string
		place      string // the location without refs
		url        string
	}{
		{
			"buildkit", "type=azblob,account_url=https://acme.blob.core.windows.net,container=cache,name=main,mode=max",
			[]string{"main"},
			"type=azblob,account_url=https://acme.blob.core.windows.net,container=cache,mode=max", "azblob://acme.blob.core.windows.net/cache?name=main&mode=max",
		},
		{
			"defaults", "type=azblob,account_url=https://acme.blob.core.windows.net",
			[]string{"buildkit"},
			"type=azblob,account_url=https://acme.blob.core.windows.net", "azblob://acme.blob.core.windows.net",
		},
		{
			"several", "azblob://acme.blob.core.windows.net/cache?name=a;b",
			[]string{"a", "b"},
			"type=azblob,account_url=https://acme.blob.core.windows.net,container=cache", "azblob://acme.blob.core.windows.net/cache?name=a;b",
		},
		{
			"prefix", "azblob://acme.blob.core.windows.net/cache/team/a?name=main",
			[]string{"main"},
			"type=azblob,account_url=https://acme.blob.core.windows.net,container=cache,prefix=team/a", "azblob://acme.blob.core.windows.net/cache/team/a?name=main",
		},
		{
			"prefix that a path cannot have", "type=azblob,account_url=https://acme.blob.core.windows.net,container=cache,prefix=/a/",
			[]string{"buildkit"},
			"type=azblob,account_url=https://acme.blob.core.windows.net,container=cache,prefix=/a/", "azblob://acme.blob.core.windows.net/cache?prefix=/a/",
		},
		{
			"prefix without container", "type=azblob,account_url=https://acme.blob.core.windows.net,prefix=a",
			[]string{"buildkit"},
			"type=azblob,account_url=https://acme.blob.core.windows.net,prefix=a", "azblob://acme.blob.core.windows.net?prefix=a",
		},
		{
			"container first, as gocloud.dev has it", "azblob://cache/team?name=main",
			[]string{"main"},
			"type=azblob,container=cache,prefix=team", "azblob://cache/team?name=main",
		},
		{
			"emulator", "type=azblob,account_url=http://127.0.0.1:10000/devstoreaccount1,account_name=devstoreaccount1,container=cache,name=main",
			[]string{"main"},
			"type=azblob,account_url=http://127.0.0.1:10000/devstoreaccount1,account_name=devstoreaccount1,container=cache", "azblob://cache?account_url=http://127.0.0.1:10000/devstoreaccount1&account_name=devstoreaccount1&name=main",
		},
		{
			"options", "type=azblob,account_url=https://acme.blob.core.windows.net,manifests_prefix=m,blobs_prefix=b,create_container=true,touch_refresh=1h",
			[]string{"buildkit"},
			"type=azblob,account_url=https://acme.blob.core.windows.net,manifests_prefix=m,blobs_prefix=b,create_container=true,touch_refresh=1h", "azblob://acme.blob.core.windows.net?manifests_prefix=m&blobs_prefix=b&create_container=true&touch_refresh=1h",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := mux().Parse(tt.text)
			if err != nil {
				t.Fatalf("Parse(%s) = %v, want a location", tt.text, err)
			}
			if !slices.Equal(l.Refs(), tt.refs) {
				t.Errorf("Refs() = %q, want %q", l.Refs(), tt.refs)
			}
			if got := l.WithRef().String(); got != tt.place {
				t.Errorf("WithRef() = %s, want %s", got, tt.place)
			}
			if got := l.URL(); got != tt.url {
				t.Errorf("URL() = %s, want %s", got, tt.url)
			}
			for _, text := range []string{l.String(), l.URL()} {
				if again, err := mux().Parse(text); err != nil || !again.Equal(l) {
					t.Errorf("Parse(%s) = %v, %v, want %v", text, again, err, l)
				}
			}
		})
	}
}

func TestMalformedLocations(t *testing.T) {
	for text, want := range map[string]string{
		"type=azblob,account_url=acme.blob.core.windows.net":             "account_url",
		"type=azblob,account_url=https://u:p@acme.blob.core.windows.net": "account_url",
		"type=azblob,account_url=https://a.net,container=Big":            "container",
		"type=azblob,account_url=https://a.net,prefix=a\\b":              "prefix",
		"type=azblob,account_url=https://a.net,sas_token=abc":            "sas_token",
		"type=azblob,account_url=https://a.net,connection_string=abc":    "connection_string",
		"type=azblob,account_url=https://a.net,create_container=yes":     "create_container",
		"type=azblob,account_url=https://a.net,touch_refresh=soon":       "touch_refresh",
		"type=azblob,account_url=https://a.net,name=a.":                  "ref name",
		"type=azblob,account_url=https://a.net,secret_acces_key=abc":     "did you mean secret_access_key",
		"type=azblob,account_url=https://a.net,use_path_style=true":      "use_path_style",
		"azblob:cache": "azblob://",
	} {
		_, err := mux().Parse(text)
		if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "abc") {
			t.Errorf("Parse(%s) = %v, want %v that names %s", text, err, backend.ErrInvalid, want)
		}
	}
}

// TestLocationsHideSecrets shows that credentials are printed on express demand
// alone.
func TestLocationsHideSecrets(t *testing.T) {
	for key, secret := range map[string]string{
		"secret_access_key": "czNjcmV0czNjcmV0",
		"sas_token":         "sv=1&sig=czNjcmV0czNjcmV0",
		"connection_string": "AccountName=a;AccountKey=czNjcmV0czNjcmV0",
	} {
		l, err := mux().Make("azblob", map[string]string{"account_url": "https://acme.blob.core.windows.net", key: secret})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{l.String(), l.URL(), fmt.Sprintf("%v %+v %#v", l, l, l)} {
			if strings.Contains(text, "czNjcmV0") {
				t.Errorf("%s has the secret of %s in it", text, key)
			}
		}
		if again, err := mux().Parse(l.Reveal()); err != nil || !again.Equal(l) {
			t.Errorf("Parse(Reveal()) = %v, %v, want the same location", again, err)
		}
	}
}

// TestOpenLocations opens locations with what the environment adds, and stores
// under BuildKit's keys.
func TestOpenLocations(t *testing.T) {
	s := azuretest.New(t, azuretest.Options{Containers: []string{"cache", "buildkit-cache"}})
	key := "secret_access_key=" + azuretest.Key
	env := map[string]string{
		"BUILDKIT_AZURE_STORAGE_ACCOUNT_URL": s.URL, "BUILDKIT_AZURE_STORAGE_ACCOUNT_NAME": azuretest.Account,
		"BUILDKIT_AZURE_STORAGE_CONTAINER": "cache", "BUILDKIT_AZURE_STORAGE_PREFIX": "env",
	}
	at := "type=azblob,account_url=" + s.URL + "," + key
	for _, tt := range []struct {
		name, text string
		env        map[string]string
		key        string // container/name
	}{
		{"defaults", at, nil, "buildkit-cache/manifests/main"},
		{"container", at + ",container=cache", nil, "cache/manifests/main"},
		{"prefix", at + ",container=cache,prefix=p1", nil, "cache/p1/manifests/main"},
		{"prefixes", at + ",container=cache,prefix=p1,manifests_prefix=mm", nil, "cache/p1/mm/main"},
		{"cleaned", at + ",container=cache,prefix=./a//b/../c/,manifests_prefix=mm/", nil, "cache/a/c/mm/main"},
		{"prefixes of nothing", at + ",container=cache,manifests_prefix=,blobs_prefix=", nil, "cache/main"},
		{"no prefix in spite of the environment", "type=azblob,prefix=," + key, env, "cache/manifests/main"},
		{"environment", "type=azblob," + key, env, "cache/env/manifests/main"},
		{"before the environment", "type=azblob,container=buildkit-cache,prefix=own," + key, env, "buildkit-cache/own/manifests/main"},
		{"created", at + ",container=made,create_container=true", nil, "made/manifests/main"},
		{"created again", at + ",container=made,create_container=true,prefix=x", nil, "made/x/manifests/main"},
		{"connection string", "type=azblob,container=cache,prefix=cs,connection_string=" + connectionString(s, "AccountKey="+azuretest.Key), nil, "cache/cs/manifests/main"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mux()
			m.Options.Getenv = func(name string) string { return tt.env[name] }
			l, err := m.Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			b, err := m.Open(t.Context(), l)
			if err != nil {
				t.Fatalf("Open() = %v, want a backend", err)
			}
			t.Cleanup(func() { _ = b.Close() })
			if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte(tt.name)}, backend.Always); err != nil {
				t.Fatal(err)
			}
			container, name, _ := strings.Cut(tt.key, "/")
			if got, _ := s.Get(container, name); string(got) != tt.name {
				t.Errorf("%s holds %q, want %q; the container has %q", tt.key, got, tt.name, s.Names(container))
			}
			data := content(1, 100)
			put(t, b, data)
			blobKey := strings.Replace(strings.TrimSuffix(name, "main"), "mm", "manifests", 1)
			blobKey = strings.Replace(blobKey, "manifests", "blobs", 1) + describe(data).Digest.String()
			if _, ok := s.Get(container, blobKey); !ok {
				t.Errorf("there is no blob %s; the container has %q", blobKey, s.Names(container))
			}
		})
	}
}

// TestMissingAccount shows what is said if nobody says which account.
func TestMissingAccount(t *testing.T) {
	l, err := mux().Parse("type=azblob,name=main")
	if err != nil {
		t.Fatal(err)
	}
	_, err = mux().Open(t.Context(), l)
	if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), "attribute account_url is missing") {
		t.Errorf("Open(no account) = %v, want %v that names account_url", err, backend.ErrInvalid)
	}
}

func TestInfo(t *testing.T) {
	b := open(t, azblob.Options{AccountURL: "https://acme.blob.core.windows.net", AccountKey: azuretest.Key, Container: "cache", Prefix: "p", BlobsPrefix: new("bb")})
	want := backend.Info{
		Driver: "azblob", Location: "type=azblob,account_url=https://acme.blob.core.windows.net,container=cache,prefix=p,blobs_prefix=bb", Encoding: "flat",
		Capabilities: backend.Capabilities{
			CreateRef: true, ReplaceRef: true, DeleteRef: true, ConditionalDeleteRef: true, ListRefs: true, DeleteBlobs: true, ListBlobs: true, BlobAges: true,
		},
	}
	if diff := cmp.Diff(want, b.Info()); diff != "" {
		t.Errorf("Info() differs (-want +got):\n%s", diff)
	}
}

// TestDriverWith shows that an application's credentials are used, unless the
// location has some.
func TestDriverWith(t *testing.T) {
	s, opts := secure(t, "good")
	m := &backend.Mux{Options: backend.OpenOptions{Transport: opts.Transport}}
	m.Register(azblob.DriverWith(azblob.Options{Credential: &tokens{list: []string{"good"}}}))
	for text, want := range map[string]error{
		"type=azblob,container=cache,account_url=" + s.URL:                                      nil,
		"type=azblob,container=cache,secret_access_key=d3Jvbmc=,account_url=" + s.URL:           backend.ErrDenied,
		"type=azblob,container=cache,account_url=" + strings.Replace(s.URL, "https", "http", 1): backend.ErrInvalid,
	} {
		l, err := m.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Open(t.Context(), l)
		if err == nil {
			t.Cleanup(func() { _ = b.Close() })
			err = putRef(t.Context(), b)
		}
		if !errors.Is(err, want) {
			t.Errorf("PutRef() at %v = %v, want %v", l, err, want)
		}
	}
}

// TestTransportIsUsed shows that no request goes around the application's
// transport.
func TestTransportIsUsed(t *testing.T) {
	_, opts := fake(t, azuretest.Options{})
	cause := errors.New("no way out")
	opts.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, cause })
	if err := putRef(t.Context(), open(t, opts)); !errors.Is(err, cause) {
		t.Errorf("PutRef() = %v, want %v", err, cause)
	}
}
