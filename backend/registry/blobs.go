package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// Stat asks for each blob by a request of its own, many at a time.
func (b *Backend) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	unique, bad, err := calls.Distinct(digests)
	if err != nil {
		return nil, fail("stat", bad, err)
	}
	var mu sync.Mutex
	found := make(map[blob.Digest]backend.BlobInfo)
	err = b.each(ctx, "stat", unique, func(ctx context.Context, d blob.Digest) error {
		size, err := b.head(ctx, "blobs/"+d.String())
		if errors.Is(err, backend.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		found[d] = backend.BlobInfo{Digest: d, Size: size}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Delete removes each blob by a request of its own, and by another one what is
// no blob but may be a manifest, with the tags that point to it. A registry takes
// their space back when it sees fit.
func (b *Backend) Delete(ctx context.Context, digests ...blob.Digest) error {
	unique, bad, err := calls.Distinct(digests)
	if err != nil {
		return fail("delete", bad, err)
	}
	if !b.Info().Capabilities.DeleteBlobs {
		return fail("delete", "", b.life.Call(ctx, func(context.Context) error { return b.undeletable() }))
	}
	return b.each(ctx, "delete", unique, func(ctx context.Context, d blob.Digest) error {
		there, err := b.remove(ctx, "delete blob", "blobs/"+d.String())
		if err == nil && !there {
			_, err = b.remove(ctx, "delete manifest", "manifests/"+d.String())
		}
		return err
	})
}

// List yields ErrUnsupported: registries list no blobs.
func (b *Backend) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	return func(yield func(backend.BlobInfo, error) bool) {
		yield(backend.BlobInfo{}, fail("list", "", b.life.Call(ctx, func(context.Context) error {
			return fmt.Errorf("%w: registries list no blobs", backend.ErrUnsupported)
		})))
	}
}

// undeletable is the error where deletion is known not to be offered.
func (b *Backend) undeletable() error {
	return fmt.Errorf("%w: deletion at %s is done beside the registry protocol, by the provider's own tools or rules", backend.ErrUnsupported, b.repo.RegistryStr())
}

// remove deletes what is at a path. What is not there is a success; there says
// whether it was.
func (b *Backend) remove(ctx context.Context, op, path string) (there bool, err error) {
	resp, err := b.ask(ctx, op, http.MethodDelete, path, b.session.remove(), nil,
		http.StatusAccepted, http.StatusOK, http.StatusNoContent, http.StatusNotFound)
	if err != nil {
		return false, err
	}
	discard(resp)
	return resp.StatusCode != http.StatusNotFound, nil
}

// each does something for each blob, many at a time, until one fails.
func (b *Backend) each(ctx context.Context, op string, digests []blob.Digest, do func(context.Context, blob.Digest) error) error {
	return b.life.Each(ctx, digests, do, func(key string, err error) error { return fail(op, key, err) })
}

// head returns the size of what is at a path, or -1 if the registry does not
// say, or an error matching ErrNotFound.
func (b *Backend) head(ctx context.Context, path string) (size int64, err error) {
	resp, err := b.ask(ctx, "head", http.MethodHead, path, b.session.pull(), http.Header{"Accept": accepted}, http.StatusOK, http.StatusNotFound)
	var refused *ResponseError
	if errors.As(err, &refused) && !refused.temporary() {
		return b.peek(ctx, path)
	}
	if err != nil {
		return 0, err
	}
	defer discard(resp)
	if resp.StatusCode == http.StatusNotFound {
		return 0, backend.ErrNotFound
	}
	return resp.ContentLength, nil
}

// peek is head by means of GET: a refused HEAD has no body that would say why,
// and stores of objects refuse one where the registry has signed a GET.
func (b *Backend) peek(ctx context.Context, path string) (size int64, err error) {
	header := http.Header{"Range": {"bytes=0-0"}, "Accept": accepted}
	resp, err := b.ask(ctx, "peek", http.MethodGet, path, b.session.pull(), header,
		http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }() // it may be long: the connection is given up
	if resp.StatusCode == http.StatusOK {
		return resp.ContentLength, nil
	}
	_, total := contentRange(resp.Header)
	return total, nil
}
