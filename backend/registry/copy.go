package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// maxRefusals is how many mounts from one repository are refused in a row
// before no more are asked for.
const maxRefusals = 3

// CopyFrom mounts a blob of another repository of the same registry. One that
// the registry does not mount, for want of rights or because it never does, is
// copied the ordinary way.
func (b *Backend) CopyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	err := blob.CheckDescriptor(d)
	if err == nil {
		err = b.life.Call(ctx, func(ctx context.Context) error { return b.copyFrom(ctx, src, d) })
	}
	return fail("copy", calls.DigestKey(d.Digest), err)
}

func (b *Backend) copyFrom(ctx context.Context, src backend.Backend, d blob.Descriptor) error {
	from, ok := backend.As[*Backend](src)
	switch {
	case !ok, from.repo.RegistryStr() != b.repo.RegistryStr(), isManifest(d.MediaType):
		return backend.ErrUnsupported
	case from.repo.RepositoryStr() == b.repo.RepositoryStr():
		_, err := b.head(ctx, pathOf(d))
		return err
	case !b.mounts(from.repo.RepositoryStr()):
		return backend.ErrUnsupported
	}
	err := b.mount(ctx, from, d)
	b.note(from.repo.RepositoryStr(), err == nil)
	var refused *ResponseError
	if errors.As(err, &refused) && !refused.temporary() {
		// Harbor refuses with an error what it may not mount, instead of
		// beginning an upload (oras-project/oras-go, "blob mount").
		return fmt.Errorf("%w: %w", backend.ErrUnsupported, err)
	}
	return err
}

// mount asks for a blob of another repository. A registry that has begun an
// upload instead has refused.
func (b *Backend) mount(ctx context.Context, from *Backend, d blob.Descriptor) error {
	u, err := b.url(ctx, "blobs/uploads/")
	if err != nil {
		return err
	}
	u.RawQuery = url.Values{"mount": {d.Digest.String()}, "from": {from.repo.RepositoryStr()}}.Encode()
	resp, err := b.do(ctx, request{op: "mount", method: http.MethodPost, url: u, scopes: b.session.mount(from.repo)},
		http.StatusCreated, http.StatusAccepted)
	if err != nil {
		return err
	}
	defer discard(resp)
	if resp.StatusCode == http.StatusCreated {
		return nil
	}
	if session, err := location(resp); err == nil {
		b.abandon(ctx, session)
	}
	return fmt.Errorf("%w: the registry has not mounted the blob from %s", backend.ErrUnsupported, from.repo.RepositoryStr())
}

// mounts reports whether a mount from a repository is worth a request.
func (b *Backend) mounts(from string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused[from] < maxRefusals
}

// note remembers the outcome of a mount.
func (b *Backend) note(from string, mounted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if mounted {
		b.refused[from] = 0
	} else {
		b.refused[from]++
	}
}
