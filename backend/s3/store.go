package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// Limits of S3.
const (
	minPart     = 5 << 20
	maxParts    = 10_000
	deleteBatch = 1000
)

// Features says what the store can do.
func (s *store) Features() bucket.Features {
	f := bucket.Features{
		Create: s.quirks.conditions, Replace: s.quirks.conditions, ConditionalDelete: s.quirks.deletes,
		VerifiesDigest: s.quirks.verifies && s.identity.signs(),
		DeleteBatch:    deleteBatch, MaxParts: maxParts, MinPart: s.minPart,
	}
	if s.quirks.single {
		f.DeleteBatch = 1
	}
	return f
}

// signs reports whether requests are signed.
func (id identity) signs() bool {
	_, anonymous := id.provider.(aws.AnonymousCredentials)
	return !anonymous
}

// Head describes an object.
func (s *store) Head(ctx context.Context, key string) (bucket.Object, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return bucket.Object{}, s.translate(err)
	}
	o := object(aws.ToInt64(out.ContentLength), out.ETag, out.LastModified)
	o.Native = out
	return o, nil
}

func object(size int64, etag *string, modified *time.Time) bucket.Object {
	return bucket.Object{Size: size, Version: backend.Version(aws.ToString(etag)), ModTime: aws.ToTime(modified)}
}

// Get returns a reader of a part of an object.
func (s *store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, bucket.Object, error) {
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: &key}
	switch {
	case n > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		return nil, bucket.Object{}, s.translate(err)
	}
	size := aws.ToInt64(out.ContentLength)
	if in.Range != nil {
		if size, err = total(aws.ToString(out.ContentRange)); err != nil {
			_ = out.Body.Close()
			return nil, bucket.Object{}, err
		}
	}
	return out.Body, object(size, out.ETag, out.LastModified), nil
}

// total returns the size of the object in a Content-Range such as
// "bytes 0-4/10", or -1 if it says "*".
func total(contentRange string) (int64, error) {
	_, size, ok := strings.Cut(contentRange, "/")
	if size == "*" {
		return -1, nil
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("%w: the store does not answer with the range that was asked for", backend.ErrUnsupported)
	}
	return n, nil
}

// Put writes an object in one request. Where conditions may be ignored, they are
// tried on the first small blob.
func (s *store) Put(ctx context.Context, key string, body bucket.Body, cond backend.Condition) (bucket.Object, error) {
	if o, asked, err := s.putAsking(ctx, key, body, cond); asked {
		return o, err
	}
	return s.put(ctx, key, body, cond)
}

func (s *store) put(ctx context.Context, key string, body bucket.Body, cond backend.Condition) (bucket.Object, error) {
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: body.Reader, ContentLength: &body.Size}
	in.IfNoneMatch, in.IfMatch = headers(cond)
	digest := body.Digest
	if !s.quirks.verifies && !isSeeker(body.Reader) {
		digest = "" // the reader verifies it
	}
	out, err := s.client.PutObject(ctx, in, with(signDigest(digest)))
	if err != nil {
		return bucket.Object{}, s.translateIf(err, cond)
	}
	return bucket.Object{Size: body.Size, Version: backend.Version(aws.ToString(out.ETag))}, nil
}

func isSeeker(r io.Reader) bool {
	_, ok := r.(io.Seeker)
	return ok
}

// headers returns the values of If-None-Match and If-Match for a condition.
func headers(cond backend.Condition) (none, match *string) {
	if cond.IsAbsent() {
		return aws.String("*"), nil
	}
	if v, ok := cond.Version(); ok {
		return nil, aws.String(string(v))
	}
	return nil, nil
}

// translateIf translates the error of a write on a condition: what is not there
// has no version that could match, and without a condition a conflict is one
// with another write at the same time.
func (s *store) translateIf(err error, cond backend.Condition) error {
	err = s.translate(err)
	refused, ok := errors.AsType[*ResponseError](err)
	if !ok {
		return err
	}
	_, matches := cond.Version()
	switch {
	case matches && refused.Code != codeNoBucket && errors.Is(err, backend.ErrNotFound):
		return &bucket.Failure{Kind: backend.ErrConflict, Err: refused.plain()}
	case cond.IsAlways() && errors.Is(err, backend.ErrConflict):
		return &bucket.Failure{Kind: backend.ErrUnavailable, Err: refused.plain(), Temporary: true}
	default:
		return err
	}
}

// Delete removes objects.
func (s *store) Delete(ctx context.Context, keys []string) error {
	if s.quirks.single {
		return s.delete(ctx, keys[0], nil)
	}
	objects := make([]types.ObjectIdentifier, len(keys))
	for i := range keys {
		objects[i].Key = &keys[i]
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &s.bucket, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)},
	}, with(smithyhttp.AddContentChecksumMiddleware)) // older stores ask for an MD5
	if err != nil {
		return s.translate(err)
	}
	for _, failed := range out.Errors {
		e := &ResponseError{
			Host: s.endpoint, Status: http.StatusOK, Op: "DeleteObjects",
			Code: aws.ToString(failed.Code), Message: calls.OneLine(aws.ToString(failed.Message)),
		}
		if !errors.Is(e, backend.ErrNotFound) {
			return s.failure(e)
		}
	}
	return nil
}

// DeleteIf removes an object that has a version.
func (s *store) DeleteIf(ctx context.Context, key string, v backend.Version) error {
	return s.delete(ctx, key, aws.String(string(v)))
}

func (s *store) delete(ctx context.Context, key string, match *string) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key, IfMatch: match})
	if err == nil {
		return nil
	}
	if match != nil {
		return s.translateIf(err, backend.Match(backend.Version(*match)))
	}
	if err = s.translate(err); errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	return err
}

// List returns a page of objects.
func (s *store) List(ctx context.Context, prefix, token string) (bucket.Page, error) {
	in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &prefix}
	if token != "" {
		in.ContinuationToken = &token
	}
	out, err := s.client.ListObjectsV2(ctx, in)
	if err != nil {
		return bucket.Page{}, s.translate(err)
	}
	page := bucket.Page{Next: aws.ToString(out.NextContinuationToken), Objects: make([]bucket.Object, len(out.Contents))}
	for i, listed := range out.Contents {
		page.Objects[i] = object(aws.ToInt64(listed.Size), listed.ETag, listed.LastModified)
		page.Objects[i].Key = aws.ToString(listed.Key)
	}
	return page, nil
}
