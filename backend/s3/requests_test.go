package s3_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/s3test"
)

func digestOf(text string) blob.Digest { return digest.FromString(text) }

// count returns how often each operation was asked for.
func count(ops []string) map[string]int {
	counts := map[string]int{}
	for _, op := range ops {
		counts[op]++
	}
	return counts
}

// TestRequests counts what calls cost.
func TestRequests(t *testing.T) {
	small, large, parts := random(1000), random(2<<20), random(wholeParts*realPart+1)
	for _, tt := range []struct {
		name string
		call func(t *testing.T, s *s3test.Server, b *s3.Backend)
		want map[string]int
	}{
		{"a small blob", func(t *testing.T, _ *s3test.Server, b *s3.Backend) { t.Helper(); put(t, b, small) }, map[string]int{"PutObject": 1}},
		{"a large blob", func(t *testing.T, _ *s3test.Server, b *s3.Backend) { t.Helper(); put(t, b, large) }, map[string]int{"HeadObject": 1, "PutObject": 1}},
		{"a blob in parts", func(t *testing.T, _ *s3test.Server, b *s3.Backend) { t.Helper(); put(t, b, parts) }, map[string]int{
			"HeadObject": 1, "CreateMultipartUpload": 1, "UploadPart": 9, "CompleteMultipartUpload": 1,
		}},
		{"a small blob that is there", func(t *testing.T, s *s3test.Server, b *s3.Backend) {
			t.Helper()
			put(t, b, small)
			s.Requests()
			put(t, b, small)
		}, map[string]int{"PutObject": 1, "HeadObject": 1}},
		{"a large blob that is there", func(t *testing.T, s *s3test.Server, b *s3.Backend) {
			t.Helper()
			put(t, b, large)
			s.Requests()
			put(t, b, large)
		}, map[string]int{"HeadObject": 1}},
		{"a blob that is old", func(t *testing.T, s *s3test.Server, b *s3.Backend) {
			t.Helper()
			d := put(t, b, large)
			s.SetAge(cache, "blobs/"+d.Digest.String(), 13*time.Hour)
			s.Requests()
			put(t, b, large)
		}, map[string]int{"HeadObject": 1, "CopyObject": 1}},
		{"a few blobs asked for", func(t *testing.T, _ *s3test.Server, b *s3.Backend) { t.Helper(); stat(t, b, 3) }, map[string]int{"HeadObject": 3}},
		{"many blobs asked for", func(t *testing.T, _ *s3test.Server, b *s3.Backend) { t.Helper(); stat(t, b, 2000) }, map[string]int{"ListObjectsV2": 1}},
		{"many blobs deleted", func(t *testing.T, _ *s3test.Server, b *s3.Backend) {
			t.Helper()
			if err := b.Delete(t.Context(), digests(2000)...); err != nil {
				t.Errorf("Delete(2,000) = %v, want nil", err)
			}
		}, map[string]int{"DeleteObjects": 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newFake(t, s3test.Options{})
			tt.call(t, s, openFake(t, s, func(o *s3.Options) { o.PartSize = 5 << 20 }))
			if diff := cmp.Diff(tt.want, count(s.Requests())); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if open := s.Uploads(); open != 0 {
				t.Errorf("%d uploads are left open, want none", open)
			}
		})
	}
}

func digests(n int) []blob.Digest {
	all := make([]blob.Digest, n)
	for i := range all {
		all[i] = digestOf(string(rune(i)))
	}
	return all
}

func stat(t *testing.T, b backend.Backend, n int) {
	t.Helper()
	if found, err := b.Stat(t.Context(), digests(n)...); err != nil || len(found) != 0 {
		t.Errorf("Stat(%d) = %v, %v, want none", n, found, err)
	}
}

// TestExportRequests counts what an export of 200 layers costs, at first, when
// nothing has changed, and when two layers are new.
func TestExportRequests(t *testing.T) {
	layers, content := smallLayers(202)
	all, first := chain(t, layers), chain(t, layers[:200])
	for _, tt := range []struct {
		quirks string
		want   [3]int
	}{
		// The ref, one look at what is there or some of it, the blobs, the ref.
		{"aws", [3]int{1 + 64 + 200 + 1, 1, 1 + 2 + 1}},
		// And two to ask whether conditions are obeyed, for each connection.
		{"generic", [3]int{1 + 64 + 200 + 2 + 1, 1, 1 + 2 + 2 + 1}},
	} {
		t.Run(tt.quirks, func(t *testing.T) {
			s := newFake(t, s3test.Options{})
			export := func(i int) {
				b := openFake(t, s, func(o *s3.Options) { o.Quirks = tt.quirks })
				m := first
				if i == 2 {
					m = all
				}
				if _, err := larder.Export(t.Context(), m, content, []larder.Target{{Backend: b, Ref: "main"}}, larder.ExportOptions{}); err != nil {
					t.Fatal(err)
				}
				if ops := s.Requests(); len(ops) > tt.want[i] {
					t.Errorf("Export(%d) made %d requests, want at most %d: %v", i, len(ops), tt.want[i], count(ops))
				}
			}
			for i := range 3 {
				export(i)
			}
		})
	}
}

// TestTouchKeepsMetadata shows that renewing an age loses nothing that another
// client has stored with the object, whatever its key.
func TestTouchKeepsMetadata(t *testing.T) {
	s := newFake(t, s3test.Options{})
	b := openFake(t, s, func(o *s3.Options) { o.Prefix = "a b+c/ü/%2F&?/" })
	data := random(2 << 20)
	d := put(t, b, data)
	key := "a b+c/ü/%2F&?/blobs/" + d.Digest.String()
	s.SetAge(cache, key, 30*24*time.Hour)
	put(t, b, data)
	got, header, ok := s.Object(cache, key)
	if !ok || !bytes.Equal(got, data) {
		t.Errorf("the object at %s is gone or changed", key)
	}
	if header.Get("Content-Type") != "application/octet-stream" || header.Get("X-Amz-Meta-Updated-At") == "" {
		t.Errorf("the object has %v, want its type and updated-at", header)
	}
	info, err := b.Stat(t.Context(), d.Digest)
	if err != nil || time.Since(info[d.Digest].ModTime) > time.Hour {
		t.Errorf("Stat() = %v, %v, want it renewed", info, err)
	}
}

// TestConditionsAreTried opens stores that may ignore conditions: they are
// asked before the first conditional write of a ref, once, and leave no trace.
func TestConditionsAreTried(t *testing.T) {
	doc := backend.Document{Data: []byte("{}")}
	for _, tt := range []struct {
		name   string
		quirks s3test.Quirks
		want   error
	}{
		{"obeyed", s3test.Quirks{}, nil},
		{"ignored", s3test.Quirks{IgnoreConditions: true}, backend.ErrUnsupported},
		{"refused", s3test.Quirks{RefuseConditions: true}, backend.ErrUnsupported},
	} {
		for _, blobFirst := range []bool{false, true} {
			name := tt.name
			if blobFirst {
				name += " after a blob"
			}
			t.Run(name, func(t *testing.T) {
				s := newFake(t, s3test.Options{Quirks: tt.quirks})
				b := openFake(t, s, func(o *s3.Options) { o.Quirks = "generic" })
				if blobFirst {
					put(t, b, []byte("x"))
				}
				for _, cond := range []backend.Condition{backend.Absent, backend.Absent} {
					_, err := b.PutRef(t.Context(), "main", doc, cond)
					if tt.want != nil && (!errors.Is(err, tt.want) || !strings.Contains(err.Error(), "conditions=false")) {
						t.Errorf("PutRef(%s) = %v, want %v that says conditions=false", cond, err, tt.want)
					}
				}
				keys := slices.DeleteFunc(s.Keys(cache), func(key string) bool { return strings.HasPrefix(key, "blobs/") })
				if want := []string{"manifests/main"}; tt.want == nil && !slices.Equal(keys, want) || tt.want != nil && len(keys) > 0 {
					t.Errorf("objects = %q, want no trace of the question", keys)
				}
				if tt.want == nil {
					return
				}
				plain := openFake(t, s, func(o *s3.Options) { o.Quirks, o.NoConditions = "generic", true })
				if plain.Info().Capabilities.CreateRef || plain.Info().Capabilities.ReplaceRef {
					t.Error("conditions are declared in spite of NoConditions")
				}
				if _, err := plain.PutRef(t.Context(), "main", doc, backend.Always); err != nil {
					t.Errorf("PutRef(always) = %v, want nil", err)
				}
			})
		}
	}
}

// TestNoSecretsAnywhere looks for secrets and signatures in whatever a backend
// says of itself and of failures, against a store that tells all it knows.
func TestNoSecretsAnywhere(t *testing.T) {
	const canary = "canary/secret+of=mine"
	const token = "canary-session-token"
	s := newFake(t, s3test.Options{Keys: map[string]string{accessKey: "another"}})
	broken := sending(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") })
	m := newMux()
	var said []string
	for _, transport := range []http.RoundTripper{nil, broken} {
		m.Options.Transport = transport
		for _, style := range []string{"aws", "generic"} {
			l, err := m.Make("s3", map[string]string{
				"bucket": cache, "endpoint_url": s.URL, "access_key_id": accessKey, "secret_access_key": canary,
				"session_token": token, "quirks": style,
			})
			if err != nil {
				t.Fatal(err)
			}
			b, err := m.Open(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, l.String(), l.URL(), b.Info().Location)
			said = append(said, failures(t.Context(), b)...)
			for f := range b.(backend.Diagnoser).Diagnose(t.Context(), backend.DiagnoseOptions{}) { //nolint:errcheck // It is one.
				said = append(said, f.Detail, f.Remedy)
			}
			_ = b.Close()
		}
	}
	for _, text := range said {
		for _, secret := range []string{canary, token, "canary", "Signature=", "X-Amz-Signature", "AWS4-HMAC"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q has %q", text, secret)
			}
		}
	}
	if len(said) < 40 {
		t.Errorf("there are %d texts to look at, want more", len(said))
	}
}

// failures returns the errors of every method.
func failures(ctx context.Context, b backend.Backend) []string {
	d := blob.Describe("", []byte("x"))
	_, stat := b.Stat(ctx, d.Digest)
	_, open := b.Open(ctx, d, 0, -1)
	_, get := b.GetRef(ctx, "main")
	_, put := b.PutRef(ctx, "main", backend.Document{}, backend.Always)
	_, create := b.PutRef(ctx, "main", backend.Document{}, backend.Absent)
	var list, listRefs error
	for _, list = range b.List(ctx) {
		break
	}
	for _, listRefs = range b.ListRefs(ctx) {
		break
	}
	var texts []string
	for _, err := range maps.All(map[string]error{
		"stat": stat, "open": open, "get": get, "put": put, "create": create, "list": list, "list refs": listRefs,
		"put blob": b.Put(ctx, d, blob.Bytes([]byte("x"))), "delete": b.Delete(ctx, d.Digest),
		"delete ref": b.DeleteRef(ctx, "main", backend.Always),
	}) {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	return texts
}
