package ecr_test

import (
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/registry/ecr"
)

// Docker's configuration comes first, AWS's credentials where it has nothing.
// Packages gcr and acr are used in the same way.
func ExampleKeychain() {
	mux := &backend.Mux{}
	mux.Register(registry.DriverWith(registry.Options{
		Keychain: authn.NewMultiKeychain(registry.DockerKeychain(os.Getenv), ecr.Keychain(ecr.Options{})),
	}))
	location, err := mux.Parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/cache:main")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(location)
	// Output: type=registry,ref=123456789012.dkr.ecr.eu-west-1.amazonaws.com/cache:main
}
