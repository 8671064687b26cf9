package wrap_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
)

func TestOnlyRefs(t *testing.T) {
	ctx := t.Context()
	store := &recorder{caps: everything}
	b := wrap.OnlyRefs(store, "own", "own2")
	refused := map[string]func() error{
		"PutRef":    func() error { _, err := b.PutRef(ctx, "main", backend.Document{}, backend.Always); return err },
		"DeleteRef": func() error { return b.DeleteRef(ctx, "own3", backend.Always) },
		"Delete":    func() error { return b.Delete(ctx, someBlob.Digest) },
	}
	for name, call := range refused {
		if err := call(); !errors.Is(err, backend.ErrReadOnly) || len(store.calls) > 0 {
			t.Errorf("%s = %v and arrives as %v, want ErrReadOnly and nothing sent", name, err, store.calls)
		}
	}
	_, err := b.PutRef(ctx, "own", backend.Document{}, backend.Always)
	err = errors.Join(err, b.DeleteRef(ctx, "own2", backend.Always), b.Put(ctx, someBlob, nil))
	_, getErr := b.GetRef(ctx, "main")
	_, openErr := b.Open(ctx, someBlob, 0, -1)
	if err := errors.Join(err, getErr, openErr); err != nil {
		t.Errorf("what is allowed = %v, want nil", err)
	}
	if want := []string{"PutRef", "DeleteRef", "Put", "GetRef", "Open"}; !slices.Equal(store.calls, want) {
		t.Errorf("the store was asked %v, want %v", store.calls, want)
	}
	want := store.Info()
	want.Capabilities.DeleteBlobs = false
	if diff := cmp.Diff(want, b.Info()); diff != "" {
		t.Errorf("Info() differs (-want +got):\n%s", diff)
	}
}

func TestWriteOnly(t *testing.T) {
	ctx := t.Context()
	for mediaType, readable := range map[string]bool{
		"application/vnd.oci.image.layer.v1.tar+zstd":       false,
		"application/vnd.docker.image.rootfs.diff.tar.gzip": false,
		"": false,
		"application/vnd.buildkit.cacheconfig.v0":    true,
		"application/vnd.oci.image.manifest.v1+json": true,
	} {
		store := &recorder{caps: everything}
		d := blob.Descriptor{MediaType: mediaType, Digest: someBlob.Digest, Size: someBlob.Size}
		for name, open := range map[string]use{"Open": func(ctx context.Context, b backend.Backend) error { _, err := b.Open(ctx, d, 0, -1); return err }, "OpenRaw": openRaw(d, 0)} {
			err := open(ctx, wrap.WriteOnly(store))
			if readable && err != nil || !readable && (!errors.Is(err, backend.ErrDenied) || len(store.calls) > 0) {
				t.Errorf("%s(%q) = %v and arrives as %v, want it allowed: %t", name, mediaType, err, store.calls, readable)
			}
		}
	}
	if err := wrap.WriteOnly(&recorder{caps: everything}).Put(ctx, someBlob, nil); err != nil {
		t.Errorf("Put() = %v, want nil", err)
	}
	// A copier does not get at layers behind it.
	receiver := &recorder{}
	source := wrap.WriteOnly(&recorder{caps: everything})
	if err := copyTo(source, someBlob)(ctx, wrap.Check(receiver)); err != nil || receiver.args[0][0] != source {
		t.Errorf("CopyFrom(write-only) = %v and arrives with %T, want the wrapper", err, receiver.args[0][0])
	}
}

// TestPolicyIsNotBypassed looks for the store behind wrappers that enforce
// something.
func TestPolicyIsNotBypassed(t *testing.T) {
	store := &recorder{caps: everything}
	for name, b := range map[string]backend.Backend{"OnlyRefs": wrap.OnlyRefs(store, "own"), "WriteOnly": wrap.WriteOnly(store)} {
		if _, found := backend.As[*recorder](b); found {
			t.Errorf("As() finds the store behind %s", name)
		}
		if err := copyTo(&recorder{}, someBlob)(t.Context(), b); err != nil || !slices.Contains(store.calls, "CopyFrom") {
			t.Errorf("CopyFrom() through %s = %v and arrives as %v", name, err, store.calls)
		}
	}
}
