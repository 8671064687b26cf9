package gha

import (
	"context"
	"net/url"

	"github.com/larder-build/larder/internal/bucket"
)

// protocol is one of the versions of the service's protocol. Errors are a
// [bucket.Failure], [errExists], or that of the context.
type protocol interface {
	// create reserves an entry. One that is there or reserved gives errExists.
	create(ctx context.Context, key string) (slot, error)
	// put stores the content of an entry in one request, and putPart one part of
	// it. Parts are counted from 0.
	put(ctx context.Context, to slot, content bucket.Body) error
	putPart(ctx context.Context, to slot, number int, content bucket.Body) error
	// join puts so many parts together.
	join(ctx context.Context, to slot, parts int) error
	// finalize makes an entry visible whose content has so many bytes.
	finalize(ctx context.Context, key string, to slot, size int64) error
	// lookup returns the key of the first entry that is found, and where its
	// content is; "" if none is. Each key is also the beginning of others: of
	// those the newest counts.
	lookup(ctx context.Context, keys ...string) (key string, content *url.URL, err error)
	// asksByHead says that HEAD is answered where content is.
	asksByHead() bool
}

// slot is where the content of a reserved entry goes.
type slot struct {
	// content is the signed URL of the second version, and entry that of the
	// entry in the first.
	content, entry *url.URL
	// blocks is what the ids of its blocks begin with, which no other has.
	blocks [16]byte
}
