package local_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/local"
	"github.com/larder-build/larder/blob"
)

func Example() {
	if err := example(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// main: {}
}

func example(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "cache")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cache, err := local.Open(dir, local.Options{})
	if err != nil {
		return err
	}
	defer cache.Close()

	layer := []byte("a layer")
	if err := cache.Put(ctx, blob.Describe("", layer), blob.Bytes(layer)); err != nil {
		return err
	}
	manifest := backend.Document{MediaType: "application/vnd.oci.image.manifest.v1+json", Data: []byte("{}")}
	if _, err := cache.PutRef(ctx, "main", manifest, backend.Absent); err != nil {
		return err
	}
	ref, err := cache.GetRef(ctx, "main")
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", ref.Name, ref.Data)
	return nil
}

// Reading never creates the directory, and says what is missing.
func ExampleOpen_missing() {
	cache, err := local.Open("/nowhere/cache", local.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	_, err = cache.GetRef(context.Background(), "main")
	fmt.Println(err)
	fmt.Println(errors.Is(err, backend.ErrNotFound))
	// Output:
	// local: get ref main: not found in /nowhere/cache
	// true
}

func ExampleDriver() {
	var mux backend.Mux
	mux.Register(local.Driver())
	location, err := mux.Parse("local:///var/cache/app?tag=main;v1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(location.Refs())
	fmt.Println(location)
	// Output:
	// [main v1]
	// type=local,src=/var/cache/app,tag=main;v1
}
