package gha

import "time"

// PackAll has a backend pack blobs that come alone, and soon.
func PackAll(b *Backend) {
	b.store.gatherer.from, b.store.gatherer.quiet = 1, time.Millisecond
}
