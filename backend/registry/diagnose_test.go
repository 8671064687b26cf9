package registry_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/registrytest"
)

// diagnosed returns "check: status" for each finding, and all of their text.
func diagnosed(ctx context.Context, b backend.Diagnoser, o backend.DiagnoseOptions) (brief []string, text string) {
	for f := range b.Diagnose(ctx, o) {
		brief = append(brief, fmt.Sprintf("%s: %s", f.Check, f.Status))
		text += f.Detail + "\n" + f.Remedy + "\n"
	}
	return brief, text
}

func TestDiagnose(t *testing.T) {
	users := []registrytest.User{{Name: "writer", Password: "w"}, {Name: "reader", Password: "r", ReadOnly: true}}
	sound := []string{"endpoint: ok", "clock: ok", "credentials: ok", "chunked uploads: ok", "ranges: ok", "mounts: ok"}
	but := func(changed ...string) []string {
		all := slices.Clone(sound)
		for _, c := range changed {
			check, _, _ := strings.Cut(c, ":")
			i := slices.IndexFunc(all, func(s string) bool { return strings.HasPrefix(s, check+":") })
			if i < 0 {
				all = append(all, c)
				continue
			}
			all[i] = c
		}
		return all
	}
	for _, tt := range []struct {
		name string
		is   registrytest.Options
		opts registry.Options
		want []string
		// text is a part of what is said.
		text string
	}{
		{"sound", registrytest.Options{}, registry.Options{}, sound, "it lets everybody in"},
		{"basic", registrytest.Options{Auth: &registrytest.Auth{Users: users}}, registry.Options{Keychain: login("writer", "w")}, sound, "wants basic authentication"},
		{"tokens", registrytest.Options{Auth: &registrytest.Auth{Tokens: true, Users: users}}, registry.Options{Keychain: login("writer", "w")}, sound, "wants tokens of http://"},
		{
			"a wrong password",
			registrytest.Options{Auth: &registrytest.Auth{Users: users}},
			registry.Options{Keychain: login("writer", "wrong")},
			[]string{"endpoint: ok", "clock: ok", "credentials: failed"},
			"credentials: the application's keychain",
		},
		{
			"a wrong password for tokens",
			registrytest.Options{Auth: &registrytest.Auth{Tokens: true, Users: users}},
			registry.Options{Keychain: login("writer", "wrong")},
			[]string{"endpoint: ok", "clock: ok", "credentials: failed"},
			"log in, for example by docker login",
		},
		{
			"rights to read",
			registrytest.Options{Auth: &registrytest.Auth{Users: users}},
			registry.Options{Keychain: login("reader", "r")},
			[]string{"endpoint: ok", "clock: ok", "credentials: ok"},
			"",
		},
		{"no ranges", registrytest.Options{Reads: registrytest.Reads{IgnoreRange: true}}, registry.Options{}, but("ranges: warning"), "an interrupted download begins anew"},
		{"redirects", registrytest.Options{Reads: registrytest.Reads{RedirectBlobs: true}}, registry.Options{}, sound, "where the registry keeps blobs,"},
		{"no mounts", registrytest.Options{Uploads: registrytest.Uploads{NoMount: true}}, registry.Options{}, but("mounts: note"), "move all bytes"},
		{"no chunks", registrytest.Options{Uploads: registrytest.Uploads{MonolithicOnly: true}}, registry.Options{}, but("chunked uploads: note"), "not possible"},
		{
			"no chunks, but asked for",
			registrytest.Options{Uploads: registrytest.Uploads{MonolithicOnly: true}},
			registry.Options{ChunkSize: 1 << 20},
			but("chunked uploads: failed"), "leave out chunk-size",
		},
		{"no deletion", registrytest.Options{Manifests: registrytest.Manifests{NoDelete: true}}, registry.Options{}, but("deletion: note"), "stays, which nothing refers to"},
		{"no deletion, as declared", registrytest.Options{}, registry.Options{NoDelete: true}, but("deletion: note"), "beside the registry protocol"},
		{
			"a clock that is wrong",
			registrytest.Options{},
			registry.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }},
			but("clock: warning"), "behind the store's",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := registrytest.New(t, tt.is)
			b := open(t, s.Host+"/a", tt.opts)
			got, text := diagnosed(t.Context(), b, backend.DiagnoseOptions{})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Diagnose() (-want +got):\n%s\n%s", diff, text)
			}
			if !strings.Contains(text, tt.text) {
				t.Errorf("Diagnose() says\n%s\nwant %q in it", text, tt.text)
			}
			left := s.Blobs("a")
			said := slices.Contains(got, "deletion: note")
			if (len(left) > 0) != said || s.Uploads("a") > 0 {
				t.Errorf("Diagnose() has left %v and %d uploads, and said so: %v", left, s.Uploads("a"), said)
			}
		})
	}
}

func TestDiagnoseCertificates(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{TLS: true})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA())
	for _, tt := range []struct {
		name string
		opts registry.Options
		want string
		text string
	}{
		{"known", registry.Options{RootCAs: pool}, "endpoint: ok", "TLS 1.3"},
		{"unknown", registry.Options{}, "endpoint: failed", "by the attribute ca"},
		{"not verified", registry.Options{Insecure: true}, "endpoint: warning", "not verified"},
	} {
		got, text := diagnosed(t.Context(), open(t, s.Host+"/a", tt.opts), backend.DiagnoseOptions{})
		if got[0] != tt.want || !strings.Contains(text, tt.text) {
			t.Errorf("%s: Diagnose() = %q, want %q first, and %q in\n%s", tt.name, got, tt.want, tt.text, text)
		}
		if failed := strings.HasSuffix(tt.want, "failed"); failed && len(got) > 1 {
			t.Errorf("%s: Diagnose() = %q, want no more after a failure to connect", tt.name, got)
		}
	}
}

func TestDiagnoseOfNoRegistry(t *testing.T) {
	s := registrytest.Start(registrytest.Options{})
	s.Close()
	got, text := diagnosed(t.Context(), open(t, s.Host+"/a", registry.Options{}), backend.DiagnoseOptions{})
	if !slices.Equal(got, []string{"endpoint: failed"}) || !strings.Contains(text, "check the host's name") {
		t.Errorf("Diagnose() = %q, want an endpoint that failed:\n%s", got, text)
	}
}

func TestDiagnoseReadOnly(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	config, layer := s.PutBlob("a", []byte("{}\n")), s.PutBlob("a", []byte("a layer"))
	s.PutManifest("a", "main", "application/vnd.oci.image.manifest.v1+json", fmt.Appendf(nil,
		`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":3},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":7}]}`, config, layer))
	for ref, want := range map[string][]string{
		"main": {"endpoint: ok", "clock: ok", "credentials: ok", "ranges: ok"},
		"none": {"endpoint: ok", "clock: ok", "credentials: ok"},
	} {
		got, text := diagnosed(t.Context(), open(t, s.Host+"/a", registry.Options{}), backend.DiagnoseOptions{ReadOnly: true, Refs: []string{ref}})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Diagnose(%s) (-want +got):\n%s\n%s", ref, diff, text)
		}
	}
	for _, r := range s.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("Diagnose() has sent %s %s, want nothing that writes", r.Method, r.Path)
		}
	}
}

// TestDiagnoseCleansUp stops ranging, or ends the context, at each finding.
func TestDiagnoseCleansUp(t *testing.T) {
	for n := 1; n <= 6; n++ {
		for _, how := range []string{"break", "cancel"} {
			s := registrytest.New(t, registrytest.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			seen := 0
			for range open(t, s.Host+"/a", registry.Options{}).Diagnose(ctx, backend.DiagnoseOptions{}) {
				if seen++; seen == n && how == "break" {
					break
				} else if seen == n {
					cancel()
				}
			}
			cancel()
			if left := s.Blobs("a"); len(left) > 0 {
				t.Errorf("%s after finding %d: Diagnose() has left %v", how, n, left)
			}
		}
	}
}

func TestDiagnoseOfAClosedBackend(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	b := open(t, s.Host+"/a", registry.Options{})
	_ = b.Close()
	if got, _ := diagnosed(t.Context(), b, backend.DiagnoseOptions{}); !slices.Equal(got, []string{"endpoint: failed"}) {
		t.Errorf("Diagnose() after Close = %q, want a failure", got)
	}
}

// TestDeleteOfManifests shows that documents are removed by their digest, as
// blobs are.
func TestDeleteOfManifests(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	b := open(t, s.Host+"/a", registry.Options{})
	config := []byte("{}\n")
	desc := blob.Describe("", config)
	if err := b.Put(t.Context(), desc, blob.Bytes(config)); err != nil {
		t.Fatal(err)
	}
	doc := backend.Document{
		MediaType: "application/vnd.oci.image.manifest.v1+json",
		Data:      fmt.Appendf(nil, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":3},"layers":[]}`, desc.Digest),
	}
	version, err := b.PutRef(t.Context(), "main", doc, backend.Always)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), blob.Digest(version), desc.Digest); err != nil {
		t.Errorf("Delete(manifest, blob) = %v, want nil", err)
	}
	if _, err := b.GetRef(t.Context(), string(version)); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("GetRef(%s) after Delete = %v, want ErrNotFound", version, err)
	}
	if left := s.Blobs("a"); len(left) > 0 {
		t.Errorf("Delete() has left %v", left)
	}
}
