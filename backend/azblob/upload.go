package azblob

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// upload is a blob on its way in blocks.
type upload struct {
	store *store
	blob  *blockblob.Client
	// id begins the names of its blocks, which it shares with no other upload:
	// of blocks with the same name the last one counts, whoever has sent it.
	id [16]byte

	mu    sync.Mutex
	parts int
}

// StartUpload implements [bucket.Uploader]. Nothing is asked of the service.
func (s *store) StartUpload(_ context.Context, key string, _ int64) (bucket.Upload, error) {
	u := &upload{store: s, blob: s.container.NewBlockBlobClient(key)}
	_, _ = rand.Read(u.id[:]) // never fails
	return u, nil
}

// name returns the name of a block. All names for a blob must have the same
// length.
func (u *upload) name(number int) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(u.id[:], uint32(number))) //nolint:gosec // below maxBlocks
}

// Part implements [bucket.Upload].
func (u *upload) Part(ctx context.Context, number int, body bucket.Body) error {
	content := newContent(body)
	defer content.end()
	err := u.store.write(ctx, content, func() error {
		_, err := u.blob.StageBlock(ctx, u.name(number), content, nil)
		return err
	})
	if err != nil {
		return content.reason(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts = max(u.parts, number+1)
	return nil
}

// Complete implements [bucket.Upload].
func (u *upload) Complete(ctx context.Context, cond backend.Condition) error {
	names := make([]string, u.parts)
	for number := range names {
		names[number] = u.name(number)
	}
	_, err := u.blob.CommitBlockList(ctx, names, &blockblob.CommitBlockListOptions{AccessConditions: conditions(cond)})
	if codeOf(err) == "InvalidBlockList" {
		// Another writer has committed the blob, which discards all blocks.
		return &bucket.Failure{Kind: backend.ErrConflict, Err: u.store.responseError(err)}
	}
	return u.store.failure(ctx, err)
}

// Abort implements [bucket.Upload]. Blocks that were not committed cannot be
// removed: the service does that after a week, or when the blob is written.
//
// Source: learn.microsoft.com/rest/api/storageservices/put-block.
func (u *upload) Abort(context.Context) error { return nil }
