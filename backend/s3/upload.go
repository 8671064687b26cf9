package s3

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// upload is a multipart upload.
type upload struct {
	s       *store
	key, id string

	mu    sync.Mutex
	parts []types.CompletedPart
}

// StartUpload begins a multipart upload.
func (s *store) StartUpload(ctx context.Context, key string, _ int64) (bucket.Upload, error) {
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		err = s.translate(err)
		if _, refused := errors.AsType[*ResponseError](err); !refused {
			s.sweepUploads(ctx, key)
		}
		return nil, err
	}
	return &upload{s: s, key: key, id: aws.ToString(out.UploadId)}, nil
}

// sweepTime bounds how long lost uploads are looked for, because the caller may
// not want to wait any more.
const sweepTime = 800 * time.Millisecond

// sweepUploads aborts the uploads of a key that have no part, after the answer
// that names one was not received. One that somebody else has begun this very
// moment may be among them, who then begins again.
func (s *store) sweepUploads(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTime)
	defer cancel()
	out, err := s.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &s.bucket, Prefix: &key})
	if err != nil {
		return
	}
	for _, u := range out.Uploads {
		if aws.ToString(u.Key) != key {
			continue
		}
		parts, err := s.client.ListParts(ctx, &s3.ListPartsInput{Bucket: &s.bucket, Key: &key, UploadId: u.UploadId})
		if err == nil && len(parts.Parts) == 0 {
			_ = (&upload{s: s, key: key, id: aws.ToString(u.UploadId)}).Abort(ctx)
		}
	}
}

// Part sends a part.
func (u *upload) Part(ctx context.Context, number int, body bucket.Body) error {
	n := aws.Int32(int32(number) + 1) //nolint:gosec // There are at most 10,000.
	out, err := u.s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.s.bucket, Key: &u.key, UploadId: &u.id, PartNumber: n,
		Body: body.Reader, ContentLength: &body.Size,
	}, with(signDigest(body.Digest)))
	if err != nil {
		return u.s.translate(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts = append(u.parts, types.CompletedPart{PartNumber: n, ETag: out.ETag})
	return nil
}

// Complete makes the object of the parts.
func (u *upload) Complete(ctx context.Context, cond backend.Condition) error {
	slices.SortFunc(u.parts, func(a, b types.CompletedPart) int {
		return int(aws.ToInt32(a.PartNumber) - aws.ToInt32(b.PartNumber))
	})
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &u.s.bucket, Key: &u.key, UploadId: &u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	}
	in.IfNoneMatch, in.IfMatch = headers(cond)
	_, err := u.s.client.CompleteMultipartUpload(ctx, in)
	return u.s.translateIf(err, cond)
}

// Abort discards the parts. An upload that is not there any more is a success.
func (u *upload) Abort(ctx context.Context) error {
	_, err := u.s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.s.bucket, Key: &u.key, UploadId: &u.id})
	if err = u.s.translate(err); errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	return err
}
