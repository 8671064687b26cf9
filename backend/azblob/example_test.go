package azblob_test

import (
	"context"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/internal/azuretest"
)

// A container takes blobs and refs; of several writers that create the same ref
// one succeeds.
func ExampleOpen() {
	ctx := context.Background()
	service := azuretest.Start(azuretest.Options{})
	defer service.Close()

	b, err := azblob.Open(ctx, azblob.Options{
		AccountURL:      service.URL, // https://ACCOUNT.blob.core.windows.net
		AccountKey:      azuretest.Key,
		Container:       "cache",
		CreateContainer: true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	for range 2 {
		_, err = b.PutRef(ctx, "main", backend.Document{Data: []byte("{}")}, backend.Absent)
		fmt.Println(backend.Kind(err))
	}
	// Output:
	// <nil>
	// conflict
}

// An application that has tokens of its own passes their source: any credential
// of azidentity, or another azcore.TokenCredential.
func ExampleDriverWith() {
	var credential azcore.TokenCredential // of azidentity, say
	mux := &backend.Mux{}
	mux.Register(azblob.DriverWith(azblob.Options{Credential: credential}))
	location, err := mux.Parse("azblob://acme.blob.core.windows.net/cache/team-a?name=main")
	fmt.Println(location, err)
	// Output: type=azblob,account_url=https://acme.blob.core.windows.net,container=cache,prefix=team-a,name=main <nil>
}
