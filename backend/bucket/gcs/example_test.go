package gcs_test

import (
	"fmt"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket/gcs"
)

// Locations are spelled as those of type=s3, without region and keys.
func ExampleDriver() {
	m := &backend.Mux{}
	m.Register(gcs.Driver())
	l, err := m.Parse("gs://my-caches/app/?name=main")
	fmt.Println(l, err)
	_, err = m.Parse("gs://my-caches/app/?bucket_prefix=eu")
	fmt.Println(err != nil)
	// Output:
	// type=gs,bucket=my-caches,prefix=app/,name=main <nil>
	// true
}
