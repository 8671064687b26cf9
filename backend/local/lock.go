package local

import (
	"context"
	"os"
	"time"

	"github.com/gofrs/flock"
)

// lockPoll is how often a lock that somebody else has is tried again. The
// system's own waiting cannot be interrupted by a context.
const lockPoll = 2 * time.Millisecond

// lock takes larder's own lock of the directory. Goroutines of one Backend
// queue in memory before they try for the file.
func (b *Backend) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l, err := acquire(ctx, b.path(privateDir, lockFile))
	if err != nil {
		<-b.turn
		return nil, err
	}
	return func() {
		release(l)
		<-b.turn
	}, nil
}

// acquire takes an exclusive lock on the file at path, which it creates. The
// file may be removed at any time: BuildKit removes its lock file after it has
// unlocked it. A lock on a file that is no longer at path excludes nobody, and
// is given up for another try.
func acquire(ctx context.Context, path string) (*flock.Flock, error) {
	for {
		// Others must be able to open the file to see that it is locked.
		l := flock.New(path, flock.SetPermissions(0o644))
		if _, err := l.TryLockContext(ctx, lockPoll); err != nil {
			return nil, err
		}
		if isAt(l, path) {
			return l, nil
		}
		release(l)
	}
}

// isAt reports whether the locked file still is the one at path.
func isAt(l *flock.Flock, path string) bool {
	locked, err := l.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(locked, now)
}

// release ends a lock by closing its file, which cannot fail in a way that
// keeps it. The file stays: removing it would let two others in at once.
func release(l *flock.Flock) { _ = l.Unlock() }
