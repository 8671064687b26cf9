package azblob

import (
	"context"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// maxBlocks is how many blocks a blob may have.
//
// Source: learn.microsoft.com/rest/api/storageservices/put-block-list.
const maxBlocks = 50_000

// store is a container in the SDK's hands.
type store struct {
	container *container.Client
	account   account
	opts      Options
	transport *transport
	creation  creation
}

var (
	_ bucket.Store    = (*store)(nil)
	_ bucket.Uploader = (*store)(nil)
	_ bucket.Toucher  = (*store)(nil)
)

// keys says where objects lie.
func (s *store) keys() bucket.Keys {
	return bucket.Joined(s.opts.Prefix, *s.opts.BlobsPrefix, *s.opts.ManifestsPrefix)
}

// Features implements [bucket.Store].
func (s *store) Features() bucket.Features {
	return bucket.Features{Create: true, Replace: true, ConditionalDelete: true, MaxParts: maxBlocks}
}

// Close implements [bucket.Store].
func (s *store) Close() error {
	s.transport.own.Close()
	return nil
}

// Put implements [bucket.Store].
func (s *store) Put(ctx context.Context, key string, body bucket.Body, cond backend.Condition) (bucket.Object, error) {
	content := newContent(body)
	defer content.end()
	var resp blockblob.UploadResponse
	err := s.write(ctx, content, func() (err error) {
		resp, err = s.container.NewBlockBlobClient(key).Upload(ctx, content, &blockblob.UploadOptions{AccessConditions: conditions(cond)})
		return err
	})
	if err != nil {
		return bucket.Object{}, content.reason(err)
	}
	return bucket.Object{Size: body.Size, Version: versionOf(resp.ETag), ModTime: value(resp.LastModified, time.Time{})}, nil
}

// Delete implements [bucket.Store]. There is one key: a batch would be a request
// to the container.
func (s *store) Delete(ctx context.Context, keys []string) error {
	for _, key := range keys {
		_, err := s.container.NewBlobClient(key).Delete(ctx, nil)
		if err != nil && codeOf(err) != "BlobNotFound" && !s.isEmpty(err) {
			return s.failure(ctx, err)
		}
	}
	return nil
}

// DeleteIf implements [bucket.Store].
func (s *store) DeleteIf(ctx context.Context, key string, v backend.Version) error {
	_, err := s.container.NewBlobClient(key).Delete(ctx, &blob.DeleteOptions{AccessConditions: conditions(backend.Match(v))})
	if codeOf(err) == "BlobNotFound" || s.isEmpty(err) {
		return &bucket.Failure{Kind: backend.ErrConflict, Err: s.responseError(err)}
	}
	return s.failure(ctx, err)
}

// Touch implements [bucket.Toucher]: writing the metadata that is there renews
// the age of a blob, and its ETag.
func (s *store) Touch(ctx context.Context, key string, o bucket.Object) (bucket.Object, error) {
	metadata, _ := o.Native.(map[string]*string) // Head's
	resp, err := s.container.NewBlobClient(key).SetMetadata(ctx, metadata, &blob.SetMetadataOptions{
		AccessConditions: conditions(backend.Match(o.Version)),
	})
	if err != nil {
		if codeOf(err) == "ConditionNotMet" { // somebody else has renewed it
			return s.Head(ctx, key)
		}
		return o, s.failure(ctx, err)
	}
	o.Version, o.ModTime = versionOf(resp.ETag), value(resp.LastModified, o.ModTime)
	return o, nil
}

// List implements [bucket.Store].
func (s *store) List(ctx context.Context, prefix, token string) (bucket.Page, error) {
	opts := &container.ListBlobsFlatOptions{Prefix: &prefix}
	if token != "" {
		opts.Marker = &token
	}
	resp, err := s.container.NewListBlobsFlatPager(opts).NextPage(ctx)
	if s.isEmpty(err) {
		return bucket.Page{}, nil
	}
	if err != nil {
		return bucket.Page{}, s.failure(ctx, err)
	}
	page := bucket.Page{Next: value(resp.NextMarker, "")}
	if resp.Segment == nil {
		return page, nil
	}
	for _, item := range resp.Segment.BlobItems {
		if item.Name == nil || item.Properties == nil || value(item.Properties.ResourceType, "") == "directory" {
			continue // accounts with a hierarchical namespace list directories too
		}
		p := item.Properties
		page.Objects = append(page.Objects, bucket.Object{
			Key: *item.Name, Size: value(p.ContentLength, -1), Version: versionOf(p.ETag), ModTime: value(p.LastModified, time.Time{}),
		})
	}
	return page, nil
}

// conditions returns the ETags that a condition is about.
func conditions(cond backend.Condition) *blob.AccessConditions {
	m := &blob.ModifiedAccessConditions{}
	if v, ok := cond.Version(); ok {
		m.IfMatch = new(azcore.ETag(v))
	}
	if cond.IsAbsent() {
		m.IfNoneMatch = new(azcore.ETagAny)
	}
	return &blob.AccessConditions{ModifiedAccessConditions: m}
}

// versionOf returns an ETag in the form of headers: listings leave out the
// quotation marks.
func versionOf(tag *azcore.ETag) backend.Version {
	if tag == nil || *tag == "" {
		return ""
	}
	return backend.Version(`"` + strings.Trim(string(*tag), `"`) + `"`)
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
