package bucket_test

import (
	"context"
	"fmt"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket"
)

// Any bucket of gocloud.dev is a backend. What is known of its service decides
// which conditions refs can be written on.
func ExampleNew() {
	ctx := context.Background()
	b := bucket.New(ctx, memblob.OpenBucket(nil), bucket.Options{Service: bucket.Creating{}})
	defer b.Close()
	first, err := b.PutRef(ctx, "main", backend.Document{Data: []byte("{}")}, backend.Absent)
	fmt.Println(first != "", err)
	_, err = b.PutRef(ctx, "main", backend.Document{Data: []byte("{}")}, backend.Match(first))
	fmt.Println(err)
	// Output:
	// true <nil>
	// bucket: put ref main: not supported: this store cannot write on the condition match sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
}

// The URLs that an application's own URLMux opens become locations.
func ExampleDriver() {
	urls := new(blob.URLMux)
	urls.RegisterBucket("mem", &memblob.URLOpener{})
	m := &backend.Mux{}
	m.Register(bucket.Driver(urls, bucket.Memory()))
	l, err := m.Parse("mem://?prefix=app/&name=main")
	fmt.Println(l, err)
	// Output:
	// type=mem,prefix=app/,name=main <nil>
}
