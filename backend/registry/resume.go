package registry

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// maxUnfinished is how many uploads are remembered that a call has left.
const maxUnfinished = 64

// uploads is what is known of the uploads of a backend.
type uploads struct {
	// unfinished are where those are that ended with their calls, as when one
	// makes no progress: the next attempt goes on there.
	unfinished map[blob.Digest]*url.URL
	// spoilt tells that the registry has refused what it had said to be right,
	// so that uploads begin anew.
	spoilt bool
}

// errSpoilt says that a registry has refused an upload that went on where the
// registry said.
var errSpoilt = errors.New("the registry has refused an upload that was resumed")

// resumes reports whether an upload of the blob is worth going on with.
func (b *Backend) resumes(d blob.Descriptor) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return d.Size >= askFirst && !b.uploads.spoilt
}

// remember notes an upload that its call has left.
func (b *Backend) remember(u *upload) {
	if !b.resumes(u.d) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.uploads.unfinished == nil {
		b.uploads.unfinished = make(map[blob.Digest]*url.URL)
	}
	if len(b.uploads.unfinished) < maxUnfinished {
		b.uploads.unfinished[u.d.Digest] = u.session
	}
}

// recall returns where an earlier call has left the upload of a blob, once.
func (b *Backend) recall(d blob.Digest) *url.URL {
	b.mu.Lock()
	defer b.mu.Unlock()
	session := b.uploads.unfinished[d]
	delete(b.uploads.unfinished, d)
	return session
}

// begin finds out where the content is to be sent.
func (u *upload) begin(ctx context.Context) (err error) {
	u.session = u.b.recall(u.d.Digest)
	if u.session != nil && u.ask(ctx) == nil && u.sent > 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	u.sent = 0
	u.session, err = u.b.startUpload(ctx)
	return err
}

// run sends the content: in one request if that is allowed, and what is left of
// it after a broken connection in others.
func (u *upload) run(ctx context.Context) error {
	if u.sent > 0 {
		return u.resumed(u.send(ctx))
	}
	if u.chunk < u.d.Size {
		return u.send(ctx)
	}
	err := u.b.sendWhole(ctx, u.d, u.src, u.session)
	if !isBroken(err) || ctx.Err() != nil || !u.b.resumes(u.d) {
		return err
	}
	backend.TraceRetry(ctx, "upload", err, 0)
	if u.ask(ctx) != nil {
		// It has ended by now, perhaps well.
		if size, lost := u.b.head(ctx, pathOf(u.d)); lost == nil && size == u.d.Size {
			return nil
		}
		return err
	}
	if u.sent == 0 {
		return err
	}
	return u.resumed(u.send(ctx))
}

// resumed returns the outcome of an upload that was gone on with. What the
// registry refuses then it may accept from the beginning.
func (u *upload) resumed(err error) error {
	refused, ok := errors.AsType[*ResponseError](err)
	if !ok || refused.temporary() {
		return err
	}
	u.b.mu.Lock()
	defer u.b.mu.Unlock()
	u.b.uploads.spoilt = true
	return fmt.Errorf("%w: %w", errSpoilt, err)
}
