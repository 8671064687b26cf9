package azblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// Head implements [bucket.Store].
func (s *store) Head(ctx context.Context, key string) (bucket.Object, error) {
	resp, err := s.container.NewBlobClient(key).GetProperties(ctx, nil)
	if err != nil {
		return bucket.Object{}, s.failure(ctx, err)
	}
	if isDirectory(resp.Metadata) {
		return bucket.Object{}, errDirectory()
	}
	return bucket.Object{
		Size: value(resp.ContentLength, -1), Version: versionOf(resp.ETag), ModTime: value(resp.LastModified, time.Time{}),
		Native: resp.Metadata,
	}, nil
}

// Get implements [bucket.Store].
func (s *store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, bucket.Object, error) {
	span := blob.HTTPRange{Offset: off}
	if n > 0 {
		span.Count = n
	}
	resp, err := s.container.NewBlobClient(key).DownloadStream(ctx, &blob.DownloadStreamOptions{Range: span})
	if err != nil {
		return nil, bucket.Object{}, s.failure(ctx, err)
	}
	if isDirectory(resp.Metadata) {
		_ = resp.Body.Close()
		return nil, bucket.Object{}, errDirectory()
	}
	o := bucket.Object{Size: value(resp.ContentLength, -1), Version: versionOf(resp.ETag), ModTime: value(resp.LastModified, time.Time{})}
	if err := checkRange(span, resp); err != nil {
		_ = resp.Body.Close()
		return nil, bucket.Object{}, err
	}
	if resp.ContentRange != nil {
		_, o.Size = parseContentRange(*resp.ContentRange)
	}
	return &reader{ctx, resp.Body}, o, nil
}

// checkRange returns an error unless the answer is the range asked for. It
// always is the service's; somebody in between may have no ranges, or answer
// that nothing was modified, which the SDK takes for a success.
func checkRange(span blob.HTTPRange, resp blob.DownloadStreamResponse) error {
	start := int64(0)
	switch {
	case resp.ErrorCode != nil:
		return unexpected("%s in place of content", *resp.ErrorCode)
	case resp.ContentRange != nil:
		start, _ = parseContentRange(*resp.ContentRange)
	case span != blob.HTTPRange{}:
		return unexpected("no range, asked for the bytes from %d on", span.Offset)
	}
	if start != span.Offset {
		return unexpected("the bytes from %d on, asked for those from %d on", start, span.Offset)
	}
	return nil
}

func unexpected(format string, args ...any) error {
	return &bucket.Failure{Kind: backend.ErrUnavailable, Err: fmt.Errorf("answered "+format, args...)}
}

// isDirectory reports whether metadata is that of a directory, which accounts
// with a hierarchical namespace show as empty blobs.
func isDirectory(metadata map[string]*string) bool {
	for name, v := range metadata {
		if strings.EqualFold(name, "hdi_isfolder") {
			return value(v, "") == "true"
		}
	}
	return false
}

func errDirectory() error {
	return &bucket.Failure{Kind: backend.ErrNotFound, Err: errors.New("there is a directory of this name")}
}

// parseContentRange reads "bytes 0-9/100": the first byte sent and how many
// there are. What cannot be read is -1.
func parseContentRange(header string) (start, total int64) {
	var last int64
	if _, err := fmt.Sscanf(header, "bytes %d-%d/%d", &start, &last, &total); err != nil {
		return -1, -1
	}
	return start, total
}

// reader is a blob's body. It ends with its context.
type reader struct {
	ctx context.Context
	io.ReadCloser
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, networkError(r.ctx, err)
}
