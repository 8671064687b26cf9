package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// accepted are the manifests that caches and images may have. A registry that
// is not told converts, or refuses what it has.
var accepted = []string{
	ocispec.MediaTypeImageManifest,
	ocispec.MediaTypeImageIndex,
	"application/vnd.docker.distribution.manifest.v2+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"*/*",
}

// GetRef returns the manifest under a tag or digest. Its version is its digest.
func (b *Backend) GetRef(ctx context.Context, ref string) (backend.Ref, error) {
	if err := checkName(ref); err != nil {
		return backend.Ref{}, fail("get ref", calls.RefKey(ref), err)
	}
	var found backend.Ref
	err := b.life.Call(ctx, func(ctx context.Context) (err error) {
		if !backend.IsDigest(ref) {
			found, err = b.getRef(ctx, ref)
			return err
		}
		found, _, err = mirrored(ctx, b, func(b *Backend) (backend.Ref, error) { return b.getRef(ctx, ref) })
		return err
	})
	if err != nil {
		return backend.Ref{}, fail("get ref", calls.RefKey(ref), err)
	}
	return found, nil
}

func (b *Backend) getRef(ctx context.Context, ref string) (backend.Ref, error) {
	resp, err := b.ask(ctx, "get ref", http.MethodGet, "manifests/"+ref, b.session.pull(), http.Header{"Accept": accepted}, http.StatusOK)
	if err != nil {
		return backend.Ref{}, err
	}
	defer discard(resp)
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return backend.Ref{}, calls.NetworkError(err)
	}
	if len(data) > maxDocument {
		return backend.Ref{}, fmt.Errorf("%w: the manifest has more than %d bytes", backend.ErrTooLarge, maxDocument)
	}
	mediaType, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	digest := blob.Describe(mediaType, data).Digest
	for _, want := range []string{ref, resp.Header.Get("Docker-Content-Digest")} {
		if backend.IsDigest(want) && want != digest.String() {
			return backend.Ref{}, fmt.Errorf("%w: the manifest has digest %s, want %s", backend.ErrCorrupt, digest, want)
		}
	}
	return backend.Ref{
		Name: ref, Version: backend.Version(digest),
		Document: backend.Document{MediaType: mediaType, Data: data},
	}, nil
}

// PutRef makes a tag point to a manifest. Registries that look for the blobs of
// a manifest and miss one give ErrNotFound.
func (b *Backend) PutRef(ctx context.Context, ref string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	err := checkWritable(ref)
	if err == nil {
		err = b.life.Call(ctx, func(ctx context.Context) error { return b.putRef(ctx, ref, doc, cond) })
	}
	if err != nil {
		return "", fail("put ref", calls.RefKey(ref), err)
	}
	return backend.Version(blob.Describe(doc.MediaType, doc.Data).Digest), nil
}

func (b *Backend) putRef(ctx context.Context, ref string, doc backend.Document, cond backend.Condition) error {
	switch {
	case !cond.IsAlways():
		return fmt.Errorf("%w: no registry can compare and swap a tag", backend.ErrUnsupported)
	case len(doc.Data) > maxDocument:
		return fmt.Errorf("%w: the manifest has %d bytes, registries take at most %d", backend.ErrTooLarge, len(doc.Data), maxDocument)
	default:
		return b.putManifest(ctx, "put ref", ref, doc)
	}
}

// putManifest stores a manifest under a tag or its digest.
func (b *Backend) putManifest(ctx context.Context, op, ref string, doc backend.Document) error {
	u, err := b.url(ctx, "manifests/"+ref)
	if err != nil {
		return err
	}
	mediaType := doc.MediaType
	if mediaType == "" {
		mediaType = ocispec.MediaTypeImageManifest
	}
	resp, err := b.do(ctx, request{
		op: op, method: http.MethodPut, url: u, scopes: b.session.push(), data: doc.Data,
		header: http.Header{"Content-Type": {mediaType}},
	}, http.StatusCreated, http.StatusOK)
	if err != nil {
		return err
	}
	discard(resp)
	return nil
}

// DeleteRef removes a tag and leaves its manifest, if the registry keeps them
// apart. One that deletes by digest only gives ErrUnsupported, because that
// would take other tags of the same manifest away. So do a few registries that
// are asked to delete a tag alone (google/go-containerregistry#999), which
// cannot be told from the others.
func (b *Backend) DeleteRef(ctx context.Context, ref string, cond backend.Condition) error {
	err := checkWritable(ref)
	if err == nil {
		err = b.life.Call(ctx, func(ctx context.Context) error { return b.deleteRef(ctx, ref, cond) })
	}
	return fail("delete ref", calls.RefKey(ref), err)
}

func (b *Backend) deleteRef(ctx context.Context, ref string, cond backend.Condition) error {
	switch {
	case cond.IsAbsent():
		return fmt.Errorf("%w: a ref cannot be deleted on condition of its absence", backend.ErrInvalid)
	case !cond.IsAlways():
		return fmt.Errorf("%w: no registry can compare and delete a tag", backend.ErrUnsupported)
	case !b.Info().Capabilities.DeleteRef:
		return b.undeletable()
	default:
		return b.deleteTag(ctx, ref)
	}
}

// deleteTag deletes by tag. Registries from before that was possible say that
// the digest is malformed, or the method not allowed.
func (b *Backend) deleteTag(ctx context.Context, ref string) error {
	_, err := b.remove(ctx, "delete ref", "manifests/"+ref)
	var refused *ResponseError
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		return fmt.Errorf("%w: this registry deletes by digest only: %w", backend.ErrUnsupported, refused)
	}
	return err
}
