package registry_test

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/registrytest"
)

// A repository takes blobs and, under tags, the manifests that refer to them.
func ExampleOpen() {
	ctx := context.Background()
	server := registrytest.Start(registrytest.Options{})
	defer server.Close()

	b, err := registry.Open(ctx, server.Host+"/team/cache", registry.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	data := []byte("a layer")
	d := blob.Describe("application/vnd.oci.image.layer.v1.tar", data)
	fmt.Println(b.Put(ctx, d, blob.Bytes(data)))
	found, err := b.Stat(ctx, d.Digest)
	fmt.Println(len(found), err)
	// Output:
	// <nil>
	// 1 <nil>
}

// An application that has credentials of its own passes a keychain: that of a
// cloud, such as google.Keychain of go-containerregistry, or of its users.
func ExampleDriverWith() {
	keychain := authn.NewMultiKeychain(authn.DefaultKeychain)
	mux := &backend.Mux{}
	mux.Register(registry.DriverWith(registry.Options{Keychain: keychain}))
	location, err := mux.Parse("ghcr.io/org/cache:main")
	fmt.Println(location, location.Refs(), err)
	// Output: type=registry,ref=ghcr.io/org/cache:main [main] <nil>
}
