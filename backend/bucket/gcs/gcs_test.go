package gcs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket/gcs"
	"github.com/larder-build/larder/internal/gcstest"
)

// fake returns a server with one bucket and options that reach it.
func fake(tb testing.TB, o gcstest.Options) (*gcstest.Server, gcs.Options) {
	tb.Helper()
	o.Buckets = []string{"caches"}
	s := gcstest.New(tb, o)
	return s, gcs.Options{Bucket: "caches", Anonymous: true, Transport: s.Transport()}
}

func mux() *backend.Mux {
	m := &backend.Mux{}
	m.Register(gcs.Driver())
	return m
}

func TestLocations(t *testing.T) {
	for _, tt := range []struct{ name, text, want, url string }{
		{"attributes", "type=gs,bucket=b,prefix=p/,name=main", "type=gs,bucket=b,prefix=p/,name=main", "gs://b/p/?name=main"},
		{"URL", "gs://b/p/q?name=a;b", "type=gs,bucket=b,prefix=p/q,name=a;b", "gs://b/p/q?name=a%3Bb"},
		{"emulator", "type=gs,bucket=b,endpoint_url=127.0.0.1:4443", "type=gs,bucket=b,endpoint_url=127.0.0.1:4443", "gs://b?endpoint_url=127.0.0.1%3A4443"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := mux().Parse(tt.text)
			if err != nil || l.String() != tt.want {
				t.Fatalf("Parse(%s) = %v, %v, want %s", tt.text, l, err, tt.want)
			}
			again, err := mux().Parse(l.URL())
			if err != nil || !again.Equal(l) {
				t.Errorf("Parse(%s) = %v, %v, want %v", l.URL(), again, err, l)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	s, _ := fake(t, gcstest.Options{})
	m := mux()
	m.Options.Getenv = func(name string) string {
		return map[string]string{"STORAGE_EMULATOR_HOST": strings.TrimPrefix(s.URL, "http://")}[name]
	}
	l, err := m.Parse("gs://caches")
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("GetRef() = %v, want %v of the emulator", err, backend.ErrNotFound)
	}
	if got := s.Requests(); len(got) != 1 {
		t.Errorf("requests = %v, want one", got)
	}
}

// TestBadInput names the setting at fault.
func TestBadInput(t *testing.T) {
	notJSON := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(notJSON, []byte("secret=canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		want       error
		tells      string
	}{
		{"no bucket", "type=gs,name=main", backend.ErrInvalid, "bucket"},
		{"prefix in the bucket", "type=gs,bucket=b/p", backend.ErrInvalid, "bucket"},
		{"unknown attribute", "type=gs,bucket=b,region=eu", backend.ErrInvalid, "region"},
		{"endpoint without a host", "type=gs,bucket=b,endpoint_url=https://", backend.ErrInvalid, "endpoint_url"},
		{"endpoint with a path", "type=gs,bucket=b,endpoint_url=https://host/storage/v1", backend.ErrInvalid, "endpoint_url"},
		{"endpoint with a password", "type=gs,bucket=b,endpoint_url=https://u:canary@host", backend.ErrInvalid, "endpoint_url"},
		{"endpoint of another scheme", "type=gs,bucket=b,endpoint_url=ftp://host", backend.ErrInvalid, "endpoint_url"},
		{"anonymous perhaps", "type=gs,bucket=b,anonymous=perhaps", backend.ErrInvalid, "anonymous"},
		{"no file of credentials", "type=gs,bucket=b,credentials_file=/nowhere/c.json", fs.ErrNotExist, "credentials_file"},
		{"file of no credentials", "type=gs,bucket=b,credentials_file=" + filepath.ToSlash(notJSON), backend.ErrInvalid, "credentials_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := mux().Parse(tt.text)
			if err == nil {
				_, err = mux().Open(t.Context(), l)
			}
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.tells) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s = %v, want %v that tells of %s", tt.text, err, tt.want, tt.tells)
			}
		})
	}
	if _, err := gcs.Open(t.Context(), gcs.Options{}); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("Open() of no bucket = %v, want %v", err, backend.ErrInvalid)
	}
}
