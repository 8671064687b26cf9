package s3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// maxCopy is the size from which on S3 copies objects in parts only. They have
// to be sent again: BuildKit's way, a copy in parts of the object onto itself,
// takes as many requests and loses what is known of the object.
const maxCopy = 5 << 30

// updatedAt is the metadata that BuildKit writes to make a copy of an object
// onto itself a change.
const updatedAt = "updated-at"

// Touch copies an object onto itself, on condition that it is still the same,
// with all that the store has kept of it.
func (s *store) Touch(ctx context.Context, key string, o bucket.Object) (bucket.Object, error) {
	head, ok := o.Native.(*s3.HeadObjectOutput)
	if !ok || o.Size >= maxCopy {
		return o, fmt.Errorf("%w: objects of %d bytes or more are not copied in one step", backend.ErrUnsupported, int64(maxCopy))
	}
	metadata := map[string]string{}
	maps.Copy(metadata, head.Metadata)
	metadata[updatedAt] = time.Now().UTC().Format(time.RFC3339)
	out, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &s.bucket, Key: &key,
		CopySource:         aws.String(copySource(s.bucket, key)),
		CopySourceIfMatch:  head.ETag,
		MetadataDirective:  types.MetadataDirectiveReplace,
		Metadata:           metadata,
		ContentType:        head.ContentType,
		ContentEncoding:    head.ContentEncoding,
		CacheControl:       head.CacheControl,
		ContentDisposition: head.ContentDisposition,
		ContentLanguage:    head.ContentLanguage,
		StorageClass:       head.StorageClass,
	})
	if err = s.translate(err); errors.Is(err, backend.ErrConflict) {
		return s.Head(ctx, key) // it was written anew meanwhile
	}
	if err != nil {
		return o, err
	}
	if out.CopyObjectResult == nil {
		return o, nil
	}
	return object(o.Size, out.CopyObjectResult.ETag, out.CopyObjectResult.LastModified), nil
}

// copySource returns bucket and key as the header wants them: percent-encoded,
// but for the slashes.
func copySource(bucket, key string) string {
	parts := strings.Split(bucket+"/"+key, "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(part), "+", "%20")
	}
	return strings.Join(parts, "/")
}
