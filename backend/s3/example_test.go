package s3_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
)

// A location names a bucket as BuildKit does. Secrets do not show.
func ExampleDriver() {
	m := &backend.Mux{}
	m.Register(s3.Driver())
	l, err := m.Parse("type=s3,bucket=cache,region=eu-west-1,prefix=ci/,name=main;v1,access_key_id=id,secret_access_key=hidden")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l)
	fmt.Println(l.Refs())
	// Output:
	// type=s3,bucket=cache,region=eu-west-1,prefix=ci/,name=main;v1,access_key_id=id,secret_access_key=REDACTED
	// [main v1]
}

// Stores that look like S3 are told by their endpoints, and what they are known
// not to do is not among their capabilities.
func ExampleOpen() {
	b, err := s3.Open(context.Background(), "cache", s3.Options{
		Endpoint:    "https://storage.googleapis.com",
		AccessKeyID: "GOOG1EXAMPLE", SecretAccessKey: "secret",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Close() }()
	_, err = b.PutRef(context.Background(), "main", backend.Document{Data: []byte("{}")}, backend.Absent)
	fmt.Println(b.Info().Capabilities.CreateRef, errors.Is(err, backend.ErrUnsupported))
	// Output:
	// false true
}
