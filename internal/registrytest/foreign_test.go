package registrytest_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/larder-build/larder/internal/registrytest"
)

// foreign is somebody else's client, whose idea of the protocol is not ours.
type foreign struct {
	t    *testing.T
	s    *registrytest.Server
	opts []remote.Option
}

func newForeign(t *testing.T, o registrytest.Options) foreign {
	t.Helper()
	s := registrytest.New(t, o)
	f := foreign{t: t, s: s, opts: []remote.Option{
		remote.WithContext(t.Context()), remote.WithJobs(4), remote.WithRetryBackoff(remote.Backoff{Steps: 3}),
	}}
	if o.TLS {
		f.opts = append(f.opts, remote.WithTransport(trusting(t, s)))
	}
	if o.Auth != nil {
		u := o.Auth.Users[0]
		f.opts = append(f.opts, remote.WithAuth(&authn.Basic{Username: u.Name, Password: u.Password}))
	}
	return f
}

func (f foreign) ref(text string) name.Reference {
	f.t.Helper()
	ref, err := name.ParseReference(f.s.Host + "/" + text)
	if err != nil {
		f.t.Fatal(err)
	}
	return ref
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(1000, 5)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// beyond says why go-containerregistry cannot push to some registries.
var beyond = map[string]string{
	"monolithic only": "it always begins with PATCH",
	"short tokens":    "it sends what is left of a body after a 401",
}

// TestForeignClient pushes, lists, pulls and deletes with go-containerregistry.
func TestForeignClient(t *testing.T) {
	for _, q := range registrytest.Quirks() {
		if _, ok := beyond[q.Name]; ok {
			continue
		}
		t.Run(q.Name, func(t *testing.T) {
			f := newForeign(t, q.Options())
			ref, img := f.ref("a/b:v1"), randomImage(t)
			if err := remote.Write(ref, img, f.opts...); err != nil {
				t.Fatal(err)
			}
			got, err := remote.Image(ref, f.opts...)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(got); err != nil {
				t.Error(err)
			}
			tags, err := remote.List(ref.Context(), f.opts...)
			if diff := cmp.Diff([]string{"v1"}, tags); err != nil || diff != "" {
				t.Errorf("List: %v (-want +got):\n%s", err, diff)
			}
			d, err := img.Digest()
			if err != nil {
				t.Fatal(err)
			}
			if err := remote.Delete(ref.Context().Digest(d.String()), f.opts...); err != nil {
				t.Error(err)
			}
			if left := f.s.Tags("a/b"); len(left) != 0 {
				t.Errorf("tags = %v, want none", left)
			}
		})
	}
}

// TestForeignClientMounts copies within the registry without sending a layer,
// where it can.
func TestForeignClientMounts(t *testing.T) {
	for _, tokens := range []bool{false, true} {
		f := newForeign(t, registrytest.Options{Auth: &registrytest.Auth{Tokens: tokens, Users: []registrytest.User{{Name: "w", Password: "p"}}}})
		if err := remote.Write(f.ref("from:v1"), randomImage(t), f.opts...); err != nil {
			t.Fatal(err)
		}
		f.s.Forget()
		img, err := remote.Image(f.ref("from:v1"), f.opts...)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(f.ref("to:v1"), img, f.opts...); err != nil {
			t.Fatal(err)
		}
		if n := f.s.Count(registrytest.OpMount); n < 5 {
			t.Errorf("%d mounts with tokens = %t, want one for each of 5 layers", n, tokens)
		}
		if n := f.s.Count(registrytest.OpUploadChunk, registrytest.OpUploadFinish); n > 2 {
			t.Errorf("%d uploads with tokens = %t, want that of the config alone", n, tokens)
		}
	}
}

// TestForeignClientSeesErrors shows that errors are in the form that others parse.
func TestForeignClientSeesErrors(t *testing.T) {
	tests := []struct {
		name    string
		options registrytest.Manifests
		want    transport.ErrorCode
		status  int
	}{
		{"no such repository", registrytest.Manifests{ECRNoCreate: true}, transport.NameUnknownErrorCode, http.StatusNotFound},
		{"immutable", registrytest.Manifests{ECRImmutable: true}, transport.TagInvalidErrorCode, http.StatusBadRequest},
		{"repeated", registrytest.Manifests{NexusNoRepush: true}, transport.BlobUploadInvalidErrorCode, http.StatusBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newForeign(t, registrytest.Options{Manifests: tt.options})
			var err error
			for range 2 { // some refuse only the second time
				if err == nil {
					err = remote.Write(f.ref("a:v1"), randomImage(t), f.opts...)
				}
			}
			var e *transport.Error
			if !errors.As(err, &e) || len(e.Errors) == 0 {
				t.Fatalf("Write = %v, want an error of the registry", err)
			}
			if e.Errors[0].Code != tt.want || e.StatusCode != tt.status {
				t.Errorf("Write = %d %s, want %d %s", e.StatusCode, e.Errors[0].Code, tt.status, tt.want)
			}
		})
	}
}

// TestForeignClientRecovers has it retry what passes.
func TestForeignClientRecovers(t *testing.T) {
	f := newForeign(t, registrytest.Options{})
	f.s.Inject(registrytest.Fault{Op: registrytest.OpUploadStart, Failure: registrytest.Failure{Status: http.StatusServiceUnavailable}})
	f.s.Inject(registrytest.Fault{Op: registrytest.OpManifestPut, Kind: registrytest.Lost})
	if err := remote.Write(f.ref("a:v1"), randomImage(t), f.opts...); err != nil {
		t.Fatal(err)
	}
	if n := f.s.Count(registrytest.OpManifestPut); n != 2 {
		t.Errorf("the manifest was put %d times, want 2", n)
	}
	f.s.Inject(registrytest.Fault{Op: registrytest.OpBlobGet, Kind: registrytest.Truncate, After: 100})
	img, err := remote.Image(f.ref("a:v1"), f.opts...)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if data, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) || len(data) != 100 {
		t.Errorf("read %d bytes, %v, want 100 and %v", len(data), err, io.ErrUnexpectedEOF)
	}
}
