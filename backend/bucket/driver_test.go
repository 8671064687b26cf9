package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket"
	larderblob "github.com/larder-build/larder/blob"
)

// opener opens buckets of a service that this module does not know.
type opener func(u *url.URL) (*blob.Bucket, error)

// OpenBucketURL implements [blob.BucketURLOpener].
func (o opener) OpenBucketURL(_ context.Context, u *url.URL) (*blob.Bucket, error) { return o(u) }

// mux returns a Mux with the locations of files, of memory, and of a service
// whose locations open is given.
func mux(open opener) *backend.Mux {
	urls := new(blob.URLMux)
	urls.RegisterBucket("file", &fileblob.URLOpener{})
	urls.RegisterBucket("mem", &memblob.URLOpener{})
	urls.RegisterBucket("ftp", open)
	m := &backend.Mux{}
	m.Register(bucket.Driver(urls, bucket.Files()))
	m.Register(bucket.Driver(urls, bucket.Memory()))
	m.Register(bucket.Driver(urls, bucket.Scheme{Type: "ftp", Params: []backend.Attr{{Name: "user"}, {Name: "password", Secret: true}}}))
	return m
}

func nobody(*url.URL) (*blob.Bucket, error) { return nil, errors.New("nobody is there") }

func TestLocations(t *testing.T) {
	for _, tt := range []struct{ name, text, want, url string }{
		{"file", "type=file,bucket=/var/cache,name=main", "type=file,bucket=/var/cache,name=main", "file:/var/cache?name=main"},
		{"file URL", "file:///var/cache?create_dir=true", "type=file,bucket=/var/cache,create_dir=true", "file:/var/cache?create_dir=true"},
		{"file with a prefix", "file:///c?prefix=p/", "type=file,bucket=/c,prefix=p/", "file:/c?prefix=p%2F"},
		{"memory", "mem://?name=a;b", "type=mem,name=a;b", "mem:?name=a%3Bb"},
		{"another service", "ftp://b/p/q/?user=u", "type=ftp,bucket=b,prefix=p/q/,user=u", "ftp://b/p/q/?user=u"},
		{"all prefixes", "type=ftp,bucket=b,manifests_prefix=m/,blobs_prefix=b/,touch_refresh=1h", "type=ftp,bucket=b,manifests_prefix=m/,blobs_prefix=b/,touch_refresh=1h", "ftp://b?blobs_prefix=b%2F&manifests_prefix=m%2F&touch_refresh=1h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mux(nobody)
			l, err := m.Parse(tt.text)
			if err != nil {
				t.Fatalf("Parse(%s) = %v, want a location", tt.text, err)
			}
			if got := l.String(); got != tt.want {
				t.Errorf("String() = %s, want %s", got, tt.want)
			}
			again, err := m.Parse(l.URL())
			if err != nil || !again.Equal(l) {
				t.Errorf("Parse(%s) = %v, %v, want %v", l.URL(), again, err, l)
			}
		})
	}
}

func TestBadLocations(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no bucket", "type=ftp,name=main", "bucket"},
		{"no directory", "type=file,name=main", "bucket"},
		{"unknown attribute", "type=file,bucket=/c,region=r", "region"},
		{"parameter of gocloud.dev that is ours to choose", "file:///c?metadata=skip", "metadata"},
		{"host of a file", "file://c/d", "want no host"},
		{"name in memory", "mem://b", "want no bucket"},
		{"opaque", "ftp:b", "want ftp://"},
		{"prefix in the bucket", "type=ftp,bucket=b/p", "bucket"},
		{"bad duration", "type=ftp,bucket=b,touch_refresh=soon", "touch_refresh"},
		{"bad name", "type=ftp,bucket=b,name=../x", `".."`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mux(nobody).Parse(tt.text)
			if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse(%s) = %v, want %v that tells %q", tt.text, err, backend.ErrInvalid, tt.want)
			}
		})
	}
}

func openAt(t *testing.T, m *backend.Mux, text string) (backend.Backend, error) {
	t.Helper()
	l, err := m.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%s) = %v, want a location", text, err)
	}
	b, err := m.Open(t.Context(), l)
	if err == nil {
		t.Cleanup(func() { b.Close() })
	}
	return b, err
}

// TestLayout shows where objects lie: where BuildKit's type=s3 has them.
func TestLayout(t *testing.T) {
	dir := t.TempDir()
	b, err := openAt(t, mux(nobody), "type=file,bucket="+filepath.ToSlash(dir)+",prefix=app/,name=main,blobs_prefix=b-")
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("content")
	d := larderblob.Describe("", data)
	if err := b.Put(t.Context(), d, larderblob.Bytes(data)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Always); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"app/b-" + d.Digest.String(): "content", "app/manifests/main": "{}"} {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
		if err != nil || string(got) != want {
			t.Errorf("%s = %q, %v, want %q", file, got, err, want)
		}
	}
	var files []string
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if !e.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) != 2 {
		t.Errorf("files = %v, %v, want these two: no attributes, nothing temporary", files, err)
	}
}

// TestRenewal has an old blob put again, and a young one.
func TestRenewal(t *testing.T) {
	dir := t.TempDir()
	b, err := openAt(t, mux(nobody), "type=file,bucket="+filepath.ToSlash(dir)+",touch_refresh=2h")
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 2<<20) // large enough to be asked for first
	d := larderblob.Describe("", data)
	file := filepath.Join(dir, "blobs", d.Digest.String())
	if err := b.Put(t.Context(), d, larderblob.Bytes(data)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		age   time.Duration
		renew bool
	}{{50 * time.Minute, false}, {70 * time.Minute, true}} {
		then := time.Now().Add(-tt.age)
		if err := os.Chtimes(file, then, then); err != nil {
			t.Fatal(err)
		}
		if err := b.Put(t.Context(), d, larderblob.Bytes(data)); err != nil {
			t.Fatal(err)
		}
		stat, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if renewed := stat.ModTime().Sub(then) > time.Minute; renewed != tt.renew {
			t.Errorf("after %v: renewed = %t, want %t", tt.age, renewed, tt.renew)
		}
	}
}

// TestConditionsAreRefused shows that what is not known to be atomic is not
// tried.
func TestConditionsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		service bucket.Service
		create  bool
	}{
		{"unknown", nil, false},
		{"files", bucket.FileService{}, false},
		{"creating", bucket.Creating{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bucket.New(t.Context(), memblob.OpenBucket(nil), bucket.Options{Service: tt.service})
			defer b.Close()
			_, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("1")}, backend.Absent)
			if refused := errors.Is(err, backend.ErrUnsupported); refused == tt.create || b.Info().Capabilities.CreateRef != tt.create {
				t.Errorf("PutRef(absent) = %v with CreateRef = %t, want %t", err, b.Info().Capabilities.CreateRef, tt.create)
			}
			_, err = b.PutRef(t.Context(), "main", backend.Document{Data: []byte("1")}, backend.Match("x"))
			if !errors.Is(err, backend.ErrUnsupported) || b.Info().Capabilities.ReplaceRef {
				t.Errorf("PutRef(match) = %v, want %v", err, backend.ErrUnsupported)
			}
			if err := b.DeleteRef(t.Context(), "main", backend.Match("x")); !errors.Is(err, backend.ErrUnsupported) {
				t.Errorf("DeleteRef(match) = %v, want %v", err, backend.ErrUnsupported)
			}
		})
	}
}

// TestOpenErrors shows that a bucket which cannot be opened is said to be so
// by its service, and that no secret of its URL is repeated.
func TestOpenErrors(t *testing.T) {
	const canary = "canary+/5ecret"
	m := mux(func(u *url.URL) (*blob.Bucket, error) {
		if u.Query().Get("password") != canary {
			t.Errorf("password = %q, want it in the URL", u.Query().Get("password"))
		}
		return nil, fmt.Errorf("with %s: %w", canary, &url.Error{Op: "Dial", URL: u.String(), Err: os.ErrPermission})
	})
	_, err := openAt(t, m, "type=ftp,bucket=b,password="+canary)
	if !errors.Is(err, backend.ErrDenied) || strings.Contains(err.Error(), "5ecret") || !strings.Contains(err.Error(), "permission") {
		t.Errorf("Open() = %v, want %v without a secret", err, backend.ErrDenied)
	}
	_, err = openAt(t, m, "file://"+filepath.ToSlash(t.TempDir())+"/none")
	if !errors.Is(err, backend.ErrNotFound) || !strings.Contains(err.Error(), "none") {
		t.Errorf("Open() = %v, want %v", err, backend.ErrNotFound)
	}
}

func TestDiagnose(t *testing.T) {
	open := func(t *testing.T, dir string) *bucket.Backend {
		t.Helper()
		b, err := fileblob.OpenBucket(dir, &fileblob.Options{CreateDir: true})
		if err != nil {
			t.Fatal(err)
		}
		opened := bucket.New(t.Context(), b, bucket.Options{Service: bucket.FileService{}})
		t.Cleanup(func() { opened.Close() })
		return opened
	}
	check := func(t *testing.T, b *bucket.Backend, want ...backend.FindingStatus) {
		t.Helper()
		var got []backend.FindingStatus
		for f := range b.Diagnose(t.Context(), backend.DiagnoseOptions{}) {
			got = append(got, f.Status)
			if f.Detail == "" || f.Status == backend.FindingFailed && f.Remedy == "" {
				t.Errorf("finding %+v, want a detail, and a remedy for a failure", f)
			}
		}
		if len(got) != len(want) || got[0] != want[0] {
			t.Errorf("Diagnose() = %v, want %v", got, want)
		}
	}
	check(t, open(t, t.TempDir()), backend.FindingOK, backend.FindingNote)
	closed := open(t, t.TempDir())
	if err := closed.Bucket().Close(); err != nil {
		t.Fatal(err)
	}
	check(t, closed, backend.FindingFailed)
}
