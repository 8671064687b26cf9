package registry_test

import (
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/internal/registrytest"
)

func mux() *backend.Mux {
	m := &backend.Mux{}
	m.Register(registry.Driver())
	return m
}

var someDigest = "sha256:" + strings.Repeat("0123456789abcdef", 4)

func TestLocations(t *testing.T) {
	for _, test := range []struct {
		name, text string
		refs       []string
		place      string // the location without refs
		url        string
	}{
		{"buildkit", "type=registry,ref=ghcr.io/org/app:main", []string{"main"}, "type=registry,ref=ghcr.io/org/app", "registry://ghcr.io/org/app:main"},
		{"default", "type=registry,ref=ghcr.io/org/app", []string{"latest"}, "type=registry,ref=ghcr.io/org/app", "registry://ghcr.io/org/app"},
		{"several", "type=registry,ref=ghcr.io/org/app:main;v1", []string{"main", "v1"}, "type=registry,ref=ghcr.io/org/app", "registry://ghcr.io/org/app:main;v1"},
		{"digest", "type=registry,ref=ghcr.io/org/app@" + someDigest, []string{someDigest}, "type=registry,ref=ghcr.io/org/app", "registry://ghcr.io/org/app@" + someDigest},
		{"tag and digest", "type=registry,ref=ghcr.io/org/app:v1@" + someDigest, []string{someDigest}, "type=registry,ref=ghcr.io/org/app", "registry://ghcr.io/org/app:v1@" + someDigest},
		{"port", "type=registry,ref=localhost:5000/app:main,registry.insecure=true", []string{"main"}, "type=registry,ref=localhost:5000/app,registry.insecure=true", "registry://localhost:5000/app:main?registry.insecure=true"},
		{"port without tag", "localhost:5000/a/b", []string{"latest"}, "type=registry,ref=localhost:5000/a/b", "registry://localhost:5000/a/b"},
		{"bare", "ghcr.io/org/app:main", []string{"main"}, "type=registry,ref=ghcr.io/org/app", "registry://ghcr.io/org/app:main"},
		{"bare digest", "ghcr.io/org/app@" + someDigest, []string{someDigest}, "type=registry,ref=ghcr.io/org/app", "registry://ghcr.io/org/app@" + someDigest},
		{"url", "registry://ghcr.io/org/app:main?mode=max", []string{"main"}, "type=registry,ref=ghcr.io/org/app,mode=max", "registry://ghcr.io/org/app:main?mode=max"},
		{"hub", "type=registry,ref=user/app:main", []string{"main"}, "type=registry,ref=user/app", "registry://user/app:main"},
		{"official", "type=registry,ref=app:main", []string{"main"}, "type=registry,ref=app", ""},
		{"IPv6", "type=registry,ref=[::1]:5000/app:main", []string{"main"}, "type=registry,ref=[::1]:5000/app", "registry://[::1]:5000/app:main"},
		{"options", "type=registry,ref=h.io/a,ca=/ca.pem,chunk-size=4096,delete=false", []string{"latest"}, "type=registry,ref=h.io/a,ca=/ca.pem,chunk-size=4096,delete=false", "registry://h.io/a?ca=/ca.pem&chunk-size=4096&delete=false"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := mux().Parse(test.text)
			if err != nil {
				t.Fatalf("Parse(%s) = %v, want a location", test.text, err)
			}
			if !slices.Equal(l.Refs(), test.refs) {
				t.Errorf("Parse(%s).Refs() = %q, want %q", test.text, l.Refs(), test.refs)
			}
			if got := l.WithRef().String(); got != test.place {
				t.Errorf("Parse(%s).WithRef() = %s, want %s", test.text, got, test.place)
			}
			if got := l.URL(); test.url != "" && got != test.url {
				t.Errorf("Parse(%s).URL() = %s, want %s", test.text, got, test.url)
			}
			for _, text := range []string{l.String(), l.URL()} {
				again, err := mux().Parse(text)
				if err != nil || !again.Equal(l) {
					t.Errorf("Parse(%s) = %v, %v, want what it was printed from, %s", text, again, err, l)
				}
			}
		})
	}
}

func TestLocationsWithOtherRefs(t *testing.T) {
	for _, text := range []string{"localhost:5000/a/b:old", "localhost:5000/a/b", "localhost:5000/a/b@" + someDigest} {
		l, err := mux().Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, refs := range [][]string{{"main"}, {"main", "v1"}, {someDigest}} {
			separator := ":"
			if refs[0] == someDigest {
				separator = "@"
			}
			got := l.WithRef(refs...)
			if want := "type=registry,ref=localhost:5000/a/b" + separator + strings.Join(refs, ";"); got.String() != want || !slices.Equal(got.Refs(), refs) {
				t.Errorf("Parse(%s).WithRef(%q) = %s, want %s", text, refs, got, want)
			}
			if err := got.Check(); err != nil {
				t.Errorf("Parse(%s).WithRef(%q).Check() = %v, want nil", text, refs, err)
			}
		}
		if err := l.WithRef("no/tag").Check(); !errors.Is(err, backend.ErrInvalid) {
			t.Errorf("Parse(%s).WithRef(no/tag).Check() = %v, want %v", text, err, backend.ErrInvalid)
		}
	}
}

func TestMalformedLocations(t *testing.T) {
	for _, text := range []string{
		"type=registry", "type=registry,ref=", "type=registry,ref=ghcr.io/", "type=registry,ref=ghcr.io/Org/App",
		"type=registry,ref=https://ghcr.io/org/app", "type=registry,ref=ghcr.io/org/app:", "type=registry,ref=ghcr.io/org/app:-x",
		"type=registry,ref=ghcr.io/org/app:a/b", "type=registry,ref=ghcr.io/org/app@sha256:123", "type=registry,ref=ghcr.io//app",
		"type=registry,ref=ghcr.io/org/app:a;a", "type=registry,ref=ghcr.io/org/app/", "type=registry,ref=ghcr.io/../app",
		"type=registry,ref=user:password@ghcr.io/org/app", "registry://user:password@ghcr.io/org/app", "registry://",
		"type=registry,ref=ghcr.io/org/app:" + strings.Repeat("x", 129), "type=registry,ref=ghcr.io/app,registry.insecure=perhaps",
		"type=registry,ref=gh cr.io/org/app", "type=registry,ref=ghcr.io:port/org/app",
	} {
		if l, err := mux().Parse(text); !errors.Is(err, backend.ErrInvalid) {
			t.Errorf("Parse(%s) = %v, %v, want %v", text, l, err, backend.ErrInvalid)
		}
	}
}

func TestBareLeavesOthersAlone(t *testing.T) {
	bare := registry.Driver().Bare
	for _, text := range []string{
		"./dir", "../dir/x", "/dir/x", "dir", "dir/sub", "app:main", "a=b", "type=registry,ref=ghcr.io/a/b",
		"ghcr.io", "ghcr.io/Org", "ghcr.io/a?b", "s3://bucket/x", "local:cache", `C:\dir`, "C:/dir/x.y", "",
	} {
		if _, ok := bare(text); ok {
			t.Errorf("Bare(%q) = true, want false", text)
		}
	}
}

func TestOpenMalformed(t *testing.T) {
	for _, repository := range []string{"", "ghcr.io/A", "ghcr.io/a:tag", "ghcr.io/a@" + someDigest, "http://ghcr.io/a"} {
		if _, err := registry.Open(t.Context(), repository, registry.Options{}); !errors.Is(err, backend.ErrInvalid) {
			t.Errorf("Open(%q) = %v, want %v", repository, err, backend.ErrInvalid)
		}
	}
	for _, size := range []int64{-1, 1} {
		if _, err := registry.Open(t.Context(), "h.io/a", registry.Options{ChunkSize: size}); !errors.Is(err, backend.ErrInvalid) {
			t.Errorf("Open(chunk size %d) = %v, want %v", size, err, backend.ErrInvalid)
		}
	}
}

func TestInfo(t *testing.T) {
	for _, test := range []struct {
		repository string
		opts       registry.Options
		deletes    bool
	}{
		{"h.io/a", registry.Options{}, true},
		{"h.io/a", registry.Options{NoDelete: true}, false},
		{"ghcr.io/a/b", registry.Options{}, false},
		{"docker.io/a/b", registry.Options{}, false},
		{"a/b", registry.Options{}, false},
	} {
		info := open(t, test.repository, test.opts).Info()
		if info.Capabilities.DeleteBlobs != test.deletes || info.Capabilities.DeleteRef != test.deletes {
			t.Errorf("Open(%s, %+v).Info() = %+v, want deletes %t", test.repository, test.opts, info, test.deletes)
		}
		if want := "type=registry,ref=" + test.repository; info.Location != want {
			t.Errorf("Open(%s).Info().Location = %s, want %s", test.repository, info.Location, want)
		}
	}
}

// TestCertificates opens a registry whose certificate nobody knows.
func TestCertificates(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{TLS: true})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, pem.EncodeToMemory(&pem.Block{Type: "NOTHING"}), 0o600); err != nil {
		t.Fatal(err)
	}
	place := "type=registry,ref=" + s.Host + "/a/b"
	for _, test := range []struct {
		name, text string
		want       error // of GetRef
	}{
		{"unknown", place, backend.ErrUnavailable},
		{"known", place + ",ca=" + ca, backend.ErrNotFound},
		{"insecure", place + ",registry.insecure=true", backend.ErrNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := mux().Parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			b, err := mux().Open(t.Context(), l)
			if err != nil {
				t.Fatalf("Open(%s) = %v, want a backend", test.text, err)
			}
			defer b.Close()
			if _, err := b.GetRef(t.Context(), "latest"); !errors.Is(err, test.want) {
				t.Errorf("GetRef() = %v, want %v", err, test.want)
			} else if _, temporary := backend.Temporary(err); temporary {
				t.Errorf("Temporary(%v) = true, want false", err)
			}
		})
	}
	for _, file := range []string{empty, ca + ".missing"} {
		l, err := mux().Parse(place + ",ca=" + file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mux().Open(t.Context(), l); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("Open(ca=%s) = %v, want an error that names it", file, err)
		}
	}
}

// plain is a network in which every host speaks plain HTTP.
type plain struct{ addr string }

func (p plain) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "https" {
		return nil, errors.New("no TLS here")
	}
	req = req.Clone(req.Context())
	req.Host, req.URL.Host = req.URL.Host, p.addr
	return http.DefaultTransport.RoundTrip(req)
}

// TestPlainHTTP shows for which hosts it is used without being asked for.
func TestPlainHTTP(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	for _, test := range []struct {
		host     string
		insecure bool
		want     error // of GetRef
	}{
		{"127.0.0.1:5000", false, backend.ErrNotFound},
		{"localhost:5000", false, backend.ErrNotFound},
		{"[::1]:5000", false, backend.ErrNotFound},
		{"registry.localhost:5000", false, backend.ErrNotFound},
		{"192.168.0.1:5000", false, backend.ErrUnavailable},
		{"10.0.0.1", false, backend.ErrUnavailable},
		{"h.io", false, backend.ErrUnavailable},
		{"192.168.0.1:5000", true, backend.ErrNotFound},
		{"h.io", true, backend.ErrNotFound},
	} {
		b := open(t, test.host+"/a/b", registry.Options{Insecure: test.insecure, Transport: plain{s.Host}})
		if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, test.want) {
			t.Errorf("GetRef() at %s, insecure %t = %v, want %v", test.host, test.insecure, err, test.want)
		}
	}
}

// TestDriverWith shows that a location comes before what the application says.
func TestDriverWith(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Users: accounts}})
	m := &backend.Mux{}
	m.Register(registry.DriverWith(registry.Options{Keychain: login("writer", "s3cret-of-writer"), NoDelete: true}))
	for attrs, deletes := range map[string]bool{"": false, ",delete=true": true} {
		l, err := m.Parse("type=registry,ref=" + s.Host + "/a/b:main" + attrs)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Open(t.Context(), l)
		if err != nil {
			t.Fatalf("Open(%s) = %v, want a backend", l, err)
		}
		t.Cleanup(func() { _ = b.Close() })
		put(t, b, content(1, 10))
		if got := b.Info().Capabilities.DeleteRef; got != deletes {
			t.Errorf("Open(%s).Info() = deletes %t, want %t", l, got, deletes)
		}
	}
}
